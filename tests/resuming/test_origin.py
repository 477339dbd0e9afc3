"""A training is only resumed as the same training: settings, data, code and packages are compared."""

import re
import shutil

import pytest
import yaml

from src import train
from src.checkpointing import newest
from src.cli.compose import compose_config
from src.tracking import CHANGED
from src.tracking.tags import FINGERPRINT, PLANNED
from tests.support.interruptions import LIGHT, Interruption, Typed, assert_refused, interrupt
from tests.support.workplace import Workplace

pytestmark = pytest.mark.services  # they train several times


def test_initial_weights_are_not_needed_again(workplace: Workplace, typed: Typed) -> None:
    train.train(compose_config([f"tracking.uri='{workplace.uri}'", *LIGHT, "tracking.run_name=first"]))
    weights = workplace.folder / "w.keras"
    shutil.copy(next(workplace.folder.glob("mlartifacts/*/artifacts/model/model.keras")), weights)
    interrupted = Interruption(workplace, interrupt(workplace, *LIGHT, f"training.initial_weights={weights}"))
    weights.unlink()
    answer = typed(workplace, f"resume={interrupted.run_id}")
    assert answer.code == 0, answer.err
    run = interrupted.client.get_run(interrupted.run_id)
    assert run.data.tags[FINGERPRINT] == run.data.tags[PLANNED]


def test_a_run_that_was_resumed_with_other_code_is_not_reused(
    interrupted: Interruption, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.tracking.reuse.result_code_digest", lambda: "other")
    assert typed(interrupted.place, f"resume={interrupted.run_id}", "on_change=continue").code == 0
    assert FINGERPRINT not in interrupted.client.get_run(interrupted.run_id).data.tags


def test_a_run_without_a_checkpoint_is_not_started_again_with_other_code_unless_that_is_accepted(
    workplace: Workplace, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = Interruption(workplace, interrupt(workplace, *LIGHT, name="start"))
    monkeypatch.setattr("src.tracking.reuse.result_code_digest", lambda: "other")
    assert_refused(interrupted, typed, "has no checkpoint, and settings, code or data were changed since it began")
    assert typed(workplace, f"resume={interrupted.run_id}", "on_change=continue").code == 0


@pytest.mark.parametrize(("key", "value"), [("optimizer.learning_rate", 0.5), ("dataset.train_size", 120)])
def test_the_checkpoint_of_another_training_is_refused(
    key: str, value: float, interrupted: Interruption, typed: Typed
) -> None:
    file = interrupted.artifacts / "config/config.yaml"
    config = yaml.safe_load(file.read_text())
    config[key.split(".")[0]][key.split(".")[1]] = value
    file.write_text(yaml.safe_dump(config))
    for on_change in ("error", "continue"):
        reason = f"the checkpoint in .* belongs to another training: {key} was .*, is {value}"
        assert_refused(interrupted, typed, reason, f"on_change={on_change}")


@pytest.mark.parametrize("changed", ["code", "versions"])
def test_changed_code_or_packages_are_refused_unless_they_are_accepted(
    changed: str, interrupted: Interruption, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    if changed == "code":
        monkeypatch.setattr("src.tracking.reuse.result_code_digest", lambda: "other")
        change = "the code that decides results was changed"
    else:
        monkeypatch.setattr("src.resuming.origin.version", lambda name: "0.1" if name == "keras" else "1")
        change = r"keras was 3\.\S+, is 0\.1"
    assert_refused(interrupted, typed, f"since the checkpoint in .*{change}.* resume anyway with on_change=continue")
    assert typed(interrupted.place, f"resume={interrupted.run_id}", "on_change=continue").code == 0
    assert re.search(change, interrupted.client.get_run(interrupted.run_id).data.tags[CHANGED])


def test_a_checkpoint_names_everything_that_decides_the_result(interrupted_once: Interruption) -> None:
    found = newest(interrupted_once.folder)
    assert found is not None
    assert {"settings", "data", "code", "versions"} <= set(found[1])
    assert set(found[1]["versions"]) == {"tensorflow", "keras", "numpy"}
