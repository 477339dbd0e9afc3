"""Show the state of sweeps, or stop one, from another terminal or machine.

python -m src.sweep status
python -m src.sweep status STUDY
python -m src.sweep stop STUDY --storage postgresql://ada@db.example/optuna
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from src import console, study
from src.cli.command import run_command
from src.cli.flags import Flags
from src.errors import ConfigError
from src.places import read_variable

ACTIONS = ("status", "stop")


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


def read_arguments(arguments: Sequence[str]) -> tuple[str, str | None, str]:
    """Return the action, the study (None for all of them) and the storage.

    Raises:
        ConfigError: an unknown action or flag, an empty value, or no study to stop.
    """
    parser = Flags(
        prog="python -m src.sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=ACTIONS, help="status: all studies, or the trials of one")
    parser.add_argument("study", nargs="?", help="its name, as `status` lists it")
    parser.add_argument("--storage", help="Optuna's database; $OPTUNA_STORAGE or sqlite:///optuna.db")
    typed = parser.parse_intermixed_args(
        [f"--{argument}" if argument.startswith("storage=") else argument for argument in arguments]
    )
    for name in ("storage", "study"):
        if (given := getattr(typed, name)) is not None and not given.strip():
            raise ConfigError(f"{name}: got an empty string; give a value, or remove it")
    if typed.action == "stop" and typed.study is None:
        raise ConfigError("stop: name the study; python -m src.sweep status lists them")
    return typed.action, typed.study, typed.storage or read_variable("OPTUNA_STORAGE") or "sqlite:///optuna.db"


def main() -> None:
    """Run the action of the command line."""
    run_command(_main)


def _main() -> None:
    action, study_name, storage = read_arguments(sys.argv[1:])
    if action == "stop" and study_name is not None:
        stop(study_name, storage)
    else:
        show_status(study_name, storage)


if __name__ == "__main__":
    main()
