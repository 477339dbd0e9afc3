"""Model files with more in them than layers and weights are refused before Keras opens them."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import pytest

from src.errors import ModelFileError
from src.saving import load_model


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small network in both formats of Keras."""
    folder = tmp_path_factory.mktemp("plain")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="dense")(inputs))
    for name in ("model.keras", "model.h5"):
        model.save(folder / name)
    return folder


@pytest.fixture
def copied(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "copied"))


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_model_of_keras_own_layers_is_read(name: str, plain: Path) -> None:
    assert load_model(plain / name).count_params() == 6


def changed_archive(path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Writes the archive again with one member changed, or added where there was none."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = change(members.get(name, b""))
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)


def changed_hdf5(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Changes an HDF5 file: the `.h5` model, or the weights within a `.keras` one."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            change(file)
        return
    weights = path.with_name("weights.h5")

    def change_weights(content: bytes) -> bytes:
        weights.write_bytes(content)
        changed_hdf5(weights, change)
        return weights.read_bytes()

    changed_archive(path, "model.weights.h5", change_weights)


def link_outside(file: h5py.File) -> None:
    file["other"] = h5py.ExternalLink("/etc/other.h5", "/numbers")


def link_within(file: h5py.File) -> None:
    file["other"] = h5py.SoftLink("/layers")


def numbers_outside(file: h5py.File) -> None:
    file.create_dataset("other", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def numbers_of_another(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "numbers", (4,))
    file.create_group("group").create_virtual_dataset("other", layout)


LEADING_ELSEWHERE = [
    (link_outside, "/other is a link to elsewhere"),
    (link_within, "/other is a link to elsewhere"),
    (numbers_outside, "/other takes its numbers from another file"),
    (numbers_of_another, "/group/other takes its numbers from another file"),
]


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize(("change", "sentence"), LEADING_ELSEWHERE)
def test_weights_that_lead_to_another_file_are_refused(
    name: str, change: Callable[[h5py.File], None], sentence: str, copied: Path
) -> None:
    changed_hdf5(copied / name, change)
    with pytest.raises(ModelFileError, match=f"/{name} is not read: {sentence}"):
        load_model(copied / name)


NAMED = [
    ("Dense", "Lambda", "it has a Lambda layer"),
    ("keras.initializers", "os", r"it names os\.\w+, which is not Keras' own"),
]


@pytest.mark.parametrize(("old", "new", "sentence"), NAMED)
def test_a_configuration_that_names_code_is_refused(old: str, new: str, sentence: str, copied: Path) -> None:
    changed_archive(copied / "model.keras", "config.json", lambda text: text.replace(old.encode(), new.encode()))
    with h5py.File(copied / "model.h5", "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace(old, new)
        json.loads(file.attrs["model_config"])
    for name in ("model.keras", "model.h5"):
        with pytest.raises(ModelFileError, match=f"/{name} is not read: {sentence}"):
            load_model(copied / name)


def test_an_archive_behind_it_does_not_hide_what_is_in_an_hdf5_file(copied: Path) -> None:
    changed_hdf5(copied / "model.h5", link_outside)
    with zipfile.ZipFile(copied / "model.h5", "a") as archive:
        archive.writestr("harmless", "")
    with pytest.raises(ModelFileError, match="/other is a link to elsewhere"):
        load_model(copied / "model.h5")


@pytest.mark.parametrize("member", ["/etc/passwd", "assets/../../up"])
def test_a_member_that_would_be_unpacked_elsewhere_is_refused(member: str, copied: Path) -> None:
    changed_archive(copied / "model.keras", member, lambda _: b"x")
    with pytest.raises(ModelFileError, match=f"its member '{member}' would be unpacked outside of it"):
        load_model(copied / "model.keras")
