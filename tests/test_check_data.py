"""`python -m src.check_data`: a data set before training, and the labels that a model contradicts."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.check_data import check_data, check_labels
from src.cli.compose import compose_config
from src.datasets import load_dataset
from src.errors import ConfigError
from src.tables import read_table
from src.train import train
from tests.support.copies import Planted, write_planted
from tests.support.workplace import TrainedRun, Workplace


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Six hundred handwritten digits, (600, 28, 28), and their labels."""
    train = load_dataset(compose_config(["dataset.source=sample"]).dataset).train
    return train.images[300:900, ..., 0], train.labels[300:900]


@pytest.fixture
def planted(digits: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> Planted:
    """In the folder `digits`: eight near copies in two splits, and three wrong labels."""
    images, labels = digits
    return write_planted(tmp_path / "digits", list(images), labels.tolist(), copies=8, wrong=3)


def folder_of_digits(workplace: Workplace) -> list[str]:
    settings = ["dataset=image_folder", "dataset.folder=digits", "dataset.image_size=[28,28]", "dataset.channels=1"]
    return [*settings, f"dataset.cache_dir={workplace.folder}/cache"]


def test_planted_copies_are_listed_drawn_and_refused_if_asked_for(workplace: Workplace, planted: Planted) -> None:
    (workplace.folder / "digits/train/3/broken.png").write_bytes(b"no image")
    done = workplace.run("src.check_data", *folder_of_digits(workplace))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "digits (folder): 608 images in 10 classes, read as 28x28x1"
    assert lines[-1] == "report: data_check/check.html"
    assert "8 pairs of equal or nearly equal images are in two splits" in " ".join(done.stdout.replace("│", "").split())
    assert "not an image of a known format" in done.stdout
    folder = workplace.folder / "data_check"
    assert sorted(path.name for path in folder.iterdir()) == [
        "bad_images.csv", "check.html", "classes.csv", "duplicates.csv", "pairs.png", "samples.png",
    ]  # fmt: skip
    rows = read_table(folder / "duplicates.csv")
    assert {frozenset((row["image"], row["other image"])) for row in rows} == planted.copies
    assert {row["class"] == row["other class"] for row in rows} == {True}

    done = workplace.run("src.check_data", *folder_of_digits(workplace), "strict=true")
    assert done.returncode == 1
    assert done.stderr == (
        "error: strict=true: 8 pairs of equal or nearly equal images are in two splits, and 0 have two labels; "
        "data_check/check.html shows them\n"
    )


def test_the_labels_that_a_training_contradicts_are_those_of_its_validation_split(
    trained: TrainedRun, tmp_path: Path
) -> None:
    typed = [f"tracking.uri='{trained.workplace.uri}'", f"run_id={trained.run_id}", "data_dir=null"]
    report = check_labels(compose_config([*typed, f"output={tmp_path}"], "check_data"))
    assert re.match(rf"run {trained.run_id}: the model contradicts \d+ labels? of 500 validation images", report.title)
    rows = read_table(tmp_path / "label_issues.csv")
    (section,) = report.sections
    assert [f"#{row['index']}" for row in rows] == [image for image, *_ in section.rows]
    scores = [float(row["label_score"]) for row in rows]
    assert scores == sorted(scores)
    assert all(row["label"] != row["predicted"] for row in rows)
    assert (tmp_path / "labels.html").is_file()


def test_a_run_without_a_validation_split_is_answered_with_what_to_do(workplace: Workplace) -> None:
    settings = ["dataset=synthetic", "dataset.validation_size=0", "model=dense", "training.epochs=1"]
    uri = f"tracking.uri='{workplace.uri}'"
    settings += ["training.early_stopping_patience=null", "evaluate_test=false"]
    run_id = train(compose_config([*settings, uri])).run_id
    with pytest.raises(ConfigError, match=r"no validation split.*use the run of python -m pipelines\.cross_validate"):
        check_labels(compose_config([uri, f"run_id={run_id}"], "check_data"))


@pytest.mark.parametrize("dataset", ["synthetic", "mnist"])
def test_data_without_files_has_no_sizes_and_no_formats(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = ["dataset.source=sample"] if dataset == "mnist" else []
    check = check_data(compose_config([f"dataset={dataset}", *source], "check_data"))
    titles = [section.title for section in check.report.sections]
    assert titles[:2] == ["images by class", "equal and nearly equal images"]
    assert (tmp_path / "data_check/check.html").is_file()


def test_tensorflow_is_not_imported(tmp_path: Path) -> None:
    script = """
import sys
sys.argv = ["check_data", "dataset=synthetic"]
from src.check_data import main
main()
print([name for name in ("tensorflow", "keras", "mlflow") if name in sys.modules])
"""
    environment = Workplace(tmp_path).environment()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["dataset=image_folder", "dataset.folder=pets", "output=pets/check"], "is inside the data set"),
        (["output=file"], "output: .*file is a file, not a folder"),
        (["run_id=abc", "dataset=synthetic"], "run_id=abc: the run has its own data set; remove `dataset=synthetic`"),
        (["dataset=image_folder", "dataset.folder=nowhere"], "the folder of images nowhere does not exist"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(
    typed: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    signals_restored: None,
) -> None:
    from src.check_data import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["check_data", *typed])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(sentence, line)
