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
from tests.support.pictures import put_class
from tests.support.workplace import TrainedRun, Workplace


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Six hundred handwritten digits, (600, 28, 28), and their labels."""
    train = load_dataset(compose_config(["dataset.source=sample"]).dataset).train
    return train.images[300:900, ..., 0], train.labels[300:900]


PICTURES = ["dataset=image_folder", "dataset.folder=pictures", "dataset.image_size=[28,28]", "dataset.channels=1"]


def plant_two_thousand(dataset: str, data_dir: str, folder: Path) -> Planted:
    """Write 2,000 images of a data set into a folder, with twenty near copies in two splits and ten wrong labels."""
    typed = [f"dataset={dataset}", f"dataset.data_dir={data_dir}", "dataset.limit=2000"]
    train = load_dataset(compose_config(typed).dataset).train
    return write_planted(folder, list(train.images[..., 0]), train.labels.tolist(), copies=20, wrong=10, seed=1)


@pytest.fixture
def planted(digits: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> Planted:
    """In the folder `pictures`: eight near copies in two splits, and three wrong labels."""
    images, labels = digits
    return write_planted(tmp_path / "pictures", list(images), labels.tolist(), copies=8, wrong=3)


def test_planted_copies_are_listed_drawn_and_refused_if_asked_for(workplace: Workplace, planted: Planted) -> None:
    (workplace.folder / "pictures/train/3/broken.png").write_bytes(b"no image")
    typed = [*PICTURES, "dataset.name=digits", f"dataset.cache_dir={workplace.folder}/cache"]
    done = workplace.run("src.check_data", *typed)
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

    done = workplace.run("src.check_data", *typed, "strict=true")
    assert done.returncode == 1
    assert done.stderr == (
        "error: strict=true: pairs of equal or nearly equal images: 8 in two splits, 0 with two labels; "
        "data_check/check.html shows them\n"
    )


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_of_two_thousand_pictures_nearly_all_planted_copies_are_found_and_hardly_anything_else(
    dataset: str, full_data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    planted = plant_two_thousand(dataset, full_data, tmp_path / "pictures")
    check = check_data(compose_config([*PICTURES, f"dataset.cache_dir={tmp_path}/cache"], "check_data"))
    rows = read_table(tmp_path / "data_check/duplicates.csv")
    found = {frozenset((row["image"], row["other image"])) for row in rows if row["split"] != row["other split"]}
    assert len(found & planted.copies) >= 19
    assert len(found - planted.copies) <= 3  # Fashion-MNIST has a dress twice, and trousers that look alike
    assert check.leaks == len(found)


@pytest.mark.slow
def test_the_first_labels_that_a_cross_validation_contradicts_are_planted_wrong_ones(
    full_data: str, workplace: Workplace
) -> None:
    planted = plant_two_thousand("mnist", full_data, workplace.folder / "pictures")
    settings = [*PICTURES, f"dataset.cache_dir={workplace.folder}/cache", "model=cnn_mnist_v2", "optimizer=adam"]
    settings += ["training.epochs=25", "training.batch_size=64", "training.early_stopping_patience=null"]
    done = workplace.run("pipelines.cross_validate", *settings)
    assert done.returncode == 0, done.stderr
    command = re.search(r"(run_id=\w+) lists them", done.stdout)
    assert command is not None
    done = workplace.run("src.check_data", command[1])
    assert done.returncode == 0, done.stderr
    files = [row["file"] for row in read_table(workplace.folder / "data_check/label_issues.csv")]
    assert len(planted.wrong & set(files)) >= 6
    assert len(planted.wrong & set(files[:5])) >= 3
    assert len(files) <= 80


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
    settings += ["training.early_stopping_patience=null", "evaluate_test=false", "tracking.detail=light"]
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


def test_files_that_a_training_would_refuse_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        put_class(tmp_path / "pets", name, 4)
    (tmp_path / "pets/dog/empty.png").touch()
    settings = ["dataset=image_folder", "dataset.folder=pets", "dataset.on_bad_image=error", "dataset.cache_dir=cache"]
    check = check_data(compose_config(settings, "check_data"))
    assert read_table(tmp_path / "data_check/bad_images.csv") == [
        {"file": "dog/empty.png", "reason": "empty file", "result": "skipped"}
    ]
    assert any("data_check/bad_images.csv lists them" in warning for warning in check.report.warnings)


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
        (["run_id=abc", "strict=true"], "strict=true with run_id=abc: .* remove `strict=true`"),
        (["dataset=synthetic", "data_dir=here"], "data_dir=here: it names the data of a run, and run_id is not set"),
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
