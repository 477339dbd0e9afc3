"""What is in a model file, looked at before Keras reads it: nothing in it may run code or lead to another file."""

import io
import json
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import h5py

from src.errors import ModelFileError

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MOST_BYTES = 8 * 2**30  # of all that a `.keras` file unpacks to


def check_contents(path: Path) -> None:
    """Raises ModelFileError for a `.keras` or `.h5` file that holds more than layers of Keras and their weights.

    That is a Lambda layer or a class from another module, an archive member that would be unpacked elsewhere, a link
    or a data set of HDF5 that takes its numbers from another file. The suffix says what is looked for, as it tells
    Keras what to read: one file may be both an archive and HDF5.
    """
    if path.suffix == ".keras":
        _check_archive(path)
    else:
        with path.open("rb") as file:
            _check_hdf5(path, file)


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            place = PurePosixPath(member.filename)
            if place.is_absolute() or ".." in place.parts or "\\" in member.filename:
                raise _refused(path, f"its member {member.filename!r} would be unpacked outside of it")
        if (size := sum(member.file_size for member in members)) > MOST_BYTES:
            raise _refused(path, f"it would unpack to {size:,} bytes, more than {MOST_BYTES:,}")
        names = {member.filename for member in members}
        if CONFIG in names:
            _check_layers(path, json.loads(archive.read(CONFIG)))
        for name in sorted(names):
            if name.endswith(".h5"):
                with archive.open(name) as weights:
                    _check_hdf5(path, io.BytesIO(weights.read()))


def _check_hdf5(path: Path, file: BinaryIO) -> None:
    with h5py.File(file, "r") as opened:
        if text := opened.attrs.get("model_config"):
            _check_layers(path, json.loads(text))
        _check_group(path, opened)


def _check_group(path: Path, group: h5py.Group) -> None:
    for name in group:
        place = f"{group.name.rstrip('/')}/{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise _refused(path, f"{place} is a link to elsewhere")
        item = group[name]
        if isinstance(item, h5py.Group):
            _check_group(path, item)
        elif item.is_virtual or item.external:
            raise _refused(path, f"{place} takes its numbers from another file")


def _check_layers(path: Path, config: Any) -> None:
    if isinstance(config, list):
        for item in config:
            _check_layers(path, item)
    if not isinstance(config, dict):
        return
    name, module = str(config.get("class_name", "")), config.get("module")
    if "lambda" in name.lower():
        raise _refused(path, f"it has a {name} layer, which runs code of its own")
    if name and module is not None and str(module).partition(".")[0] != "keras":
        raise _refused(path, f"it names {module}.{name}, which is not Keras' own")
    for item in config.values():
        _check_layers(path, item)


def _refused(path: Path, why: str) -> ModelFileError:
    return ModelFileError(f"{path} is not read: {why}; only models of Keras' own layers are")
