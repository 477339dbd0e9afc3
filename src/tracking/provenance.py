"""The origin of a run: command, code, machine, packages."""

import functools
import getpass
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

from src.links import same_command
from src.schema import Config
from src.tracking.process import process_name
from src.tracking.tags import COMMAND, HOST, PROCESS

ROOT = Path(__file__).resolve().parent.parent.parent
# Packages and files of src/ that can change the result of a training. A test checks that they import no others of src/,
# except `train.py`, which also calls what records and draws.
RESULT_CODE = (
    "checkpointing",
    "datasets",
    "fitting",
    "models",
    "saving",
    "schema",
    "process",
    "confidence.py",
    "errors.py",
    "extensions.py",
    "foreign.py",
    "learning_rates.py",
    "places.py",
    "redact.py",
    "writing.py",
    "train.py",
)


def standard_tags(config: Config) -> dict[str, str]:
    """Return the tags of a training: its network, its data set and its origin."""
    return {"model": config.model.name, "dataset": config.dataset.name} | origin_tags()


def process_tags() -> dict[str, str]:
    """Return the tags that name this process and its machine."""
    return {HOST: platform.node(), PROCESS: process_name()}


@functools.cache  # later changes of the code do not change what this process has imported
def origin_tags() -> dict[str, str]:
    """Return the tags that say where, by whom and from which code a run was started."""
    tags = {
        "host": platform.node(),
        **process_tags(),
        "mlflow.user": _user(),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": command_name(),
    }
    if commit := git("rev-parse", "HEAD").strip():
        tags |= {"mlflow.source.git.commit": commit, "git_dirty": "true" if git("status", "--porcelain") else "false"}
    return tags


def command_tags() -> dict[str, str]:
    """Return the tag with the command that was typed, secrets hidden; no tag without a command, as in a notebook."""
    return {} if getattr(sys.modules["__main__"], "__spec__", None) is None else {COMMAND: same_command()}


def command_name() -> str:
    """Return how this process was started, without arguments: `python -m src.train`, `python notebook.py`.

    A process that `multiprocessing` spawned has the name of the command that spawned it.
    """
    module = getattr(sys.modules["__main__"], "__spec__", None)
    if module is not None:
        return f"python -m {module.name.removesuffix('.__main__')}"
    return f"python {Path(sys.argv[0]).name}".rstrip()


def source_tags() -> dict[str, str]:
    """Return the tags that MLflow's own pages read: the user, the command and the commit."""
    return {name: value for name, value in origin_tags().items() if name.startswith("mlflow.")}


@functools.cache
def code_digest() -> str:
    """Return the SHA-256 in hex of all Python files of `src/`, by name and content, with or without git."""
    return _digest((ROOT / "src").rglob("*.py"))


@functools.cache
def result_code_digest() -> str:
    """Return the SHA-256 in hex of the Python files that can change the result of a training: those of `RESULT_CODE`.

    The result is the metrics and the model. The other packages search, record, draw, print and explain; what they
    decide for a training is in its configuration. So a new color or a better sentence there trains nothing again.
    """
    parts = [ROOT / "src" / name for name in RESULT_CODE]
    return _digest(file for part in parts for file in ([part] if part.suffix else part.rglob("*.py")))


def _digest(files: Iterable[Path]) -> str:
    sha = hashlib.sha256()
    for path in sorted(files):
        sha.update(f"{path.relative_to(ROOT).as_posix()}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return sha.hexdigest()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def git(*arguments: str) -> str:
    """Return git's output for the project, empty when the project is not a checkout or git is not installed."""
    if shutil.which("git") is None:
        return ""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    return done.stdout.decode(errors="replace") if done.returncode <= 1 else ""  # 1: there are differences


def difference() -> str:
    """Return a patch from the commit to the project as it is, with new Python and YAML files; empty without changes."""
    new = git("ls-files", "-z", "--others", "--exclude-standard", "--", "*.py", "*.yaml").split("\0")
    patches = [git("diff", "--no-index", "--", os.devnull, name) for name in new if name]
    return "".join([git("diff", "HEAD"), *patches])


def packages() -> str:
    """Return the Python version and every installed package, one on each line."""
    found = sorted({f"{package.metadata['Name']}=={package.version}" for package in distributions()}, key=str.lower)
    return "\n".join([f"# Python {platform.python_version()}", *found]) + "\n"
