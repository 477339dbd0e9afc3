"""Places that a user names: paths, addresses of databases and servers, environment variables.

A place is recorded as it was typed, and these functions read it where it is used. So a recipe, a fingerprint and the
name of a study contain `~/data` and not the home folder of one machine.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from src.errors import ConfigError
from src.redact import is_secret_name

# What this project and its libraries read by name. CUDA_VISIBLE_DEVICES is not among them: empty, it means no GPU.
_OURS = re.compile(r"(MLFLOW|OPTUNA|HYDRA|TF|KERAS|XDG)_\w+|PG[A-Z]+|DATA_DIR|OMP_NUM_THREADS|HOME|TMPDIR")
_FOLDERS = ("KERAS_HOME", "TMPDIR")  # the libraries that read these do not expand ~
# A query contains no slash: the question mark in sqlite:////home/ada/really?/mlflow.db is part of a name.
_SQLITE = re.compile(r"(?P<driver>sqlite(\+\w+)?):///(?P<path>.*?)(?P<query>\?\w+=[^/]*)?", re.DOTALL)
# To SQLAlchemy % and ? have a meaning in an address, to Optuna { and } too.
_MEANINGFUL = re.compile(r"[%?{}]")

OPEN_FILES = Path("/proc/self/fd")
_PATTERN = re.compile(r"[*?\[\]\\]")  # what TensorFlow does not take literally in the name of a file

_variables: dict[str, str] = {}  # those that were read, and had a value


def local_path(text: str) -> Path:
    """Return the path without white space around it; a leading `~` or `~ada` is a home folder."""
    return Path(os.path.expanduser(text.strip()))  # noqa: PTH111 - it leaves ~ada alone where there is no such user


def check_output_folder(folder: Path, key: str) -> None:
    """Raise ConfigError unless files can be written to the folder, which is created later if it does not exist.

    Args:
        folder: the folder.
        key: the setting that names it.
    """
    folder = folder.absolute()
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110 - never raises
    if not existing.is_dir():
        raise ConfigError(f"{key}: {existing} is a file, not a folder; name another place")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"{key}: {existing} cannot be written; name a place in a folder of yours")


@contextlib.contextmanager
def literal_folder(folder: Path) -> Iterator[Path]:
    r"""Return the folder under a name that TensorFlow takes literally, for as long as the block lasts.

    TensorFlow reads the variables of a SavedModel by a pattern, in which `*`, `[` and a backslash have a meaning. It
    also turns `back\slash` into `back/slash`. Linux has another name for a folder that is open.
    """
    if not _PATTERN.search(str(folder.absolute())) or not OPEN_FILES.is_dir():
        yield folder
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield OPEN_FILES / str(number)
    finally:
        os.close(number)


def sqlite_address(path: Path | str, driver: str = "sqlite") -> str:
    """Return the address of a SQLite file, whose path may contain any character.

    MLflow makes the folder of a plain `sqlite:///` address itself, without decoding escapes in its name. So an address
    with escapes also names Python's driver.
    """
    escaped = _MEANINGFUL.sub(lambda found: quote(found[0]), str(path))
    return f"{driver if escaped == str(path) else 'sqlite+pysqlite'}:///{escaped}"


def sqlite_file(address: str) -> Path | None:
    """Return the file of a SQLite address, None for a database in memory and for other addresses.

    `%20` is a space, as for SQLAlchemy, unless only a folder with `%20` in its name exists, such as `work%20copy`.
    """
    found = _SQLITE.fullmatch(address.strip())
    if found is None or found["path"].strip() in ("", ":memory:"):
        return None
    return _file(found["path"])


def local_folder(uri: str) -> Path | None:
    """Return the folder that an address of artifacts names, None when they are behind a server."""
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def store_folder(uri: str) -> Path:
    """Return the folder of a SQLite store, and the working folder for any other store."""
    database = sqlite_file(uri)
    return Path.cwd() if database is None else database.absolute().parent


def is_writable(file: Path) -> bool:
    """Return True if a SQLite file that exists can be written; SQLite needs its folder too, for a journal."""
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)


def _file(typed: str) -> Path:
    written, decoded = (local_path(re.sub(r"^/+(?=~)", "", text.strip())) for text in (typed, unquote(typed)))
    return written if written.parent.is_dir() and not decoded.parent.is_dir() else decoded


def resolve_address(address: str, folder: Path = Path()) -> str:
    """Return the address of a store or a server for MLflow, Optuna and SQLAlchemy; files are relative to the folder."""
    address = address.strip()
    file = sqlite_file(address)
    if file is None:
        return address
    found = _SQLITE.fullmatch(address)
    assert found is not None
    return sqlite_address(folder / file, found["driver"]) + (found["query"] or "")


def read_variable(name: str) -> str | None:
    """Return the value of an environment variable without white space around it; None where it is unset or empty.

    Secrets keep their white space. What was read is noted for `name_variables`.
    """
    value = _tidy(name, os.environ.get(name, ""))
    if not value:
        return None
    _variables[name] = value
    return value


def tidy_environment() -> None:
    """Unset empty variables and trim the others, so that libraries read them as `read_variable` does."""
    for name in filter(_OURS.fullmatch, list(os.environ)):
        value = _tidy(name, os.environ[name])
        if not value:
            del os.environ[name]
        elif value != os.environ[name]:
            os.environ[name] = value


def _tidy(name: str, value: str) -> str:
    if is_secret_name(name):
        return value
    return os.path.expanduser(value.strip()) if name in _FOLDERS else value.strip()  # noqa: PTH111


def name_variables(message: str) -> str:
    """Return the message with the names of the environment variables whose values it complains about."""
    names = [name for name, value in _variables.items() if name not in message and _is_about(message, value)]
    if not names:
        return message
    return f"{message} (the value comes from the environment: {', '.join(names)})"


def _is_about(message: str, value: str) -> bool:
    if re.search(r"\W", value):
        return value in message
    word = re.escape(value)  # such as `data`, which may be a word of the sentence
    return bool(re.search(rf"['\"=]{word}(?!\w)|(?<![\w/]){word}/", message))
