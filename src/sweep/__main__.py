"""Show the state of sweeps, stop one, resume one, or work on one, from another terminal or machine.

python -m src.sweep status
python -m src.sweep status STUDY
python -m src.sweep watch STUDY
python -m src.sweep stop STUDY --storage postgresql://ada@db.example/optuna
python -m src.sweep resume STUDY --n-trials 40
python -m src.sweep work STUDY --n-jobs 2 dataset.data_dir=/mnt/data
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from src.cli.command import run_command
from src.cli.flags import Flags
from src.errors import ConfigError
from src.places import local_path
from src.process.output import lasting_output
from src.sweep.joining import resume, work
from src.sweep.looking import default_storage, show_studies, show_trials, stop, watch

ACTIONS = ("status", "watch", "stop", "resume", "work")


class Typed(NamedTuple):
    """The words that were typed.

    Attributes:
        action: one of `ACTIONS`.
        study: the name of the study, None for all of them.
        storage: the address of the storage.
        n_jobs: how many worker processes this command starts.
        n_trials: how many trials the study has in the end, None for as many as before.
        log: the file for the output of this command, None for the terminal.
        places: paths and addresses, such as `dataset.data_dir=/mnt/data`.
    """

    action: str
    study: str | None
    storage: str
    n_jobs: int = 1
    n_trials: int | None = None
    log: Path | None = None
    places: Sequence[str] = ()


def read_arguments(arguments: Sequence[str]) -> Typed:
    """Return what was typed.

    Raises:
        ConfigError: an unknown action or flag, an empty value, no study, or a flag that the action does not take.
    """
    parser = Flags(
        prog="python -m src.sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "action",
        choices=ACTIONS,
        help="status: list the studies, or the trials of one; watch: print each trial that ends; stop: ask all workers "
        "to stop; resume: continue the sweep, or add trials; work: add workers",
    )
    parser.add_argument("study", nargs="?", help="its name, as `status` lists it")
    parser.add_argument(
        "places", nargs="*", help="work, resume: paths of this machine, such as dataset.data_dir=FOLDER"
    )
    parser.add_argument("--storage", help="Optuna's database; $OPTUNA_STORAGE or sqlite:///optuna.db")
    parser.add_argument("--n-jobs", type=int, help="work, resume: worker processes of this command (default: 1)")
    parser.add_argument("--n-trials", type=int, help="resume: how many trials the study has in the end")
    parser.add_argument("--log", help="work, resume: a file to which the output of this command is appended")
    typed = parser.parse_intermixed_args(
        [f"--{argument}" if argument.startswith("storage=") else argument for argument in arguments]
    )
    for name in ("storage", "study", "log"):
        if (given := getattr(typed, name)) is not None and not given.strip():
            raise ConfigError(f"{name}: got an empty string; give a value, or remove it")
    if typed.action != "status" and typed.study is None:
        raise ConfigError(f"{typed.action}: name the study; python -m src.sweep status lists them")
    _check_flags(typed)
    storage = typed.storage or default_storage()
    log = None if typed.log is None else local_path(typed.log).absolute()
    return Typed(typed.action, typed.study, storage, typed.n_jobs or 1, typed.n_trials, log, typed.places)


def _check_flags(typed: argparse.Namespace) -> None:
    """Raise ConfigError for a flag that the action does not take, and for a number below 1."""
    extra = {"--n-jobs": typed.n_jobs, "--n-trials": typed.n_trials, "--log": typed.log, "paths": typed.places or None}
    allowed = {"resume": set(extra), "work": {"--n-jobs", "--log", "paths"}}.get(typed.action, set())
    for name, value in extra.items():
        if value is not None and name not in allowed:
            raise ConfigError(f"{typed.action} takes no {name}; remove {' '.join(typed.places) or f'{name} {value}'}")
        if isinstance(value, int) and value < 1:
            raise ConfigError(f"{name}: got {value}, expected at least 1")


def main() -> None:
    """Run the action of the command line."""
    run_command(_main)


def _main() -> None:
    typed = read_arguments(sys.argv[1:])
    match typed.action, typed.study:
        case "status", None:
            show_studies(typed.storage)
        case "status", str(name):
            show_trials(name, typed.storage)
        case "watch", str(name):
            watch(name, typed.storage)
        case "stop", str(name):
            stop(name, typed.storage)
        case "resume", str(name):
            with lasting_output():
                resume(name, typed.storage, typed.places, typed.n_jobs, typed.log, typed.n_trials)
        case "work", str(name):
            with lasting_output():
                work(name, typed.storage, typed.places, typed.n_jobs, typed.log)


if __name__ == "__main__":
    main()
