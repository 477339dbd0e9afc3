"""`python -m pipelines.reproduce`: the same run again, and a report of what has changed."""

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.reproduce import reproduce
from src.cli.compose import compose_config
from src.results import DriftRow, ReproductionResult
from src.train import train
from tests.support.pictures import put_class, put_image
from tests.support.workplace import Workplace, copy_of

pytestmark = pytest.mark.services
LINE = ["model.dropout=0.1", "dataset=synthetic", "training.epochs=2"]


@dataclass(frozen=True)
class Original:
    """A run, to do harm to."""

    workplace: Workplace
    run_id: str

    def reproduce(self) -> ReproductionResult:
        line = [f"run_id={self.run_id}", f"tracking.uri='{self.workplace.uri}'", "data_dir=null"]
        return reproduce(compose_config(line, "reproduce"))


def trained_in(workplace: Workplace, *line: str) -> Original:
    overrides = [*line, f"tracking.uri='{workplace.uri}'"]
    return Original(workplace, str(train(compose_config(overrides), overrides=overrides).run_id))


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return trained_in(Workplace(tmp_path_factory.mktemp("original")), *LINE, "tracking.save_model=false")


@pytest.fixture
def original(trained_once: Original, tmp_path: Path) -> Original:
    """A run of the test's own."""
    return Original(copy_of(trained_once.workplace, tmp_path / "copied"), trained_once.run_id)


def changed(rows: list[DriftRow]) -> dict[str, tuple[str, str]]:
    return {row.what: (row.then, row.now) for row in rows if row.verdict == "CHANGED"}


def test_on_the_same_machine_a_deterministic_run_is_the_same_to_the_last_bit(workplace: Workplace):
    done = workplace.run("src.train", *LINE, "training.deterministic=true")
    assert done.returncode == 0, done.stderr
    client = MlflowClient(workplace.uri)
    (first,) = client.search_runs(["1"])
    done = workplace.run("pipelines.reproduce", f"run_id={first.info.run_id}")
    assert done.returncode == 0, done.stdout + done.stderr
    (again,) = client.search_runs(["1"], f"tags.reproduces = '{first.info.run_id}'")
    for name, value in first.data.metrics.items():
        assert name in ("epoch_seconds", "images_per_second") or again.data.metrics[name] == value
    with Path(client.download_artifacts(again.info.run_id, "drift.csv")).open() as file:
        verdicts = {row["what"]: row["verdict"] for row in csv.DictReader(file)}
    assert set(verdicts.values()) == {"same"}
    assert {"commit", "config", "packages", "machine", "data", "test_accuracy", "val_loss"} <= set(verdicts)
    assert "The same result" in again.data.tags["mlflow.note.content"]


def test_a_default_that_is_another_today_is_named_and_the_recorded_one_is_trained(
    original: Original, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from src.cli import compose

    conf = Path(shutil.copytree(compose.CONF, tmp_path / "conf"))
    rmsprop = conf / "optimizer/rmsprop.yaml"
    rmsprop.write_text(rmsprop.read_text().replace("learning_rate: 1e-3", "learning_rate: 2e-3"))
    monkeypatch.setattr(compose, "CONF", conf)
    result = original.reproduce()
    assert changed(result.origin) == {"config optimizer.learning_rate": ("0.001", "0.002")}
    assert result.is_same


def test_one_byte_of_the_data_is_named_and_the_result_is_compared_all_the_same(workplace: Workplace, tmp_path: Path):
    for name in ("cat", "dog"):
        put_class(tmp_path / "pets", name, 8)
    line = ["dataset=image_folder", f"dataset.folder='{tmp_path / 'pets'}'", "dataset.image_size=[12,12]"]
    original = trained_in(
        workplace, *line, f"dataset.cache_dir='{tmp_path / 'cache'}'", "training.epochs=1", "tracking.save_model=false"
    )
    put_image(tmp_path / "pets/cat/000.png", shade=7)
    result = original.reproduce()
    assert set(changed(result.origin)) == {"data"}
    assert {row.what for row in result.results} >= {"test_accuracy", "val_loss"}


def test_another_result_ends_the_command_with_1_and_what_changed(workplace: Workplace):
    done = workplace.run("src.train", *LINE, "tracking.save_model=false")
    assert done.returncode == 0, done.stderr
    client = MlflowClient(workplace.uri)
    (first,) = client.search_runs(["1"])
    client.log_metric(first.info.run_id, "test_loss", 0.5, step=2)
    done = workplace.run("pipelines.reproduce", f"run_id={first.info.run_id}")
    assert done.returncode == 1
    assert f"error: run {first.info.run_id} was not reproduced; changed: test_loss\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_an_observer_ended_is_trained_as_far_and_that_is_said(workplace: Workplace):
    config = compose_config(
        [*LINE, f"tracking.uri='{workplace.uri}'", "training.epochs=5", "tracking.save_model=false"]
    )
    run_id = train(config, observers=[lambda epoch, logs: epoch == 2]).run_id
    result = Original(workplace, str(run_id)).reproduce()
    assert changed(result.origin) == {"training ended by": ("an observer", "training.last_epoch=2")}
    assert result.is_same


def test_a_run_that_is_not_finished_is_refused_in_one_line(original: Original):
    MlflowClient(original.workplace.uri).set_terminated(original.run_id, "KILLED")
    done = original.workplace.run("pipelines.reproduce", f"run_id={original.run_id}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: run {original.run_id} is KILLED; only a finished run can be reproduced\n"
