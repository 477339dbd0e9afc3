"""`python -m src.explain`: pictures of a tracked model in its run, and messages for inputs that cannot be explained."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from mlflow import MlflowClient
from PIL import Image

from src import inspection
from src.cli.compose import compose_config
from src.datasets import load_dataset
from src.errors import ConfigError, DataError, StoreError
from src.explain import explain, image_folder, main
from src.results import ExplanationResult
from src.train import train
from tests.support.pictures import put_class, put_image
from tests.support.workplace import RunHere, TrainedRun, Workplace

DIGIT = 3  # in the test split of the sample
INSIDE = ["figures/filters.png", "figures/feature_maps/page_1.png", "figures/grad_cam.png"]
FURTHER = ["patterns.png", "class_patterns.png", "occlusion.png", "integrated_gradients.png", "embedding.png"]
ALL = [*INSIDE, *(f"figures/{name}" for name in FURTHER), "figures/embedding.html"]
QUICK = "methods=[filters,feature_maps,grad_cam]"


def explained(workplace: Workplace, *overrides: str) -> ExplanationResult:
    return explain(compose_config([f"tracking.uri='{workplace.uri}'", "data_dir=null", *overrides], "explain"))


@pytest.fixture(scope="session")
def digit_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real digit, three times as large, in color."""
    digit = load_dataset(compose_config(["dataset.source=sample"]).dataset).test.images[DIGIT, ..., 0]
    path = tmp_path_factory.mktemp("images") / "my digit.png"
    Image.fromarray(digit).resize((84, 84)).convert("RGB").save(path)
    return path


def figures_of(trained: TrainedRun, folder: str = "") -> dict[str, bytes]:
    root = trained.workplace.folder / "mlartifacts" / trained.run_id / "artifacts/figures" / folder
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.png")}


def test_the_command_replaces_the_pictures_of_the_training_by_the_same_ones(
    trained: TrainedRun, tmp_path: Path, run_here: RunHere
) -> None:
    before = figures_of(trained)
    printed = run_here(trained.workplace, "src.explain", f"run_id={trained.run_id}", f"output='{tmp_path}/new'")
    assert "lenot on 1,000 test images" in printed
    assert "pictures: " + ", ".join(ALL) in printed
    after = figures_of(trained)
    assert {name: after[name] for name in before} == before
    written = {f"figures/{path.relative_to(tmp_path / 'new')}" for path in (tmp_path / "new").rglob("*.*")}
    assert written == set(ALL)
    metrics = MlflowClient(trained.workplace.uri).get_run(trained.run_id).data.metrics
    assert -1 <= metrics["explanation/occlusion_grad_cam_correlation"] <= 1
    assert 0 <= metrics["explanation/integrated_gradients_gap"] < 0.05


def test_the_table_shows_right_predictions_and_then_wrong_ones(trained: TrainedRun) -> None:
    rows = explained(trained.workplace, f"run_id={trained.run_id}", QUICK).rows
    assert [len(row) for row in rows] == [5] * 12
    assert [true == predicted for _, true, predicted, *_ in rows] == [True] * 6 + [False] * 6
    assert all(re.fullmatch(r"#\d+", image) for image, *_ in rows)  # these digits have no files


def test_the_table_has_a_column_for_each_measure(trained: TrainedRun) -> None:
    result = explained(trained.workplace, f"run_id={trained.run_id}", "methods=[occlusion]")
    assert result.pictures == ["figures/occlusion.png"]
    assert result.columns[5:] == ("occlusion ~ Grad-CAM",)
    correlations = [float(row[5]) for row in result.rows if row[5]]
    assert list(result.metrics.values()) == [pytest.approx(np.mean(correlations), abs=1e-4)]


def test_predictions_whose_gradients_are_inexact_are_named(
    trained: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "MAX_GAP", 0.0)
    result = explained(trained.workplace, f"run_id={trained.run_id}", "methods=[integrated_gradients]")
    note = result.notes[-1]
    assert re.match(r"integrated gradients are inexact for #\d+ \(\d\.\d %\), #", note)


def test_named_layers_are_looked_into(trained: TrainedRun, tmp_path: Path) -> None:
    overrides = [f"run_id={trained.run_id}", "layers=[conv_1]", "methods=[patterns]", f"output='{tmp_path}'"]
    assert explained(trained.workplace, *overrides).pictures == ["figures/patterns.png"]
    with Image.open(tmp_path / "patterns.png") as one:
        assert one.height < one.width / 2  # a single row


def test_an_image_of_another_size_and_mode_is_resized_with_a_note_and_recognized(
    trained: TrainedRun, digit_file: Path
) -> None:
    result = explained(trained.workplace, f"run_id={trained.run_id}", f"image='{digit_file}'")
    assert result.title == "lenot on my digit.png"
    assert result.rows[0][0] == str(DIGIT)
    assert sorted((float(row[1]) for row in result.rows), reverse=True) == [float(row[1]) for row in result.rows]
    assert result.notes == [f"{digit_file} is 84x84 pixels; it was resized to 28x28 for the model"]
    expected = {"feature_maps/page_1.png", "grad_cam.png", "occlusion.png", "integrated_gradients.png"}
    folder = image_folder(digit_file).removeprefix("figures/")
    assert folder.startswith("images/my_digit-")
    assert set(figures_of(trained, folder)) == expected
    assert [all(row[2:]) for row in result.rows] == [True] * 3 + [False] * 2  # three classes are explained


def test_a_network_without_convolutions_has_a_note_instead_of_the_pictures_that_need_some(
    workplace: Workplace, tmp_path: Path
) -> None:
    overrides = ["dataset=synthetic", "model=dense", "training.epochs=1", "tracking.detail=light"]
    run_id = train(compose_config([*overrides, f"tracking.uri='{workplace.uri}'"])).run_id
    file = tmp_path / "a.png"
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(file)
    result = explained(workplace, f"run_id={run_id}")
    assert result.pictures == [name for name in ALL[4:] if name != "figures/patterns.png"]
    sentence = "dense has no convolutions, and so no filters, feature maps, Grad-CAM or patterns of filters"
    assert result.notes == [sentence]
    result = explained(workplace, f"run_id={run_id}", f"image='{file}'")
    assert [Path(name).name for name in result.pictures] == ["occlusion.png", "integrated_gradients.png"]
    assert result.notes == ["dense has no convolutions, and so no feature maps or Grad-CAM"]


def test_the_classes_of_a_folder_of_pictures_are_named_by_its_folders_and_its_images_by_their_files(
    workplace: Workplace,
) -> None:
    pictures = workplace.folder / "pictures"
    for name in ("Möwe", "old cat"):
        put_class(pictures, name, 3)
    overrides = [
        "dataset=image_folder",
        f"dataset.folder={pictures}",
        f"dataset.cache_dir={workplace.folder}/cache",
        "dataset.image_size=[6,6]",
        "model=dense",
        "training.epochs=1",
        "tracking.detail=light",
    ]
    run_id = train(compose_config([*overrides, f"tracking.uri='{workplace.uri}'"])).run_id
    shown = {row[0] for row in explained(workplace, f"run_id={run_id}", "methods=[embedding]").rows}
    assert shown <= {path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png")}
    assert len(shown) == 2  # of each class one test image
    look = [f"run_id={run_id}", f"image='{pictures / 'old cat' / '000.png'}'"]
    put_class(pictures, "dog", 1)  # the folder may have changed since
    assert {name for name, *_ in explained(workplace, *look).rows} == {"Möwe", "old cat"}


def test_without_evaluate_test_there_is_no_grad_cam_until_it_is_asked_for(workplace: Workplace) -> None:
    overrides = ["dataset=synthetic", "training.epochs=1", "evaluate_test=false", f"tracking.uri='{workplace.uri}'"]
    run_id = str(train(compose_config(overrides)).run_id)
    client = MlflowClient(workplace.uri)
    assert {item.path for item in client.list_artifacts(run_id, "figures")} == {
        "figures/learning_curves.png",
        "figures/samples.png",
        "figures/filters.png",
        "figures/feature_maps",
    }
    assert explained(workplace, f"run_id={run_id}", QUICK).pictures == INSIDE


# --- the folder of an image's pictures ----------------------------------------------------------------------------


def folders(folder: Path, *names: str) -> list[str]:
    """Write an image of its own shade under each name, and return the folders."""
    for shade, name in enumerate(names):
        put_image(folder / name, shade)
    return [image_folder(folder / name) for name in names]


def test_files_that_differ_have_folders_of_their_own_and_the_same_file_keeps_its_folder(tmp_path: Path) -> None:
    names = "cat.png", "cat.jpg", "a/cat.png", "b/cat.png"
    found = folders(tmp_path, *names)
    assert len(set(found)) == 4
    assert all(re.fullmatch(r"figures/images/cat-[0-9a-f]{8}", folder) for folder in found)
    assert folders(tmp_path, *names) == found


@pytest.mark.parametrize("name", ["...png", "..png", ".png", "....", "\N{CAT FACE}.png"])
def test_the_folder_of_a_file_with_a_strange_name_is_below_those_of_images(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"any content")
    assert re.fullmatch(r"figures/images/[^/.]+-[0-9a-f]{8}", image_folder(tmp_path / name))


def test_a_long_name_is_cut_so_that_a_file_system_can_store_its_folder(tmp_path: Path) -> None:
    file = tmp_path / ("\N{CJK UNIFIED IDEOGRAPH-732B}" * 83 + ".png")  # 253 bytes
    file.write_bytes(b"any content")
    (tmp_path / Path(image_folder(file)).name).mkdir()


# --- inputs that cannot be explained -----------------------------------------------------------------------------


def test_a_run_must_be_named(workplace: Workplace) -> None:
    done = workplace.run("src.explain")
    assert done.returncode == 2
    assert done.stderr == "error: name one model: run_id=RUN, or model_uri=models:/NAME@champion\n"


@pytest.mark.parametrize("name", ["run_id=0123456789abcdef", "model_uri='models:/nobody@champion'"])
def test_a_run_or_model_that_does_not_exist_is_named(trained: TrainedRun, name: str) -> None:
    with pytest.raises(StoreError, match=r"has no (0123456789abcdef|models:/nobody@champion)"):
        explained(trained.workplace, name)


def test_a_run_without_a_model_is_named(workplace: Workplace) -> None:
    overrides = ["dataset=synthetic", "training.epochs=1", "tracking.detail=light", "tracking.save_model=false"]
    run_id = train(compose_config([*overrides, f"tracking.uri='{workplace.uri}'"])).run_id
    with pytest.raises(StoreError, match=f"run {run_id} keeps no model"):
        explained(workplace, f"run_id={run_id}")


@pytest.mark.parametrize("image", [False, True])
def test_a_layer_that_does_not_exist_is_named_with_the_nearest_one(
    image: bool, trained: TrainedRun, digit_file: Path
) -> None:
    overrides = [f"run_id={trained.run_id}", "layers=[conv_1,cnv_0]", *[f"image='{digit_file}'"] * image]
    with pytest.raises(ConfigError, match=r"layers: lenot has no layer 'cnv_0' .* did you mean 'conv_0'\? known: "):
        explained(trained.workplace, *overrides)


def test_a_missing_image_is_named_before_anything_else(workplace: Workplace) -> None:
    with pytest.raises(DataError, match=r"there is no image file gone\.png; give the path of one: image=FILE"):
        explained(workplace, "run_id=RUN", "image=gone.png")


def test_an_image_that_cannot_be_read_is_named(trained: TrainedRun, tmp_path: Path) -> None:
    file = tmp_path / "notes.png"
    file.write_text("no image")
    with pytest.raises(DataError, match=r"notes\.png is not an image that can be read"):
        explained(trained.workplace, f"run_id={trained.run_id}", f"image='{file}'")


@pytest.mark.parametrize("below", ["", "/inside", "/inside/deep"])
def test_an_output_that_is_a_file_is_refused(below: str, workplace: Workplace, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(ConfigError, match=r"output: .*notes\.txt is a file, not a folder"):
        explained(workplace, "run_id=RUN", f"output='{file}{below}'")


@pytest.mark.fault  # TensorFlow waits ten seconds for memory
def test_too_little_memory_is_one_sentence(
    trained: TrainedRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signals_restored: None
) -> None:
    monkeypatch.setattr(inspection, "embed", lambda *_: tf.zeros((2**44,)) + 1)
    store = f"tracking.uri='{trained.workplace.uri}'"
    monkeypatch.setattr(sys, "argv", ["explain", f"run_id={trained.run_id}", "methods=[embedding]", store])
    monkeypatch.delenv("DATA_DIR", raising=False)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("error: out of memory (OOM when allocating tensor with shape[17592186044416] and type ")
