"""Extensions: a user's own modules, which declare more kinds and metrics when they are imported.

    python -m src.train extensions=[my_networks] model=densenet

`src.cli.extensions` reads which ones are named. This module imports them. Their kinds and metrics are then in the
registries, and their options are in a folder `conf/` next to the module. The digest of their code is part of a result.
"""

import hashlib
import importlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, get_args

from src.errors import ConfigError
from src.foreign import PROJECT, describe_error, is_library
from src.process.imports import heavy_imports
from src.schema import BEST, METRICS, REGISTRY, TEST, VALIDATION, Direction, Metric

PARAM = "resolved.extensions"  # of a run: names and digests
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_REFERENCE = re.compile(r"[\w.]+:\w+")
RESERVED = ("learning_rate", "epoch_seconds", "images_per_second")  # which a training records besides its metrics


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
    """Return the extensions that a run was trained with: name -> the first 12 digits of the digest.

    Raises:
        ConfigError: the param is not what convlab writes.
    """
    pairs = (item.rpartition(" ") for item in params.get(PARAM, "").split(", ") if item)
    found = {name: digest for name, _, digest in pairs}
    if not all(_NAME.fullmatch(name) for name in found):
        raise ConfigError(f"the param {PARAM} of a run is damaged: {params[PARAM]!r}; train the run again")
    return found


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
    declared = {
        kind for name, group in REGISTRY.items() for kind in group.kinds.values() if kind not in kinds[name].values()
    }
    problem = _problem_of_module(module) or _problem_of_kinds(declared) or _problem_of_metrics(metrics)
    if problem:
        METRICS.clear()
        METRICS.update(metrics)
        raise ConfigError(f"extensions: {name} {problem}")
    is_known = module.__name__ in before and not is_library(_file_of(module)[1])  # imported by other code of the user
    if not declared and metrics == METRICS and not is_known:
        raise ConfigError(
            f"extensions: the module {name} declares neither a kind nor a metric; name the module that does"
        )
    new = [module, *(sys.modules[other] for other in sys.modules.keys() - before)]
    return Extension(name, _digest(module, new), _conf_folder(module))


def _kinds() -> dict[str, dict[str, type]]:
    return {name: dict(group.kinds) for name, group in REGISTRY.items()}


def _problem_of_module(module: ModuleType) -> str | None:
    file = _file_of(module)[1]
    if file.suffix and not file.exists():
        return f"is in an archive, {file}; unpack it, because its digest and its folder conf/ are read from files"
    return None


def _problem_of_kinds(declared: Iterable[type]) -> str | None:
    for kind in declared:
        if "__dataclass_fields__" not in vars(kind):
            return f"declares {kind.__qualname__}, which is not a dataclass; write @dataclass(kw_only=True) above it"
    return None


def _problem_of_metrics(before: Mapping[str, Metric]) -> str | None:
    changed: dict[str, object] = {name: entry for name, entry in METRICS.items() if before.get(name) != entry}
    if taken := [name for name in before if METRICS.get(name) != before[name]]:
        return f"replaces the metric {taken[0]}; choose another name for its metric"
    for name, metric in changed.items():
        if name.startswith((VALIDATION, TEST, BEST)) or name in RESERVED or not re.fullmatch(r"\w+", name):
            return (
                f"declares the metric {name!r}; its name may contain letters, digits and underscores, may not begin "
                f"with {VALIDATION}, {TEST} or {BEST}, which convlab adds for each split, and may not be one of "
                f"{', '.join(RESERVED)}"
            )
        if not isinstance(metric, Metric):
            return f"declares the metric {name!r} as {type(metric).__name__}; expected a Metric of src.schema"
        if metric.direction not in get_args(Direction):
            return f"declares the metric {name!r} with direction={metric.direction!r}; expected maximize or minimize"
        references: dict[str, object] = {"in_epoch": metric.in_epoch, "in_test": metric.in_test}
        for key, reference in references.items():
            is_missing = reference is None and any(references.values())  # one of the two is enough
            if not (is_missing or (isinstance(reference, str) and _REFERENCE.fullmatch(reference))):
                return f"declares the metric {name!r} with {key}={reference!r}; expected 'module:name'"
    return None


def _reason(name: str, error: BaseException) -> str:
    """Return one sentence that says why the import failed, and where."""
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        remedy = (
            f"run the command in the folder that contains {name.partition('.')[0]}, or add that folder to PYTHONPATH"
        )
        if name.endswith(".py"):
            remedy = f"write extensions=[{name.removesuffix('.py')}], without .py"
        return f"extensions: there is no module {error.name}; {remedy}"
    return f"extensions: {name} cannot be imported: {describe_error(error)}; correct it, or remove its name"


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
    files = {name: path for name, path in map(_file_of, new) if path.suffix == ".py" and not is_library(path)}
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
