"""How a sweep stands, and how to stop it, from another terminal or machine.

python -m src.sweep status
python -m src.sweep status STUDY
python -m src.sweep stop STUDY --storage postgresql://ada@db.example/optuna
"""

import argparse
import sys

from src import console, study
from src.errors import ConfigError, UserError
from src.places import name_variables, read_variable, tidy_environment
from src.redact import redact


def status(study_name: str | None, storage_url: str) -> None:
    """Prints how each study stands, or the trials of one."""
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
    """Asks everybody who works on the study to stop: running trials end with their epoch, no other begins."""
    opened = study.find_study(study_name, study.open_existing(storage_url).optuna)
    running = [row for row in study.trial_rows(opened.get_trials(deepcopy=False)) if row.state == "RUNNING"]
    study.ask_to_stop(opened)
    console.say(
        f"asked {study_name} to stop; {len(running)} trials are running. The sweep's own command goes on with it"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m src.sweep", description="How a sweep stands, and how to stop it.")
    tidy_environment()
    storage = read_variable("OPTUNA_STORAGE") or "sqlite:///optuna.db"
    parser.add_argument("--storage", default=storage, help="Optuna's database; $OPTUNA_STORAGE or sqlite:///optuna.db")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("status", help="all studies, or the trials of one").add_argument("study", nargs="?")
    actions.add_parser("stop", help="let the running trials end with their epoch").add_argument("study")
    typed = parser.parse_args()
    try:
        for name in ("storage", "study"):
            if (given := getattr(typed, name)) is not None and not given.strip():
                raise ConfigError(f"{name}: got an empty string; give a value, or remove it")
        (status if typed.action == "status" else stop)(typed.study, typed.storage)
    except UserError as error:
        print(f"error: {redact(name_variables(str(error)))}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
