"""Addresses of pages of the MLflow UI, and commands that are printed for the user to type."""

import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from src.cli.conf import CONF
from src.cli.mistakes import quoted
from src.extensions import loaded_extensions
from src.places import read_variable, resolve_address, sqlite_file
from src.redact import HIDDEN, redact
from src.schema import Config, ImageFolderConfig, TrackingConfig, TransferConfig, UiConfig

PROJECT = Path(__file__).resolve().parent.parent
LOCAL = CONF / "local" / "default.yaml"  # the settings of this machine, which need not exist
VARIABLE = "MLFLOW_TRACKING_URI"
# MLflow 3.17 has two sides, and a browser that has not chosen one gets the side for language models. With this
# parameter in its address, a page opens on the side for trained models.
SIDE = "workflowType=machine_learning"
SEARCH = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=10", "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))")
EXPERIMENTS = f"#/experiments?{SIDE}"


def run_page(experiment_id: str, run_id: str) -> str:
    """Return the page of a run. MLflow also has `#/runs/RUN`, but it drops the rest of the address."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{SIDE}"


def runs_page(experiment_id: str, view: str | None = None) -> str:
    """Return the page of an experiment's runs, with the columns of the saved view that has this key."""
    return f"#/experiments/{experiment_id}/runs?{SIDE}" + (f"&viewStateShareKey={view}" if view else "")


def version_page(name: str, number: int) -> str:
    """Return the page of a version of a registered model."""
    return f"#/models/{quote(name, safe='')}/versions/{number}?{SIDE}"


def is_server(uri: str) -> bool:
    """Return whether the address is that of a tracking server, which has a UI of its own."""
    return uri.strip().lower().startswith(("http://", "https://"))


def address(server: str, page: str) -> str:
    """Return the address of a page on a server, without a user and a password: the server asks for them."""
    parts = urlsplit(server.strip())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/{page}"


def local_address(page: str, port: int = UiConfig.port) -> str:
    """Return the address of a page in the UI that `make ui` opens on this machine."""
    return address(f"http://127.0.0.1:{port}", page)


def ui_command(uri: str) -> list[str]:
    """Return the `make ui` command that shows the store, as a list of words.

    The command names the store unless it is the project's own and the environment names no other one. So it works in
    another terminal too.
    """
    command = ["make", "ui"] if Path.cwd() == PROJECT else ["make", "-C", str(PROJECT), "ui"]
    default = _place(TrackingConfig.uri, PROJECT)
    if {_place(uri, Path.cwd()), _place(read_variable(VARIABLE) or TrackingConfig.uri, PROJECT)} != {default}:
        command.append(f"URI={resolve_address(uri, Path.cwd())}")
    return command


def mlflow_command(uri: str, *arguments: str) -> str:
    """Return a command of MLflow, typed in this terminal; it names the store unless MLflow finds that by itself."""
    command = shlex.join(["mlflow", *arguments])
    if _is_default_store(uri):  # MLflow uses the same one by default
        return command
    return f"{VARIABLE}={shlex.quote(resolve_address(uri, Path.cwd()))} {command}"


def restore_command(uri: str, run_id: str) -> str:
    """Return the command that restores a run that was deleted, typed in this terminal."""
    return mlflow_command(uri, "runs", "restore", "--run-id", run_id)


def same_command() -> str:
    """Return the command that was typed, ready to be typed again."""
    module = sys.modules["__main__"].__spec__
    name = module.name.removesuffix(".__main__") if module is not None else "src.train"
    typed = f"python -m {name} {shlex.join(sys.argv[1:])}".rstrip()
    return typed if redact(typed) == typed else f"{redact(typed)} (with the values that {HIDDEN} hides)"


def resume_command(uri: str, run_id: str) -> str:
    """Return the command that continues an interrupted run, typed in this terminal."""
    return train_command(f"resume={run_id}", *_named_store(uri, _is_store_of_trainings))


def resume_art_command(command: str, uri: str, run_id: str) -> str:
    """Return the command that continues a picture that `src.dream` or `src.style` makes, typed in this terminal."""
    store = _named_store(uri, _is_default_store)
    return shlex.join(["python", "-m", f"src.{command}", f"resume={run_id}", *store])


def train_command(*overrides: str) -> str:
    """Return the command that trains with these overrides and the extensions that are loaded."""
    names = ",".join(extension.name for extension in loaded_extensions())
    extensions = [f"extensions=[{names}]"] if names else []
    return shlex.join(["python", "-m", "src.train", *overrides, *extensions])


def next_commands(config: Config, typed: Sequence[str], run_id: str | None) -> list[tuple[str, str]]:
    """Return commands to try after a training on a user's own images: what each does, and the command.

    Args:
        config: of the training.
        typed: its overrides.
        run_id: its run, None if it was not tracked.
    """
    data = [word for word in typed if _is_about(word, "dataset")]
    found = [("what is in the images: copies in two splits, classes with few images", ["src.check_data", *data])]
    if not isinstance(config.model, TransferConfig):
        words = [word for word in typed if not _is_about(word, "model")]
        found.append(
            ("a network that was trained on a million photos, downloaded once", ["src.train", *words, "model=transfer"])
        )
    if not config.augmentation.changes_images:
        words = [word for word in typed if not _is_about(word, "augmentation")]
        varied = ["augmentation=photos"] if config.dataset.flips else ["augmentation=photos", "dataset.flips=true"]
        found.append(("images varied at random, if mirrored ones keep their class", ["src.train", *words, *varied]))
    words = [word for word in typed if not _is_about(word, "optimizer.learning_rate")]
    found.append(("a search for a learning rate, with ten trainings", ["src.train", "-m", *words, *SEARCH]))
    if run_id and isinstance(config.dataset, ImageFolderConfig):
        place = config.dataset.place
        images = "images=" + (place if re.fullmatch(r"[\w./-]+", place) else quoted(place))
        store = _named_store(config.tracking.uri, _is_default_store)
        found.append(("the class of each image in a folder", ["src.predict", f"run_id={run_id}", images, *store]))
    return [(purpose, shlex.join(["python", "-m", *words])) for purpose, words in found]


def _is_about(typed: str, name: str) -> bool:
    """Return True if an override sets a group or a key, or something in it."""
    return re.match(rf"[+~]*{re.escape(name)}(?![\w-])", typed) is not None


def doctor_command(uri: str, *overrides: str) -> str:
    """Return the command that checks a store, typed in this terminal."""
    return shlex.join(["python", "-m", "src.doctor", *overrides, *_named_store(uri, _is_default_store)])


def label_command(uri: str, run_id: str) -> str:
    """Return the command that lists the labels that a run's predictions contradict, typed in this terminal."""
    return shlex.join(["python", "-m", "src.check_data", f"run_id={run_id}", *_named_store(uri, _is_default_store)])


def deliver_command(folder: Path) -> str:
    """Return the command that delivers what a folder `.undelivered/RUN_ID` keeps."""
    return shlex.join(["python", "-m", "src.doctor", f"sync={folder}"])


def _named_store(uri: str, is_default: Callable[[str], bool]) -> list[str]:
    """Return the override that names a store, or none if it is the one that a command without it uses."""
    return [] if is_default(uri) else [f'tracking.uri="{uri.strip()}"']


def _is_store_of_trainings(uri: str) -> bool:
    """Return True if a training uses the store by default; False if the settings of this machine may name another."""
    is_chosen = LOCAL.is_file() and "tracking" in LOCAL.read_text(encoding="utf-8", errors="replace")
    return not is_chosen and _is_default_store(uri)


def _is_default_store(uri: str) -> bool:
    """Return True if the store is the one that the environment names, or the default where it names none."""
    return _place(uri, Path.cwd()) == _place(read_variable(VARIABLE) or TrackingConfig.uri, Path.cwd())


def _place(uri: str, folder: Path) -> str:
    """Return what identifies the store at an address: for a file its real path, with links followed."""
    file = sqlite_file(uri)
    return uri.strip() if file is None else os.path.realpath(folder / file)
