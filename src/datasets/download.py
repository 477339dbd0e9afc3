"""Downloads: a file appears under its name only when it is complete and verified."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from src.errors import DataError
from src.writing import replacing

TRIES = 3
TIMEOUT = 10  # seconds without a byte
CHUNK = 1 << 20


def fetch(name: str, mirrors: list[str], folder: Path, problem_with: Callable[[Path], str | None]) -> Path:
    """Download a file into the folder, from the first mirror that has the right content, and return its path.

    Several processes may call this at the same time: one holds a lock and downloads, the others wait and find the file.

    Args:
        name: the file's name in the folder and at each mirror.
        mirrors: addresses to which `name` is appended, tried in this order.
        folder: created when it does not exist.
        problem_with: returns the problem with a downloaded file, or None when its content is right.

    Raises:
        DataError: the folder cannot be written, or no mirror has the right content.
    """
    target = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(lock_of(target)):
            if target.exists() and problem_with(target) is None:
                return target
            return _fetch_from_any(mirrors, target, problem_with)
    except OSError as error:
        raise DataError(
            f"{target} cannot be written: {error.strerror or error}; set dataset.data_dir to a writable folder"
        ) from error


def lock_of(path: Path) -> Path:
    """Return the lock file that a process holds while it changes this file."""
    return path.with_name(f".{path.name}.lock")


def _fetch_from_any(mirrors: list[str], target: Path, problem_with: Callable[[Path], str | None]) -> Path:
    problems = []
    with replacing(target) as part:
        for mirror in mirrors:
            url = f"{mirror.rstrip('/')}/{target.name}"
            problem = _try_mirror(url, part, problem_with)
            if problem is None:
                return target
            problems.append(f"{url}: {problem}")
        raise DataError("; ".join(problems) or f"no mirror is set for {target.name}")


def _try_mirror(url: str, part: Path, problem_with: Callable[[Path], str | None]) -> str | None:
    """Download from one mirror, and return the problem or None. Only a connection that breaks off is tried again."""
    problem: str | None = None
    for attempt in range(TRIES):
        time.sleep(attempt * 0.5)
        try:
            _read_into(url, part)
        except urllib.error.HTTPError as error:
            return f"the server answered {error.code} {error.reason}"
        except urllib.error.URLError as error:
            return f"no connection ({error.reason})"
        except (OSError, EOFError, http.client.HTTPException) as error:
            problem = f"the connection was lost ({error})"
        except ValueError as error:
            return f"the address or the answer is not valid ({error})"
        else:
            return problem_with(part)
    return problem


def _read_into(url: str, part: Path) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "convlab"})  # the config lets only http(s) through
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response, part.open("wb") as file:
        expected = response.headers.get("Content-Length")
        while chunk := response.read(CHUNK):
            file.write(chunk)
        if expected is not None and file.tell() != int(expected):
            raise EOFError(f"{file.tell()} of {expected} bytes")
