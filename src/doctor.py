"""Find what is wrong in a store, and repair it.

python -m src.doctor
python -m src.doctor fix=true
python -m src.doctor clean=true
python -m src.doctor discard=RUN
python -m src.doctor sync=FOLDER
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from src import console, diagnosis, study, tracking
from src.cli.command import entry_point
from src.errors import FaultsLeft, StoreError, first_line
from src.places import is_writable, local_path, sqlite_file
from src.results import DoctorResult
from src.schema import DoctorConfig

MAX_SHOWN = 10  # findings of one kind; faults are always shown


def examine(config: DoctorConfig) -> DoctorResult:
    """Check a store, print what is wrong, and repair what the settings allow. Nothing else in the store is changed.

    Raises:
        StoreError: the store or the storage does not exist or cannot be reached, repairs cannot be written, or the
            checkpoints to discard do not exist.
    """
    store = tracking.Survey(config.tracking, will_write=config.fix)
    total = DoctorResult()
    with open_studies(config) as storage, tracking.explain_store_errors(config.tracking.uri):
        if config.storage is not None and storage is None and store.has_trials():
            console.say(
                f"trials are not checked, because {config.storage} does not exist; name their storage: storage=ADDRESS"
            )
        case = diagnosis.Case(store, storage, config)
        if config.discard and not (case.checkpoints / config.discard).is_dir():
            raise StoreError(
                f"discard={config.discard}: {case.checkpoints} contains no folder with this name; if the checkpoints "
                "are in another folder, add checkpoint_dir=FOLDER"
            )
        for check in diagnosis.CHECKS:
            if findings := list(check.find(case)):
                console.say(f"{check.title}:")
                total += report(findings, config)
    return total


@contextmanager
def open_studies(config: DoctorConfig) -> Iterator[study.Storage | None]:
    """Yield the storage of the studies, None if it does not exist or can only be read.

    Raises:
        StoreError: the storage that was named does not exist, cannot be used, or fails inside the block.
    """
    if config.storage is None:
        yield None
        return
    file = sqlite_file(config.storage)
    if file is not None and not file.exists():
        if config.storage != DoctorConfig.storage:
            raise StoreError(
                f"storage={config.storage} does not exist; name the storage of the sweeps, or check no trials: "
                "storage=null"
            )
        yield None
        return
    if file is not None and not is_writable(file):
        console.say(f"trials are not checked, because {file.absolute()} or its folder is read-only")
        yield None
        return
    with closing(open_storage(config)) as storage:
        try:
            yield storage
        except Exception as error:
            if study.is_outage(error):
                raise StoreError(f"{config.storage} failed: {first_line(error)}") from error
            raise


def open_storage(config: DoctorConfig) -> study.Storage:
    """Return the storage that the configuration names; an error names the doctor's own key for it.

    Raises:
        StoreError: the storage cannot be used.
    """
    assert config.storage is not None
    try:
        return study.open_storage(config.storage, config.tracking.uri)
    except StoreError as error:
        raise StoreError(str(error).replace(study.SETTING, "storage")) from error


def report(findings: Sequence[diagnosis.Finding], config: DoctorConfig) -> DoctorResult:
    """Print findings of one kind, make the repairs that the settings allow, and return the counts."""
    total, hidden = DoctorResult(), 0
    for index, finding in enumerate(sorted(findings, key=lambda finding: not finding.is_fault)):
        done, line = repair(finding, config)
        total += count(finding, done)
        if index >= MAX_SHOWN and not finding.is_fault and not done:
            hidden += 1
            continue
        console.say(f"- {finding.subject} {finding.problem}{'' if line else size_of(finding)}")
        for text in filter(None, (line, "" if done else finding.advice)):
            console.say(f"    {text}".replace("\n", "\n      "))
    if hidden:
        console.say(f"- and {hidden} more")
    return total


def repair(finding: diagnosis.Finding, config: DoctorConfig) -> tuple[bool, str]:
    """Make the repair of a finding if the settings allow it; return whether it was made, and a line about it."""
    wanted = finding.repair
    if wanted is None:
        return False, ""
    if wanted.setting not in settings_of(config):
        return False, f"{wanted.setting} will {wanted.action}{size_of(finding)}"
    try:
        wanted.apply()
    except Exception as error:
        return False, f"could not {wanted.action}: {first_line(error)}"
    return True, f"done: {wanted.outcome}{size_of(finding)}"


def settings_of(config: DoctorConfig) -> set[str]:
    """Return the settings of this command that allow a change, as a user types them."""
    allowed = {diagnosis.FIX: config.fix, diagnosis.CLEAN: config.clean, f"discard={config.discard}": config.discard}
    return {setting for setting, is_allowed in allowed.items() if is_allowed}


def size_of(finding: diagnosis.Finding) -> str:
    """Return the size of a finding in parentheses; nothing without a size."""
    return f" ({console.size(finding.size)})" if finding.size else ""


def count(finding: diagnosis.Finding, done: bool) -> DoctorResult:
    """Return the counts of one finding, which was repaired or not."""
    is_cleaning = finding.repair is not None and finding.repair.setting == diagnosis.CLEAN
    return DoctorResult(
        faults=int(finding.is_fault),
        repaired=int(finding.is_fault and done),
        repairable=int(finding.is_fault and not done and finding.repair is not None),
        freed=finding.size if done else 0,
        freeable=finding.size if is_cleaning and not done else 0,
    )


def explain(result: DoctorResult, config: DoctorConfig) -> str:
    """Return the message for the faults that are left."""
    faults = "1 fault is" if result.left == 1 else f"{result.left} faults are"
    if config.fix or not result.repairable:
        return f"{faults} left in {config.tracking.uri}; the lines above say what to do"
    them = "all of them" if result.repairable == result.left else f"{result.repairable} of them"
    if result.left == 1:
        them = "it"
    return f"{faults} in {config.tracking.uri}; to repair {them}, repeat the command with {diagnosis.FIX}"


@entry_point("doctor", only_prints=True)
def main(config: DoctorConfig, overrides: list[str]) -> None:
    """Check the store, and fail if something is wrong in it; or deliver what a store did not get."""
    if config.sync is not None:
        is_typed = any(typed.startswith("tracking.uri=") for typed in overrides)
        delivery = tracking.deliver(local_path(config.sync), config.tracking.uri if is_typed else None)
        console.say(delivery.message)
        return
    result = examine(config)

    if result.freed:
        console.say(f"freed {console.size(result.freed)}")
    if result.freeable:
        console.say(f"{diagnosis.CLEAN} will free {console.size(result.freeable)}")
    if result.left:
        raise FaultsLeft(explain(result, config))
    repaired = f" ({result.repaired} repaired)" if result.repaired else ""
    console.say(f"nothing is wrong in {config.tracking.uri}{repaired}")


if __name__ == "__main__":
    main()
