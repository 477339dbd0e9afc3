"""Trials that continue after the checkpoint of their chain, when workers are stopped or killed."""

import contextlib
import itertools
import json
import random
import time
from pathlib import Path

import psutil
import pytest

from src.sweep.chains import Chains
from src.tracking import StudyId
from tests.support.sweeps import Study, plan
from tests.support.workplace import Workplace

EPOCHS = 6
SWEEP = [
    *("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_jobs=2", "hydra.sweeper.max_retries=1"),
    *("dataset.limit=3000", "model=lenot", "model.dropout=interval(0,0.5)", f"training.epochs={EPOCHS}"),
    *("training.deterministic=true", "training.checkpoint_minutes=0"),
]


def chains_in(folder: Path) -> Chains:
    return Chains(plan("seed=1,2", f"training.checkpoint_dir={folder}"), StudyId("search", "abc"))


def write_manifest(chains: Chains, chain: int, epoch: int) -> None:
    folder = chains.root / chains.key(chain)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{epoch:05}.json").write_text(json.dumps({"epoch": epoch}))


def test_the_epoch_of_a_chain_is_that_of_its_newest_checkpoint(tmp_path: Path) -> None:
    chains = chains_in(tmp_path / "checkpoints")
    assert chains.epoch(3) == 0
    for epoch in (2, 11, 4):
        write_manifest(chains, 3, epoch)
    assert (chains.epoch(3), chains.epoch(2)) == (11, 0)


def test_a_chain_whose_folder_cannot_be_read_has_no_known_epoch(tmp_path: Path) -> None:
    chains = chains_in(tmp_path / "checkpoints")
    chains.root.mkdir()
    folder = chains.root / chains.key(3)
    folder.symlink_to(folder)
    assert chains.epoch(3) == 0


def test_checkpoints_of_ended_chains_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    chains = chains_in(tmp_path / "checkpoints")
    for chain in (1, 2, 3):
        write_manifest(chains, chain, 1)
    another = chains.root / "trial-other-1"
    another.mkdir()
    chains.remove_others({2})
    assert sorted(folder.name for folder in chains.root.iterdir()) == [chains.key(2), another.name]


def test_the_folder_of_all_checkpoints_goes_with_the_last_one(tmp_path: Path) -> None:
    chains = chains_in(tmp_path / "checkpoints")
    write_manifest(chains, 1, 1)
    chains.remove(1)
    assert not chains.root.exists()


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if "src.sweep.worker" in " ".join(command_of(child))]


def command_of(process: psutil.Process) -> list[str]:
    """The command of a process, empty if it has just ended."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def wait_for_epochs(study: Study, seen: int) -> int:
    """Return the number of epochs that all trials have reported, once it is larger than `seen`."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            reported = sum(len(trial.intermediate_values) for trial in study.study.trials)
        except Exception:  # the study is just being made
            reported = 0
        if reported > seen:
            return reported
        time.sleep(0.05)
    raise TimeoutError("no epoch ended")


def assert_no_epoch_was_trained_twice(study: Study) -> None:
    """Assert that every attempt of a chain begins after the last epoch that the one before it has reported."""
    by_chain: dict[int, list[int]] = {}
    trials = study.study.trials
    for trial in trials:
        by_chain.setdefault(trial.user_attrs.get("chain", trial.number), []).append(trial.number)
    for numbers in by_chain.values():
        for before, after in itertools.pairwise(numbers):
            started = int(study.children[after].data.tags.get("resumed", 0))
            assert max(trials[before].intermediate_values, default=0) <= started
        assert set(trials[numbers[-1]].intermediate_values) == set(range(1, EPOCHS + 1))
        run = study.children[numbers[-1]]
        steps = [point.step for point in study.client.get_metric_history(run.info.run_id, "loss")]
        assert sorted(steps) == list(range(1, EPOCHS + 1))


@pytest.mark.fault
@pytest.mark.parametrize(("trials", "kills"), [(2, 2), pytest.param(6, 10, marks=pytest.mark.slow)])
def test_killed_workers_cost_no_epoch_and_the_total_is_exact(workplace: Workplace, trials: int, kills: int) -> None:
    retries = f"hydra.sweeper.max_retries={kills}"  # by chance, one trial may be killed each time before its next epoch
    process = workplace.start("src.train", *SWEEP, f"hydra.sweeper.n_trials={trials}", retries)
    study, chance, seen = Study(workplace.folder), random.Random(1), 0
    for _ in range(kills):
        seen = wait_for_epochs(study, seen)
        time.sleep(chance.uniform(0, 1))
        if workers := workers_of(psutil.Process(process.pid)):
            chance.choice(workers).kill()
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    study.assert_whole(trials)
    assert_no_epoch_was_trained_twice(study)
    assert not (workplace.folder / "checkpoints").exists()


@pytest.mark.slow  # the test above has chains that were killed
def test_the_pruner_sees_the_earlier_values_of_a_trial_that_was_stopped(workplace: Workplace) -> None:
    command = [*SWEEP, "hydra.sweeper.n_trials=1", "hydra.sweeper.n_jobs=1"]
    process = workplace.start("src.train", *command)
    study = Study(workplace.folder)
    wait_for_epochs(study, 1)
    process.terminate()
    process.communicate(timeout=120)
    stopped = study.study.trials[0]
    assert workplace.run("src.train", *command).returncode == 0
    values = study.study.trials[1].intermediate_values
    assert len(values) == EPOCHS
    assert {epoch: values[epoch] for epoch in stopped.intermediate_values} == stopped.intermediate_values
    assert study.children[1].data.tags["retry_of"] == "0"
    assert_no_epoch_was_trained_twice(study)
