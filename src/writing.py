"""Files and folders that appear under their names only when they are complete."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

PART = ".part-"  # prefix of the names of unfinished files and folders


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path next to the target for a new file or folder, which replaces the target when the block succeeds.

    When the block fails, the unfinished file or folder is removed and the target stays as it was. What a killed process
    has left behind is removed by the next one that writes the same target. Where several processes may write it at the
    same time, they need a lock.

    Args:
        target: a file or a folder, which may exist already. The folder above it is created.

    Raises:
        OSError: the target cannot be written, or one is a file and the other a folder.
    """
    part = target.with_name(f"{PART}{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove(part)
        yield part
        if part.is_dir() and target.is_dir():
            shutil.rmtree(target)  # a folder replaces only an empty one
        os.replace(part, target)
    finally:
        with contextlib.suppress(OSError):  # the first error says more
            remove(part)


def remove(path: Path) -> None:
    """Remove a file, a folder with everything in it, or a link; there may be nothing to remove.

    Raises:
        OSError: it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        with contextlib.suppress(FileNotFoundError):  # another process removes it at the same time
            shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove the unfinished files and folders that killed processes have left anywhere in a folder."""
    for part in list(folder.rglob(f"{PART}*")):
        with contextlib.suppress(OSError):
            remove(part)
