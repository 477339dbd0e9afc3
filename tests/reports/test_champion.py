"""The decision between a candidate and a champion by a metric, from the answers that their runs keep."""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from src.cli.compose import compose_config
from src.errors import ConfigError, StoreError
from src.fitting import Scores
from src.reports.champion import AliasDecision, decide_alias
from src.reports.evaluation import record_evaluation
from src.reports.probabilities import PROBABILITIES
from src.schema import RegisterConfig
from src.tracking import Registry, Version, resume_run
from tests.support.probabilities import Labels, Probabilities, given_dataset, random_model
from tests.support.runs import config_for, new_run
from tests.support.workplace import Workplace

CLASSES = ["a", "b", "c"]


@dataclass(frozen=True)
class Answered:
    """Runs that keep answers for the same images, and the candidate's registration."""

    workplace: Workplace

    def record(self, labels: Labels, probabilities: Probabilities, *overrides: str) -> str:
        """Return the id of a run with these answers."""
        dataset = given_dataset(labels, CLASSES)
        with new_run(config_for(self.workplace.uri, *overrides)) as run:
            run.log_params({"resolved.data_digest": dataset.digest})
            record_evaluation(run, dataset, Scores({"loss": 1.0, "accuracy": 0.5}, probabilities), step=1)
        return str(run.run_id)

    def decide(self, candidate: str, champion: str, **settings: str) -> AliasDecision:
        config = config_for(self.workplace.uri).tracking
        client = MlflowClient(config.uri)
        with contextlib.suppress(MlflowException):
            client.create_registered_model("given")
        version = client.create_model_version("given", f"runs:/{champion}/tables", run_id=champion)
        registry = Registry(config)
        ask = RegisterConfig(tracking=config, run_id=candidate, alias="champion", if_better=True, **settings)
        with resume_run(config, run_id=candidate) as run:
            return decide_alias(registry, run, ask, Version("given", int(version.version), champion))

    def file(self, run_id: str, path: str = PROBABILITIES) -> Path:
        return self.workplace.folder / "mlartifacts" / run_id / "artifacts" / path


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Answered:
    return Answered(Workplace(tmp_path_factory.mktemp("answered")))


LABELS, SURE = random_model(1, 400, skill=3.0)
UNSURE = (SURE * 0.3 + 0.7 / 3).astype(np.float32)  # the same answers, with less confidence


def test_a_model_that_is_right_as_often_can_be_better_by_its_loss(answered: Answered) -> None:
    sure, unsure = answered.record(LABELS, SURE), answered.record(LABELS, UNSURE)
    by_accuracy, by_loss = (answered.decide(sure, unsure, metric=metric) for metric in ("accuracy", "loss"))
    assert (by_accuracy.moves, by_accuracy.test, by_accuracy.p_value) == (False, "mcnemar", 1)
    assert (by_loss.moves, by_loss.test) == (True, "bootstrap")
    assert by_loss.p_value is not None
    assert by_loss.p_value < 0.01
    assert re.match(r"it beats the former champion \(version \d+\); its test loss differs by -0\.", by_loss.reason)
    assert "on 400 images, paired bootstrap p = " in by_loss.reason


def test_a_model_with_a_worse_value_of_the_metric_does_not_move_the_alias(answered: Answered) -> None:
    decision = answered.decide(answered.record(LABELS, UNSURE), answered.record(LABELS, SURE), metric="loss")
    assert not decision.moves
    assert re.match(
        r"it is not better than the champion \(version \d+\); its test loss differs by \+0\.", decision.reason
    )


def test_chance_alone_does_not_move_the_alias(answered: Answered) -> None:
    slightly = SURE.copy()
    slightly[0] = np.eye(3)[LABELS[0]]
    decision = answered.decide(answered.record(LABELS, slightly), answered.record(LABELS, SURE), metric="loss")
    assert not decision.moves
    assert re.match(r"it is better than the champion \(version \d+\) by no more than chance", decision.reason)


@pytest.mark.parametrize(("monitor", "test"), [("val_accuracy", "mcnemar"), ("val_loss", "bootstrap")])
def test_the_metric_is_that_of_the_monitor_unless_another_is_given(answered: Answered, monitor: str, test: str) -> None:
    first, second = (answered.record(LABELS, each, f"training.monitor={monitor}") for each in (SURE, UNSURE))
    assert answered.decide(first, second).test == test


def remove(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4])


def pickled(file: Path) -> None:
    np.save(file, np.array([{}] * 400), allow_pickle=True)


def of_other_images(file: Path) -> None:
    np.save(file, SURE[:399])


def not_a_number(file: Path) -> None:
    np.save(file, np.full_like(SURE, np.nan))


def larger_than_it_is(file: Path) -> None:
    with file.open("wb") as opened:
        np.lib.format.write_array_header_1_0(
            opened, {"descr": "<f4", "fortran_order": False, "shape": (4_000_000_000, 3)}
        )
        opened.write(SURE.tobytes())


def without_an_end_of_its_header(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"}", b" "))


@pytest.mark.parametrize(
    "damage", [cut, pickled, of_other_images, not_a_number, larger_than_it_is, without_an_end_of_its_header]
)
def test_damaged_probabilities_are_named_with_the_command_that_makes_them_again(
    answered: Answered, damage: Callable[[Path], None]
) -> None:
    sure, unsure = answered.record(LABELS, SURE), answered.record(LABELS, UNSURE)
    damage(answered.file(sure))
    with pytest.raises(StoreError, match=rf"run {sure}: {PROBABILITIES} is damaged .*src\.evaluate run_id={sure}$"):
        answered.decide(sure, unsure, metric="loss")


def test_a_run_of_an_earlier_version_is_compared_by_accuracy_and_named_for_another_metric(answered: Answered) -> None:
    sure, unsure = answered.record(LABELS, SURE), answered.record(LABELS, UNSURE)
    remove(answered.file(unsure))
    assert answered.decide(sure, unsure).p_value == 1
    with pytest.raises(StoreError, match=rf"^run {unsure} has no {PROBABILITIES}, which .* run_id={unsure}$"):
        answered.decide(sure, unsure, metric="loss")


def test_a_metric_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"^metric: got 'precision', expected one of .*accuracy"):
        compose_config(["run_id=a", "metric=precision"], "register")


def test_the_probabilities_are_stored_exactly(answered: Answered) -> None:
    run_id = answered.record(LABELS, SURE)
    np.testing.assert_array_equal(np.load(answered.file(run_id)), SURE)
    assert PROBABILITIES in {
        item.path for item in MlflowClient(answered.workplace.uri).list_artifacts(run_id, "tables")
    }
