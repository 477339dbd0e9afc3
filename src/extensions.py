"""Extensions: a user's own modules, which declare more kinds and metrics when they are imported.

    python -m src.train extensions=[my_networks] model=densenet

`src.cli.extensions` reads which ones are named. This module imports them. Their kinds and metrics are then in the
registries, and their options are in a folder `conf/` next to the module. The digest of their code is part of a result.
"""

import functools
import hashlib
import importlib
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from src.errors import ConfigError
from src.process.imports import heavy_imports
from src.schema import BEST, METRICS, REGISTRY, TEST, VALIDATION, Metric

PROJECT = Path(__file__).resolve().parent.parent
PARAM = "resolved.extensions"  # of a run: names and digests
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")
_PROJECT_CODE = ("src", "pipelines", "hydra_plugins")


class Extension(NamedTuple):
    """A user's module, imported.

    Attributes:
        name: of the module, as it is imported.
        digest: SHA-256 in hex of its Python files.
        conf: the folder with its options; None without one.
    """

    name: str
    digest: str
    conf: Path | None


_loaded: dict[str, Extension] = {}


def load_extensions(names: Iterable[str]) -> bool:
    """Import the modules, in this order, and return whether any of them was new.

    Raises:
        ConfigError: a module does not exist, cannot be imported, or declares nothing that can be used.
    """
    new = [name for name in dict.fromkeys(names) if name not in _loaded]
    for name in new:
        _loaded[name] = _load(name)
    return bool(new)


def loaded_extensions() -> Sequence[Extension]:
    """Return the extensions of this process."""
    return list(_loaded.values())


def is_extension(module: str) -> bool:
    """Return whether a module is an extension of this process or a part of one."""
    return any(module == name or module.startswith(f"{name}.") for name in _loaded)


def extension_param() -> dict[str, str]:
    """Return the param that records names and digests in a run; an empty dict without extensions."""
    text = ", ".join(f"{extension.name} {extension.digest[:12]}" for extension in loaded_extensions())
    return {PARAM: text} if text else {}


def recorded_extensions(params: Mapping[str, str]) -> dict[str, str]:
    """Return the extensions that a run was trained with: name -> the first 12 digits of the digest."""
    pairs = (item.rpartition(" ") for item in params.get(PARAM, "").split(", ") if item)
    return {name: digest for name, _, digest in pairs}


def require_extensions(params: Mapping[str, str], run_id: str | None) -> None:
    """Raise ConfigError unless the extensions that a run was trained with are loaded.

    The record of a run never causes an import: anyone who can write into a store could name any code in it.
    """
    wanted = recorded_extensions(params)
    if missing := [name for name in wanted if name not in _loaded]:
        raise ConfigError(
            f"run {run_id} was trained with the extension{'s' * (len(missing) > 1)} {', '.join(missing)}; to load its "
            f"code, add 'extensions=[{','.join([*_loaded, *missing])}]'"
        )


def _load(name: str) -> Extension:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"extensions: got {name!r}, expected the name of a Python module, such as my_networks or my_lab.networks"
        )
    before, metrics, kinds = set(sys.modules), dict(METRICS), _kinds()
    try:
        with heavy_imports():
            module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ConfigError(_reason(name, error)) from error
    _check_metrics(name, metrics)
    is_known = module.__name__ in before and not _is_library(_file_of(module)[1])  # imported by other code of the user
    if (metrics, kinds) == (METRICS, _kinds()) and not is_known:
        raise ConfigError(
            f"extensions: the module {name} declares neither a kind nor a metric; name the module that does"
        )
    new = [module, *(sys.modules[other] for other in sys.modules.keys() - before)]
    return Extension(name, _digest(module, new), _conf_folder(module))


def _kinds() -> dict[str, dict[str, type]]:
    return {name: dict(group.kinds) for name, group in REGISTRY.items()}


def _check_metrics(name: str, before: Mapping[str, Metric]) -> None:
    """Raise ConfigError for metrics whose names cannot be used, and remove them from the table."""
    changed = [metric for metric, entry in METRICS.items() if before.get(metric) != entry]
    removed = [metric for metric in before if metric not in METRICS]
    taken = [metric for metric in changed if metric in before] + removed
    unusable = [
        metric for metric in changed if metric.startswith((VALIDATION, TEST, BEST)) or not re.fullmatch(r"\w+", metric)
    ]
    if not (taken or unusable):
        return
    METRICS.clear()
    METRICS.update(before)
    if taken:
        raise ConfigError(f"extensions: {name} replaces the metric {taken[0]}; choose another name for its metric")
    raise ConfigError(
        f"extensions: {name} declares the metric {unusable[0]!r}; its name may contain letters, digits and underscores"
        f", and may not begin with {VALIDATION}, {TEST} or {BEST}, which convlab adds for each split"
    )


def _reason(name: str, error: BaseException) -> str:
    """Return one sentence that says why the import failed, and where."""
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        remedy = (
            f"run the command in the folder that contains {name.partition('.')[0]}, or add that folder to PYTHONPATH"
        )
        if name.endswith(".py"):
            remedy = f"write extensions=[{name.removesuffix('.py')}], without .py"
        return f"extensions: there is no module {error.name}; {remedy}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith("<") and not _is_library(Path(frame.filename))]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        place = f" ({error.filename}, line {error.lineno})"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return (
        f"extensions: {name} cannot be imported: {type(error).__name__}: {text}{place}; correct it, or remove its name"
    )


def _folder(module: ModuleType) -> Path:
    """Return the folder of a package, or the one that contains the file of a single module."""
    package = next(iter(getattr(module, "__path__", ())), None)
    return Path(package or Path(str(module.__file__)).parent).absolute()


def _conf_folder(module: ModuleType) -> Path | None:
    folder = _folder(module) / "conf"
    return folder if folder.is_dir() and folder.resolve() != PROJECT / "conf" else None


def _digest(module: ModuleType, new: Iterable[ModuleType]) -> str:
    """Return the SHA-256 of a package's Python files, and of the others that importing it has loaded.

    The standard library and installed packages do not count, and neither does this project, which has a digest of its
    own. A file is identified by the name of its module, so the digest is the same in another folder.
    """
    files = {name: path for name, path in map(_file_of, new) if path.suffix == ".py" and not _is_library(path)}
    if hasattr(module, "__path__"):  # with the files that are only imported when something is built
        folder = _folder(module)
        above = folder.parents[module.__name__.count(".")]
        files |= {file.relative_to(above).as_posix(): file for file in folder.rglob("*.py")}
    else:
        files |= [_file_of(module)]
    sha = hashlib.sha256()
    for name, path in sorted(files.items()):
        try:
            content = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise ConfigError(f"extensions: {path} cannot be read ({error.strerror}); correct or remove it") from error
        sha.update(f"{name}\0{len(content)}\0".encode() + content)
    return sha.hexdigest()


def _file_of(module: ModuleType) -> tuple[str, Path]:
    """Return a module's file as it is imported, `my_networks/densenet.py`, and its path; empty for a built-in one."""
    path = Path(getattr(module, "__file__", None) or "")
    name = getattr(module, "__name__", "").replace(".", "/")
    return f"{name}/{path.name}" if path.name == "__init__.py" else f"{name}{path.suffix}", path


@functools.cache
def _libraries() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return (*(Path(paths[key]).resolve() for key in _LIBRARIES), *(PROJECT / name for name in _PROJECT_CODE))


def _is_library(file: Path) -> bool:
    """Return True for a file of the standard library, of an installed package or of this project."""
    return any(file.resolve().is_relative_to(folder) for folder in _libraries())
