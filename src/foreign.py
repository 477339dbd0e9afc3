"""Code that users wrote: which files are theirs, and errors in it as one sentence."""

import functools
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.errors import UserError, is_memory_error

PROJECT = Path(__file__).resolve().parent.parent
_PROJECT_CODE = ("src", "pipelines", "hydra_plugins")
MAX_TEXT = 300  # characters of an error's own message
_LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")


def is_foreign(module: str) -> bool:
    """Return True for the name of a module that is not part of this project."""
    return module.partition(".")[0] not in _PROJECT_CODE


@contextmanager
def explain_errors(what: str) -> Iterator[None]:
    """Turn an error of a user's code into one sentence; HYDRA_FULL_ERROR=1 shows the traceback too.

    Args:
        what: begins the sentence.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        if is_memory_error(error):  # explained elsewhere
            raise
        raise UserError(f"{what} failed: {describe_error(error)}; HYDRA_FULL_ERROR=1 shows more") from error


def describe_error(error: BaseException) -> str:
    """Return the class and the first line of an error, and the line of the user's code that caused it."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith("<") and not is_library(Path(frame.filename))]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    text = " ".join(str(error).split())[:MAX_TEXT]
    return f"{type(error).__name__}{text and f': {text}'}{place}"


def is_library(file: Path) -> bool:
    """Return True for a file of the standard library, of an installed package or of this project."""
    return any(file.resolve().is_relative_to(folder) for folder in _libraries())


@functools.cache
def _libraries() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return (*(Path(paths[key]).resolve() for key in _LIBRARIES), *(PROJECT / name for name in _PROJECT_CODE))
