"""Show the state of sweeps, stop one, resume one, or work on one, from another terminal or machine.

python -m src.sweep status
python -m src.sweep status STUDY
python -m src.sweep stop STUDY --storage postgresql://ada@db.example/optuna
python -m src.sweep resume STUDY --n-trials 40
python -m src.sweep work STUDY --n-jobs 2 dataset.data_dir=/mnt/data
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from src import console, study
from src.cli.command import run_command
from src.cli.extensions import take_extensions
from src.cli.flags import Flags
from src.errors import ConfigError
from src.places import read_variable
from src.sweep.joining import plan_of_study
from src.sweep.running import run_study

ACTIONS = ("status", "stop", "resume", "work")


class Typed(NamedTuple):
    """What was typed: the action, the study (None for all of them), the storage, and for those who join a sweep more.

    Attributes:
        action: one of `ACTIONS`.
        study: the name of the study, None for all of them.
        storage: the address of the storage.
        n_jobs: how many worker processes this command starts.
        n_trials: how many trials the study has in the end, None for as many as before.
        places: paths and addresses, such as `dataset.data_dir=/mnt/data`.
    """

    action: str
    study: str | None
    storage: str
    n_jobs: int = 1
    n_trials: int | None = None
    places: Sequence[str] = ()


def show_status(study_name: str | None, storage_url: str) -> None:
    """Print the counts of each study, or the trials of one."""
    storage = study.open_existing(storage_url)
    if study_name is not None:
        opened = study.find_study(study_name, storage.optuna)
        rows = study.trial_rows(opened.get_trials(deepcopy=False))
        console.table(study_name, console.TRIAL_COLUMNS, [console.trial_cells(row) for row in rows])
        return
    cells = []
    for name in study.study_names(storage.optuna):
        rows = study.trial_rows(study.find_study(name, storage.optuna).get_trials(deepcopy=False))
        states = [row.state for row in rows]
        cells.append((name, *(str(states.count(state)) for state in ("COMPLETE", "PRUNED", "FAIL", "RUNNING"))))
    console.table("studies", ("study", "complete", "pruned", "failed", "running"), cells)


def stop(study_name: str, storage_url: str) -> None:
    """Ask every worker of the study to stop: running trials end with their epoch, and no other begins."""
    storage = study.open_existing(storage_url)
    opened = study.find_study(study_name, storage.optuna)
    running = [row for row in study.trial_rows(opened.get_trials(deepcopy=False)) if row.state == "RUNNING"]
    storage.patience.call(lambda: study.ask_to_stop(opened))
    console.say(f"asked {study_name} to stop; running trials: {len(running)}. To resume, repeat the sweep's command")


def join(name: str, typed: Typed) -> None:
    """Train trials of a study that exists until it has all of them, then write its report.

    Args:
        name: of the study.
        typed: what was typed. `work` does nothing for a study that was asked to stop; `resume` withdraws that request.
    """
    with closing(study.open_existing(typed.storage)) as storage:
        opened = study.find_study(name, storage.optuna)
        study.kept_definition(opened)
        if typed.action == "resume":
            order = study.order_of(opened)
            study.place_order(opened, study.Order(typed.n_trials or order.n_trials, None))
            study.ask_to_stop(opened, False)
        elif study.is_stopped(opened):
            console.say(f"{name} was asked to stop; to continue it: python -m src.sweep resume {name}")
            return
    run_study(plan_of_study(name, typed.storage, take_extensions(typed.places), typed.n_jobs), joins=True)


def read_arguments(arguments: Sequence[str]) -> Typed:
    """Return what was typed.

    Raises:
        ConfigError: an unknown action or flag, an empty value, no study, or a flag of another action.
    """
    parser = Flags(
        prog="python -m src.sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=ACTIONS, help="status: all studies, or the trials of one")
    parser.add_argument("study", nargs="?", help="its name, as `status` lists it")
    parser.add_argument("places", nargs="*", help="work, resume: paths of this machine, dataset.data_dir=FOLDER")
    parser.add_argument("--storage", help="Optuna's database; $OPTUNA_STORAGE or sqlite:///optuna.db")
    parser.add_argument("--n-jobs", type=int, help="work, resume: worker processes of this command; 1")
    parser.add_argument("--n-trials", type=int, help="resume: trials of the study in the end")
    typed = parser.parse_intermixed_args(
        [f"--{argument}" if argument.startswith("storage=") else argument for argument in arguments]
    )
    for name in ("storage", "study"):
        if (given := getattr(typed, name)) is not None and not given.strip():
            raise ConfigError(f"{name}: got an empty string; give a value, or remove it")
    if typed.action != "status" and typed.study is None:
        raise ConfigError(f"{typed.action}: name the study; python -m src.sweep status lists them")
    _check_flags(typed)
    storage = typed.storage or read_variable("OPTUNA_STORAGE") or "sqlite:///optuna.db"
    return Typed(typed.action, typed.study, storage, typed.n_jobs or 1, typed.n_trials, typed.places)


def _check_flags(typed: argparse.Namespace) -> None:
    """Raise ConfigError for a flag that its action does not have, and for a number below 1."""
    extra = {"--n-jobs": typed.n_jobs, "--n-trials": typed.n_trials, "paths": typed.places or None}
    allowed = {"resume": set(extra), "work": {"--n-jobs", "paths"}}.get(typed.action, set())
    for name, value in extra.items():
        if value is not None and name not in allowed:
            raise ConfigError(f"{typed.action} has no {name}; remove {' '.join(typed.places) or f'{name} {value}'}")
        if isinstance(value, int) and value < 1:
            raise ConfigError(f"{name}: got {value}, expected at least 1")


def main() -> None:
    """Run the action of the command line."""
    run_command(_main)


def _main() -> None:
    typed = read_arguments(sys.argv[1:])
    if typed.study is None or typed.action == "status":
        show_status(typed.study, typed.storage)
    elif typed.action == "stop":
        stop(typed.study, typed.storage)
    else:
        join(typed.study, typed)


if __name__ == "__main__":
    main()
