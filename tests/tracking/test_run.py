"""What is recorded in a run."""

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient

from src.schema import Config
from src.tracking.artifacts import Artifacts
from tests.support.runs import new_run
from tests.support.workplace import TrainedRun


def test_logging_the_same_metric_twice_or_one_that_differs_by_a_rounding_error_adds_no_point(
    config: Config, client: MlflowClient
):
    with new_run(config) as run:
        for value in (0.5, 0.5, 0.50000001, 0.75, 0.7501):
            run.log_new_metrics({"test_loss": value}, 3)
            run.flush()
    assert [point.value for point in client.get_metric_history(str(run.run_id), "test_loss")] == [0.5, 0.75, 0.7501]


def test_a_run_can_have_the_data_set_of_another_one_as_its_input(config: Config, client: MlflowClient):
    with new_run(config) as without, new_run(config) as other, new_run(config) as run:
        other.log_dataset("digits", "d" * 64, "sample", {"train": 10})
        for run_id in (without.run_id, other.run_id, other.run_id):
            run.log_dataset_of(str(run_id))
    (found,) = client.get_run(str(run.run_id)).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("digits", "d" * 36)


def test_pictures_of_steps_have_the_names_that_mlflow_gives_them_and_are_replaced(config: Config, client: MlflowClient):
    pixels = np.zeros((20, 30, 3), np.uint8)
    with new_run(config) as run, new_run(config) as other:
        run.promise_images()
        for step in (1, 2, 2):
            run.log_image("mistakes", step, pixels)
        for step in (1, 2):
            client.log_image(str(other.run_id), pixels, key="mistakes", step=step)
    ours, theirs = (
        [(*file.path.split("+")[:4], file.path.split("+")[-1][36:]) for file in client.list_artifacts(run_id, "images")]
        for run_id in (str(run.run_id), str(other.run_id))
    )
    assert sorted(ours) == sorted(theirs)
    assert len(ours) == 4
    tags = [client.get_run(str(each.run_id)).data.tags["mlflow.loggedImages"] for each in (run, other)]
    assert tags == ["True", "True"]


def test_params_are_shown_as_they_would_be_typed(config: Config, client: MlflowClient):
    with new_run(config) as run:
        run.log_params({"a.none": None, "a.flag": True, "a.rate": 1e-3, "a.list": [120, 84], "a.text": "relu"})
    params = client.get_run(str(run.run_id)).data.params
    shown = {name: params[name] for name in params if name.startswith("a.")}
    assert shown == {"a.none": "null", "a.flag": "true", "a.rate": "0.001", "a.list": "[120, 84]", "a.text": "relu"}


def test_the_columns_of_a_descriptions_table_are_kept_apart(config: Config, client: MlflowClient):
    with new_run(config) as run:
        run.describe("a | b\n\n| trial | loss |\n|---|---|\n| 1 | 0.5 |")
    note = client.get_run(str(run.run_id)).data.tags["mlflow.note.content"]
    assert note == "a | b\n\n| trial &emsp;| loss &emsp;|\n|---|---|\n| 1 &emsp;| 0.5 &emsp;|"


def test_a_table_shows_names_that_a_spreadsheet_would_run(config: Config, client: MlflowClient, tmp_path: Path):
    with new_run(config) as run:
        run.log_table("tables/a.csv", ("class", "=b"), [("@c", -0.5), ("d", None)])
    table = Path(client.download_artifacts(str(run.run_id), "tables/a.csv", str(tmp_path)))
    assert table.read_text() == "class,'=b\n'@c,-0.5\nd,\n"


def test_the_logged_model_of_a_run_has_its_params_and_its_user(trained: TrainedRun):
    client = MlflowClient(trained.workplace.uri)
    run = client.get_run(trained.run_id)
    (logged,) = run.outputs.model_outputs
    model = client.get_logged_model(logged.model_id)
    assert model.params == run.data.params
    assert {model.tags[name] == run.data.tags[name] for name in ("mlflow.user", "mlflow.source.name")} == {True}


def test_a_run_that_was_killed_while_it_recorded_its_config_has_no_config_or_everything_that_was_typed(
    config: Config, monkeypatch: pytest.MonkeyPatch
):
    states = []
    original = Artifacts.new_file

    @contextlib.contextmanager
    def noted(artifacts: Artifacts, path: str) -> Iterator[Path]:
        with original(artifacts, path) as part:
            yield part
        assert artifacts.folder is not None
        states.append({file.name for file in (artifacts.folder / "config").iterdir()})

    monkeypatch.setattr(Artifacts, "new_file", noted)
    with new_run(config, overrides=["model=dense"]):
        pass
    assert states[:2] == [{"overrides.yaml"}, {"config.yaml", "overrides.yaml"}]


def test_a_table_reads_back_with_any_characters_in_its_cells(config: Config, client: MlflowClient, tmp_path: Path):
    rows = [["a,b", 'say "x"', "two\nlines", "return\rhere", "both\r\n", "", " ", "\N{LINE SEPARATOR}"]]
    with new_run(config) as run:
        run.log_table("tables/names.csv", "abcdefgh", rows)
    file = Path(client.download_artifacts(str(run.run_id), "tables/names.csv", str(tmp_path)))
    with file.open(encoding="utf-8", newline="") as text:
        assert list(csv.reader(text)) == [list("abcdefgh"), *rows]
    assert file.read_bytes().startswith(b"a,b,c,d,e,f,g,h\n")


def test_a_picture_with_letters_that_its_font_lacks_is_kept_without_a_warning(config: Config, client: MlflowClient):
    figure = Figure()
    figure.suptitle("手")
    with new_run(config) as run:
        run.log_figure("figures/hand.png", figure)
    assert [item.path for item in client.list_artifacts(str(run.run_id), "figures")] == ["figures/hand.png"]


def test_models_that_are_registered_are_not_removed(config: Config, client: MlflowClient):
    """Of four models that a run has logged, one is registered by its id, one by its folder, and one was promoted."""
    client.create_registered_model("digits")
    with new_run(config) as run:
        by_id, by_folder, promoted, unregistered = models = [
            client.create_logged_model(run.experiment_id, "dense", source_run_id=run.run_id) for _ in range(4)
        ]
        for model in models:
            client.finalize_logged_model(model.model_id, "READY")
        client.create_model_version("digits", f"models:/{by_id.model_id}", model_id=by_id.model_id)
        client.create_model_version("digits", by_folder.artifact_location, run_id=run.run_id)
        client.create_model_version("digits", f"models:/{promoted.model_id}", run_id=run.run_id)
        client.copy_model_version("models:/digits/3", "champions")
        client.delete_model_version("digits", "3")
        run.model_ids = [model.model_id for model in models]
        run.remove_models()
        assert run.model_ids == [model.model_id for model in (by_id, by_folder, promoted)]
    assert {model.model_id for model in client.search_logged_models([run.experiment_id])} == set(run.model_ids)
    assert unregistered.model_id not in run.model_ids
