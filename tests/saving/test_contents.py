"""Model files that contain more than layers and weights are refused before Keras opens them."""

import json
import shutil
import zipfile
import zlib
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
    (link_outside, "/other is a link to another place"),
    (link_within, "/other is a link to another place"),
    (numbers_outside, "/other reads its numbers from another file"),
    (numbers_of_another, "/group/other reads its numbers from another file"),
]


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize(("change", "sentence"), LEADING_ELSEWHERE)
def test_weights_that_refer_to_another_file_are_refused(
    name: str, change: Callable[[h5py.File], None], sentence: str, copied: Path
) -> None:
    changed_hdf5(copied / name, change)
    with pytest.raises(ModelFileError, match=f"/{name} is not read: {sentence}"):
        load_model(copied / name)


NAMED = [
    ("Dense", "Lambda", "it has a Lambda layer"),
    ("keras.initializers", "os", r"it names os\.\w+, which is not part of Keras or of a loaded extension; only"),
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


def test_an_appended_archive_does_not_hide_the_content_of_an_hdf5_file(copied: Path) -> None:
    changed_hdf5(copied / "model.h5", link_outside)
    with zipfile.ZipFile(copied / "model.h5", "a") as archive:
        archive.writestr("harmless", "")
    with pytest.raises(ModelFileError, match="/other is a link to another place"):
        load_model(copied / "model.h5")


@pytest.mark.parametrize("member", ["/etc/passwd", "assets/../../up"])
def test_a_member_that_would_be_unpacked_elsewhere_is_refused(member: str, copied: Path) -> None:
    changed_archive(copied / "model.keras", member, lambda _: b"x")
    with pytest.raises(ModelFileError, match=f"its member '{member}' would be unpacked outside its folder"):
        load_model(copied / "model.keras")


# --- files that would use up the memory ----------------------------------------------------------------------------


def deflated(path: Path, member: str, size: int) -> None:
    """Replace or add a member of zeros, which deflate to a thousandth."""
    with zipfile.ZipFile(path) as archive:
        others = {name: archive.read(name) for name in archive.namelist() if name != member}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in others.items():
            archive.writestr(name, content)
        archive.writestr(member, bytes(size))


@pytest.mark.parametrize("member", ["config.json", "metadata.json", "assets/layer/vocabulary.txt"])
def test_a_member_besides_the_weights_has_at_most_64_mb(member: str, copied: Path) -> None:
    deflated(copied / "model.keras", member, 2**26)
    with pytest.raises(ModelFileError, match=r"besides the weights unpack to 67,\d+,\d+ bytes; .* is 67,108,864"):
        load_model(copied / "model.keras")


def test_weights_that_unpack_to_more_than_the_layers_need_are_refused(copied: Path) -> None:
    deflated(copied / "model.keras", "model.weights.h5", 2**23)
    with pytest.raises(ModelFileError, match="its weights unpack to 8,388,608 bytes; the limit is 48 for"):
        load_model(copied / "model.keras")


def many_numbers(file: h5py.File) -> None:
    file.create_dataset("other", (10, 2), "f4")


def more_numbers_than_any_memory_holds(file: h5py.File) -> None:
    file.create_dataset("other", (2**40, 2**40), "f4", chunks=(2**10, 2**10), compression="gzip")


def few_numbers_in_a_large_chunk(file: h5py.File) -> None:
    file.create_dataset("other", (1,), "f4", chunks=(2**28,), maxshape=(None,), compression="gzip")


def long_strings(file: h5py.File) -> None:
    file.create_dataset("other", (2,), h5py.string_dtype())


BOMBS = [
    (many_numbers, "its weights unpack to 104 bytes; the limit is 48 for the layers it has"),
    (more_numbers_than_any_memory_holds, r"its weights unpack to 4,835,703,278,458,516,698,824,\d+ bytes"),
    (few_numbers_in_a_large_chunk, r"its weights unpack to 1,073,741,8\d+ bytes"),
    (long_strings, "/other does not contain numbers"),
]


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize(("change", "sentence"), BOMBS)
def test_numbers_that_unpack_to_more_than_the_layers_need_are_refused(
    name: str, change: Callable[[h5py.File], None], sentence: str, copied: Path
) -> None:
    changed_hdf5(copied / name, change)
    with pytest.raises(ModelFileError, match=f"/{name} is not read: {sentence}"):
        load_model(copied / name)


def groups_that_hold_each_other(file: h5py.File) -> None:
    group = file.create_group("first").create_group("second")
    group["third"] = file["first"]


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_groups_that_contain_each_other_are_followed_once(name: str, copied: Path) -> None:
    changed_hdf5(copied / name, groups_that_hold_each_other)
    assert load_model(copied / name).count_params() == 6


def with_large_layers(path: Path, old: str, new: str) -> None:
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = file.attrs["model_config"].replace(old, new)
    else:
        changed_archive(path, "config.json", lambda text: text.replace(old.encode(), new.encode()))


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_layers_that_need_more_weights_than_the_file_can_contain_are_refused(name: str, copied: Path) -> None:
    with_large_layers(copied / name, '"units": 2', '"units": 1000000000000')
    with pytest.raises(ModelFileError, match=r"its layers need 12,000,000,000,000 bytes; the limit is 67,108,8"):
        load_model(copied / name)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_model_of_very_many_layers_is_refused_before_they_are_built(name: str, tmp_path: Path) -> None:
    keras.Sequential([keras.Input((2,)), keras.layers.Activation("relu")]).save(tmp_path / name)
    one = '{"class_name": "Activation"}, '
    with_large_layers(tmp_path / name, '"layers": [', '"layers": [' + one * 2_000)
    with pytest.raises(ModelFileError, match=r"it has 2,00\d layers; the limit is 2,000"):
        load_model(tmp_path / name)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_tensors_that_layers_compute_while_being_built_are_counted(name: str, tmp_path: Path) -> None:
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Normalization(mean=0.5, variance=1.5)(inputs)).save(tmp_path / name)
    load_model(tmp_path / name)
    with_large_layers(tmp_path / name, "[null, 2]", "[null, 1000000000000]")  # it holds the mean of each column
    with pytest.raises(ModelFileError, match=r"its layers need \d+,\d+,\d+,\d+,\d+ bytes"):
        load_model(tmp_path / name)


@pytest.mark.parametrize("summed", [3_000, 3_001, 3_000_000])
def test_a_member_that_is_longer_than_the_archive_says_is_refused(summed: int, copied: Path) -> None:
    file = copied / "model.keras"
    deflated(file, "metadata.json", 3_000_000)
    lies = {3_000_000: 3_000, zlib.crc32(bytes(3_000_000)): zlib.crc32(bytes(summed))}
    content = file.read_bytes()
    for true, lie in lies.items():
        content = content.replace(true.to_bytes(4, "little"), lie.to_bytes(4, "little"))
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"'metadata\.json'( does not have the length that the archive says|$)"):
        load_model(file)


def test_an_archive_with_two_members_of_a_name_or_very_many_is_refused(copied: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(copied / "model.keras", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", "{}")
    with pytest.raises(ModelFileError, match=r"it has two members 'config\.json'"):
        load_model(copied / "model.keras")
    with zipfile.ZipFile(tmp_path / "many.keras", "w") as archive:
        for number in range(1_001):
            archive.writestr(str(number), "")
    with pytest.raises(ModelFileError, match="it has 1,001 members; the limit is 1,000"):
        load_model(tmp_path / "many.keras")


def test_another_compression_than_deflate_is_refused(copied: Path) -> None:
    with zipfile.ZipFile(copied / "model.keras", "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("assets/zeros", bytes(1_000))
    with pytest.raises(ModelFileError, match="its member 'assets/zeros' uses a compression other than deflate"):
        load_model(copied / "model.keras")


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_model_with_its_optimizer_is_read(name: str, tmp_path: Path) -> None:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    model.compile(keras.optimizers.Adam(amsgrad=True, use_ema=True, gradient_accumulation_steps=2), "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / name)
    assert load_model(tmp_path / name).count_params() == 6
