"""Files and folders that replace others: complete, or not at all."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from src.writing import PART, remove, remove_parts, replacing

NOBODY = 65534


def write_file(path: Path) -> None:
    path.write_text("new")


def write_folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("new")


def content(path: Path) -> dict[str, str]:
    """The text of a file, or of each file in a folder."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.relative_to(path).as_posix(): file.read_text() for file in files}


KINDS = pytest.mark.parametrize("write", [write_file, write_folder])
Write = Callable[[Path], None]


@KINDS
def test_a_target_appears_when_the_block_succeeds(tmp_path: Path, write: Write) -> None:
    target = tmp_path / "new folder/target.keras"
    with replacing(target) as part:
        write(part)
        assert not target.exists()
    assert set(content(target).values()) == {"new"}
    assert list(target.parent.iterdir()) == [target]


def test_the_temporary_name_is_in_the_same_folder_and_has_the_same_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / "target.keras") as part:
        part.touch()
        assert (part.parent, part.suffix) == (tmp_path, ".keras")


def test_a_file_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    with replacing(target) as part:
        write_file(part)
        assert target.read_text() == "old"
    assert target.read_text() == "new"


def test_a_folder_is_replaced_with_everything_in_it(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_text("old")
    with replacing(target) as part:
        write_folder(part)
        assert content(target) == {"old": "old"}
    assert content(target) == {"inside": "new"}


@KINDS
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_target_and_nothing_else(
    tmp_path: Path, write: Write, error: type[BaseException]
) -> None:
    target = tmp_path / "target"
    target.write_text("old")

    def write_and_fail() -> None:
        with replacing(target) as part:
            write(part)
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_text() == "old"


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "target"
    write_folder(target)
    with pytest.raises(IsADirectoryError), replacing(target) as part:
        write_file(part)
    assert content(target) == {"inside": "new"}
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_does_not_replace_a_file(tmp_path: Path) -> None:
    target = tmp_path / "target"
    write_file(target)
    with pytest.raises(NotADirectoryError), replacing(target) as part:
        write_folder(part)
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@KINDS
@pytest.mark.parametrize("write_before", [write_file, write_folder])
def test_what_a_killed_process_left_behind_is_removed(tmp_path: Path, write: Write, write_before: Write) -> None:
    target = tmp_path / "target"
    with replacing(target) as part:
        write(part)
    write_before(part)
    with replacing(target) as part:
        assert not part.exists()
        write(part)
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_writes_nothing_leaves_the_old_target(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(target):
        pass
    assert target.read_text() == "old"


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Nothing may be written into the folder, not even by root."""
    is_root = os.geteuid() == 0
    folder.chmod(0o500)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


@KINDS
def test_a_folder_that_may_not_be_written_is_an_error(tmp_path: Path, write: Write) -> None:
    with forbidden(tmp_path), pytest.raises(PermissionError), replacing(tmp_path / "target") as part:
        write(part)
    assert not list(tmp_path.iterdir())


def test_the_error_of_a_full_disk_stays_as_it_is(tmp_path: Path) -> None:
    def write_to_full_disk() -> None:
        with replacing(tmp_path / "target") as part:
            part.symlink_to("/dev/full")
            part.write_text("new")

    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as raised:
        write_to_full_disk()
    assert raised.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_a_link_is_removed_and_not_the_folder_that_it_leads_to(tmp_path: Path) -> None:
    write_folder(tmp_path / "folder")
    (tmp_path / "link").symlink_to("folder")
    remove(tmp_path / "link")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_two_processes_may_remove_the_same_folder_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(2, timeout=10)

    def remove_all() -> None:
        for number in range(30):
            start.wait()
            remove(tmp_path / str(number))

    for number in range(30):
        (tmp_path / str(number)).mkdir()
        for name in range(30):
            (tmp_path / str(number) / str(name)).touch()
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(remove_all), pool.submit(remove_all)]:
            done.result()


def test_unfinished_files_and_folders_are_removed_wherever_they_are(tmp_path: Path) -> None:
    (tmp_path / "inside" / f"{PART}folder").mkdir(parents=True)
    for name in (f"{PART}file", "inside/file", f"inside/{PART}folder/{PART}file"):
        (tmp_path / name).touch()
    remove_parts(tmp_path)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "inside", tmp_path / "inside/file"]
