"""`python -m src.predict`: a tracked model gives the same predictions for its test images as files and as rows."""

import csv
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from src.certainty import calibrate
from src.cli.compose import compose_config
from src.datasets import load_dataset
from src.errors import ConfigError, DataError, StoreError
from src.predict import predict
from src.reports import temperature_of
from src.results import PredictionResult
from src.tables import read_table
from src.tracking import read_calibration, resume_run
from src.train import train
from tests.support.pictures import put_class
from tests.support.runs import config_for, new_run
from tests.support.workplace import TrainedRun, Workplace

COUNT = 20


def predicted(workplace: Workplace, *overrides: str) -> PredictionResult:
    output = f"output='{workplace.folder / 'predictions.csv'}'"
    return predict(compose_config([f"tracking.uri='{workplace.uri}'", output, *overrides], "predict"))


def rows_of(result: PredictionResult) -> list[dict[str, str]]:
    with Path(result.output).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def digits():
    """The first test images of the sample: uint8, (20, 28, 28, 1)."""
    return load_dataset(compose_config(["dataset.source=sample"]).dataset).test.images[:COUNT]


@pytest.fixture(scope="module")
def expected(trained: TrainedRun) -> list[tuple[str, str]]:
    """Class and probability of each, as the training run recorded them."""
    path = trained.workplace.folder / "mlartifacts" / trained.run_id / "artifacts/tables/test_predictions.csv"
    with path.open() as file:
        return [(row["predicted"], row["score"]) for row in csv.DictReader(file)][:COUNT]


def answers(result: PredictionResult) -> list[tuple[str, float]]:
    return [(row["predicted"], float(row["score"])) for row in rows_of(result)]


def agree(result: PredictionResult, expected: list[tuple[str, str]]) -> bool:
    classes, scores = zip(*answers(result), strict=True)
    return [classes, scores] == [
        tuple(name for name, _ in expected),
        pytest.approx([float(score) for _, score in expected], abs=2e-5),
    ]


def test_files_get_the_predictions_that_the_run_recorded_for_the_same_images(trained, digits, expected, tmp_path):
    for at, digit in enumerate(digits):
        Image.fromarray(digit[..., 0]).save(tmp_path / f"{at:02}.png")
    result = predicted(trained.workplace, f"run_id={trained.run_id}", f"images='{tmp_path}'", "batch_size=8")
    assert agree(result, expected)
    assert sum(result.counts.values()) == COUNT


def test_rows_of_pixels_get_the_same_predictions_from_the_command(trained, digits, expected, tmp_path, run_here):
    lines = [",".join(map(str, digit.ravel())) for digit in digits]
    (tmp_path / "pixels.csv").write_text("\n".join(lines) + "\n")
    output = tmp_path / "new" / "answers.csv"
    typed = [f"run_id={trained.run_id}", f"images='{tmp_path}/pixels.csv'", f"output='{output}'"]
    assert f"{COUNT} images" in run_here(trained.workplace, "src.predict", *typed)
    assert agree(PredictionResult(output=str(output), counts={}, bad_files=[]), expected)


def test_each_row_has_a_probability_for_each_class_and_they_add_up_to_one(trained, digits, tmp_path):
    Image.fromarray(digits[0][..., 0]).save(tmp_path / "a.png")
    (row,) = rows_of(predicted(trained.workplace, f"run_id={trained.run_id}", f"images='{tmp_path}/a.png'"))
    scores = [float(row[str(digit)]) for digit in range(10)]
    assert (list(row)[:3], row["image"]) == (["image", "predicted", "score"], "a.png")
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert max(scores) == float(row["score"])


def test_calibrated_probabilities_are_those_of_the_temperature_and_the_classes_stay(trained, digits, tmp_path):
    (tmp_path / "pixels.csv").write_text("".join(",".join(map(str, digit.ravel())) + "\n" for digit in digits))
    line = [f"run_id={trained.run_id}", f"images='{tmp_path}/pixels.csv'"]
    plain = rows_of(predicted(trained.workplace, *line))
    calibrated = rows_of(predicted(trained.workplace, *line, "calibrated=true"))
    assert [row["predicted"] for row in plain] == [row["predicted"] for row in calibrated]
    calibration = read_calibration(MlflowClient(trained.workplace.uri).get_run(trained.run_id).data.tags)
    assert calibration is not None
    assert calibration.temperature not in (None, 1)
    before, after = (np.array([[float(row[str(label)]) for label in range(10)] for row in rows], np.float32)
                     for rows in (plain, calibrated))  # fmt: skip
    np.testing.assert_allclose(calibrate(before, calibration.temperature), after, atol=2e-3)  # six decimals are kept
    assert not np.allclose(before, after, atol=1e-4)


def test_predictions_with_several_views_are_others_and_nearly_all_of_the_same_classes(trained, digits, tmp_path):
    (tmp_path / "pixels.csv").write_text("".join(",".join(map(str, digit.ravel())) + "\n" for digit in digits))
    line = [f"run_id={trained.run_id}", f"images='{tmp_path}/pixels.csv'"]
    plain, averaged = (answers(predicted(trained.workplace, *line, f"tta={tta}")) for tta in ("false", "true"))
    assert sum(one[0] == other[0] for one, other in zip(plain, averaged, strict=True)) > 0.7 * COUNT
    assert [score for _, score in plain] != pytest.approx([score for _, score in averaged], abs=1e-3)


def test_a_run_of_an_earlier_version_is_named_with_the_command_that_fits_its_temperature(workplace):
    config = config_for(workplace.uri)
    with new_run(config) as run:
        pass
    with resume_run(config.tracking, run_id=run.run_id) as known, pytest.raises(StoreError) as caught:
        temperature_of(known, has_validation=True)
    assert str(caught.value) == (
        f"calibrated=true: run {run.run_id} has no temperature; fit it with python -m src.evaluate run_id={run.run_id}"
    )


def test_unusable_files_are_listed_or_else_end_the_command_and_then_nothing_is_written(trained, digits, tmp_path):
    Image.fromarray(digits[0][..., 0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    output = tmp_path / "answers.csv"
    arguments = [f"run_id={trained.run_id}", f"images='{tmp_path}'", f"output='{output}'"]
    with pytest.raises(DataError, match=r"b.png: not an image of a known format; remove the file"):
        predicted(trained.workplace, *arguments, "on_bad_image=error")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    result = predicted(trained.workplace, *arguments)
    assert (result.bad_files, len(rows_of(result))) == ([("b.png", "not an image of a known format")], 1)


def test_classes_are_named_after_their_folders_and_a_spreadsheet_does_not_run_the_names(
    workplace: Workplace, tmp_path: Path
):
    for name in ("=cat", "dog"):
        put_class(tmp_path / "pets", name, 8)
    overrides = [f"dataset.folder='{tmp_path / 'pets'}'", f"dataset.cache_dir='{tmp_path / 'cache'}'"]
    overrides += ["dataset=image_folder", "dataset.image_size=[12,12]", "training.epochs=1", "tracking.detail=light"]
    run_id = train(compose_config([*overrides, f"tracking.uri='{workplace.uri}'"])).run_id
    result = predicted(workplace, f"run_id={run_id}", f"images='{tmp_path / 'pets'}'")
    rows = read_table(Path(result.output))
    assert list(rows[0]) == ["image", "predicted", "score", "=cat", "dog"]
    assert [row["image"] for row in rows] == sorted(row["image"] for row in rows)
    assert set(result.counts) == {"=cat", "dog"} == {row["image"].partition("/")[0] for row in rows}
    assert not any(cell.startswith("=") for row in rows_of(result) for cell in (*row, *row.values()))


@pytest.mark.parametrize(
    ("overrides", "error", "sentence"),
    [
        ([], ConfigError, "name one model"),
        (["run_id=a", "model_uri=models:/a@b"], ConfigError, "name one model"),
        (["run_id=a", "batch_size=0"], ConfigError, "batch_size: got 0"),
        (["run_id=a", "on_bad_image=stop"], ConfigError, "on_bad_image: got 'stop'"),
        (["run_id=a", "tta=true", "calibrated=true"], ConfigError, "tta=true with calibrated=true: .*remove one"),
        (["run_id=0123"], StoreError, "has no 0123"),
    ],
)
def test_a_wrong_setting_is_reported_in_a_sentence(trained, overrides: list[str], error: type, sentence: str):
    with pytest.raises(error, match=sentence):
        predicted(trained.workplace, "images=.", *overrides)


def test_an_output_that_is_a_folder_is_refused(trained, tmp_path):
    with pytest.raises(ConfigError, match="is a folder; give a file"):
        predicted(trained.workplace, f"run_id={trained.run_id}", "images=.", f"output='{tmp_path}'")


def test_the_file_of_the_images_is_never_overwritten(trained, tmp_path):
    file = tmp_path / "pixels.csv"
    file.write_text("0\n")
    with pytest.raises(ConfigError, match="contains the images, and would be overwritten"):
        predicted(
            trained.workplace, f"run_id={trained.run_id}", f"images='{file}'", f"output='{tmp_path}/./pixels.csv'"
        )
    assert file.read_text() == "0\n"


@pytest.mark.parametrize("content", ["", "label,a,b\n"])
def test_a_file_without_rows_is_an_error(trained, tmp_path, content: str):
    (tmp_path / "pixels.csv").write_text(content)
    with pytest.raises(DataError, match="there is no row of pixels in"):
        predicted(
            trained.workplace, f"run_id={trained.run_id}", f"images='{tmp_path}/pixels.csv'", f"output='{tmp_path}/o'"
        )
    assert not (tmp_path / "o").exists()
