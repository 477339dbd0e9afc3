"""A model as files: three formats that plain Keras and TensorFlow read, a manifest, and refusals that name the file."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from src import saving
from src.errors import ModelFileError
from src.models import predict
from src.models.sequential import build_sequential
from src.schema import ConvBlock, SequentialConfig
from tests.support.workplace import ROOT

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 12, 10, 1), dtype=np.uint8)
CONFIG = SequentialConfig(  # a layer of every kind
    name="net",
    family="sequential",
    input_padding=1,
    conv=[ConvBlock(filters=4, batch_norm=True, pool="max"), ConvBlock(filters=4, pool="average")],
    dense=[8],
    dropout=0.5,
)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A trained network: its moving averages and its optimizer have moved."""
    built = build_sequential(CONFIG, (12, 10, 1), 3)
    built.compile("adam", "sparse_categorical_crossentropy")
    built.fit(IMAGES, np.arange(16) % 3, epochs=2, verbose=0)
    return built


@pytest.fixture(scope="module")
def saved(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saving.save_model(model, tmp_path_factory.mktemp("saved") / "model", IMAGES)


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    """A folder of the test's own, to do harm to."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_hdf5_is_not_a_format_for_layers_that_it_cannot_read_back(model: keras.Model) -> None:
    class Own(keras.layers.Layer):
        def call(self, values: Any) -> Any:
            return values

    assert saving.formats_for(model) == saving.FORMATS
    for outputs in (Own()(model.output), model.output + 1.0):  # a user-defined layer, a bare operation
        assert saving.formats_for(keras.Model(model.input, outputs)) == ("model.keras", "saved_model")


def plain_keras(path: Path) -> Any:
    return keras.models.load_model(path).predict(IMAGES, verbose=0)


def plain_tensorflow(path: Path) -> Any:
    served = tf.saved_model.load(str(path))
    return served.serve(IMAGES).numpy()


READERS = {"model.keras": plain_keras, "model.h5": plain_keras, "saved_model": plain_tensorflow}


# --- three formats -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", saving.FORMATS)
def test_every_format_gives_the_same_probabilities_for_raw_bytes_to_every_reader(
    name: str, model: keras.Model, saved: Path
) -> None:
    for read in (READERS[name], lambda path: saving.predict_with(path, IMAGES)):
        np.testing.assert_allclose(read(saved / name), predict(model, IMAGES), rtol=0, atol=1e-5)


def test_only_the_formats_asked_for_are_written(model: keras.Model, tmp_path: Path) -> None:
    folder = saving.save_model(model, tmp_path / "model", IMAGES, formats=("model.keras",))
    assert {path.name for path in folder.iterdir()} == {"model.keras", "manifest.json"}


# --- all or nothing ------------------------------------------------------------------------------------------------


def noisy() -> keras.Model:
    """A network that draws new noise for each answer, so that no copy can agree with it."""
    inputs = keras.Input((12, 10, 1), dtype="uint8")
    noise = keras.layers.GaussianNoise(1.0)(keras.layers.Rescaling(1 / 255)(inputs), training=True)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(noise)))


def test_a_model_that_does_not_read_back_as_itself_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"^saved_model reads back as another model: .* differ by 0\.\d+"):
        saving.save_model(noisy(), tmp_path / "model", IMAGES)
    assert not (tmp_path / "model").exists()


def test_a_write_that_fails_midway_leaves_nothing_and_the_next_one_succeeds(model: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.txt"):
        saving.save_model(model, tmp_path / "model", IMAGES, formats=("model.keras", "model.txt"))
    assert not list(tmp_path.iterdir())
    saving.check_manifest(saving.save_model(model, tmp_path / "model", IMAGES, formats=("model.h5",)))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", saving.FORMATS)
def test_the_size_of_a_format_is_estimated(name: str, model: keras.Model, saved: Path) -> None:
    files = [path for path in (saved / name, *(saved / name).rglob("*")) if path.is_file()]
    actual = sum(path.stat().st_size for path in files)
    assert actual < saving.file_size(model, name) + 100_000  # the graph of a small network outweighs its variables
    assert saving.file_size(model, name) < actual + 300_000


def test_a_format_that_would_fill_the_disk_is_not_started(tmp_path: Path) -> None:
    script = f"""
import resource, signal, sys
from pathlib import Path
from src.saving import files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
files.check_room(Path({str(tmp_path)!r}), 40_000)
try:
    files.check_room(Path({str(tmp_path)!r}), 60_000)
except OSError as error:
    print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert not list(tmp_path.iterdir())


# --- the manifest --------------------------------------------------------------------------------------------------


def test_the_manifest_lists_every_file_with_its_sha_256(saved: Path) -> None:
    files = {path.relative_to(saved).as_posix(): path.read_bytes() for path in saved.rglob("*") if path.is_file()}
    del files["manifest.json"]
    assert {"model.keras", "model.h5", "saved_model/saved_model.pb"} < set(files)
    listed = json.loads((saved / "manifest.json").read_text())
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"!")


HARM: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: append(folder / "model.keras"), r"manifest.json: model\.keras missing, added or changed"),
    (lambda folder: append(folder / "saved_model" / "saved_model.pb"), r"saved_model/saved_model\.pb"),
    (lambda folder: (folder / "model.h5").unlink(), r"manifest.json: model\.h5 "),
    (lambda folder: (folder / "saved_model" / "extra.so").touch(), r"manifest.json: saved_model/extra\.so "),
    (
        lambda folder: shutil.rmtree(folder / "saved_model"),
        r"manifest.json: saved_model/.*, saved_model/saved_model\.pb, ",
    ),
    (lambda folder: (folder / "manifest.json").unlink(), r"has no readable manifest\.json"),
    (lambda folder: (folder / "manifest.json").write_text("{"), r"has no readable manifest\.json"),
]


@pytest.mark.parametrize(("harm", "sentence"), HARM)
def test_a_folder_that_differs_from_its_manifest_is_refused_with_the_files_name(
    harm: Callable[[Path], object], sentence: str, copied: Path
) -> None:
    saving.check_manifest(copied)
    harm(copied)
    for use in (saving.check_manifest, saving.keras_file):
        with pytest.raises(ModelFileError, match=sentence):
            use(copied)


def test_a_saved_model_which_could_run_anything_is_not_even_opened_when_it_was_changed(copied: Path) -> None:
    append(copied / "saved_model" / "saved_model.pb")
    with pytest.raises(ModelFileError, match=r"saved_model/saved_model\.pb"):
        saving.predict_with(copied / "saved_model", IMAGES)


def test_the_keras_file_is_found_in_a_run_s_folder_and_in_an_mlflow_model(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").touch()
    with pytest.raises(ModelFileError, match=r"there is no model file .*data/model\.keras"):
        saving.keras_file(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.keras").touch()
    assert saving.keras_file(saved) == saved / "model.keras"
    assert saving.keras_file(tmp_path) == tmp_path / "data" / "model.keras"


# --- files that are not models -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model", "model.txt"])
@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_a_file_that_is_not_a_model_is_refused_by_name(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=f"/{name} is not a model that Keras can read: ."):
        saving.load_model(tmp_path / name)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_half_a_model_is_refused_by_name(name: str, copied: Path) -> None:
    whole = (copied / name).read_bytes()
    (copied / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFileError, match=f"/{name} is not a model that Keras can read: ."):
        saving.load_model(copied / name)


@pytest.mark.parametrize("path", ["nowhere/model.keras", "."])
def test_a_path_without_a_file_is_refused_by_name(path: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=f"there is no model file {tmp_path / path}"):
        saving.load_model(tmp_path / path)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_code_in_a_model_file_is_not_run(name: str, tmp_path: Path) -> None:
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Lambda(lambda values: values * 2)(inputs)).save(tmp_path / name)
    with pytest.raises(ModelFileError, match=f"/{name} is not read: it has a Lambda layer, which can run any code"):
        saving.load_model(tmp_path / name)


def test_a_network_that_resizes_and_normalizes_is_served_as_it_predicts(tmp_path: Path) -> None:
    built = build_sequential(dataclasses.replace(CONFIG, input_size=14), (12, 10, 1), 3)
    saving.save_model(built, tmp_path / "model", IMAGES)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_no_file_contains_an_optimizer(name: str, model: keras.Model, saved: Path) -> None:
    assert model.compiled
    assert not keras.models.load_model(saved / name).compiled


def test_a_damaged_model_is_refused_by_name_or_still_readable(copied: Path) -> None:
    file, refused = copied / "model.keras", 0
    whole = file.read_bytes()
    for at in range(0, len(whole), len(whole) // 60):
        file.write_bytes(whole[:at] + bytes(255 - byte for byte in whole[at : at + 20]) + whole[at + 20 :])
        try:
            saving.load_model(file)
        except ModelFileError as error:
            refused += "model.keras" in str(error)
    assert refused > 10


@pytest.mark.parametrize("content", ["[]", "1", '"model.keras"'])
def test_a_manifest_that_is_not_a_list_of_files_is_refused(content: str, copied: Path) -> None:
    (copied / "manifest.json").write_text(content)
    with pytest.raises(ModelFileError, match=r"manifest\.json"):
        saving.check_manifest(copied)


@pytest.mark.parametrize("name", ["[1]", "st*r", "really?", "back\\slash"])
def test_a_model_is_kept_in_a_folder_whose_name_is_a_pattern_to_tensorflow(
    name: str, model: keras.Model, tmp_path: Path
) -> None:
    folder = tmp_path / name / "model"
    folder.parent.mkdir()
    saving.save_model(model, folder, IMAGES)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    np.testing.assert_allclose(saving.predict_with(folder / "saved_model", IMAGES), predict(model, IMAGES), atol=1e-5)
