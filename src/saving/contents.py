"""Checks of a model file before Keras reads it.

Nothing in it may run code, refer to another file, or need more memory than the weights of its layers explain.
"""

import copy
import io
import json
import math
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import h5py

from src.errors import ModelFileError
from src.extensions import is_extension
from src.saving.sizes import bytes_needed

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
CONFIG_ATTRIBUTE = "model_config"  # of a `.h5` file
MAX_MEMBERS = 1_000  # of a `.keras` file: Keras writes three, and one for each vocabulary
MAX_LAYERS = 2_000  # of a model: NASNetLarge has 1,041, and the time to build them grows faster than their number
MAX_TEXT = 64 * 2**20  # bytes of the configuration, and of all members of a `.keras` file besides the weights
MAX_BYTES = 8 * 2**30  # of the weights
MAX_EXPANSION = 20  # bytes of weights for each byte of the file, beyond MAX_TEXT: trained weights hardly compress
COPIES = 2  # the weights of a file may take this many times the bytes that its layers need
COPIES_WITH_OPTIMIZER = 8  # it keeps up to five more: two moments, AMSGrad's maximum, an average, summed gradients
OVERHEAD = 4 * 2**20  # bytes that HDF5 needs around the numbers: about 3 KB for each layer


def check_contents(path: Path) -> Any:
    """Return the configuration of a `.keras` or `.h5` file: nested dicts and lists; None for a file without one.

    Refused are Lambda layers and classes from other modules, archive members that would be unpacked elsewhere, links
    and HDF5 data sets that read their numbers from another file, and everything that would use up the memory: layers or
    weights out of proportion to the file or to each other. The suffix selects the checks, as it selects how Keras reads
    the file. One file may be both an archive and HDF5.

    Raises:
        ModelFileError: the file contains more than layers of Keras, or of loaded extensions, and their weights.
    """
    if path.suffix == ".keras":
        return _check_archive(path)
    with path.open("rb") as file:
        return _check_hdf5(path, file)


def check_config(config: Any, text: str) -> None:
    """Raise an error unless a model with this configuration could be read back from a file.

    Args:
        config: the layers, as in the `.keras` format: nested dicts and lists.
        text: the same as JSON.
    """
    _check_layers(Path("model"), config)
    bytes_needed(text)


def _check_archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _check_members(path, members)
        texts = [member for member in members if member.filename != WEIGHTS]
        if (size := sum(member.file_size for member in texts)) > MAX_TEXT:
            raise _too_large(path, "its contents besides the weights unpack to", size, f"{MAX_TEXT:,}")
        unpacked = {member.filename: _unpack(path, archive, member) for member in texts}
        text, weights = unpacked.pop(CONFIG), archive.getinfo(WEIGHTS)
        config = json.loads(text)
        _check_layers(path, config)
        copies = COPIES_WITH_OPTIMIZER if config.get("compile_config") else COPIES
        allowed = _allowed_bytes(path, text, copies)
        if weights.file_size > allowed + OVERHEAD:
            raise _too_large_weights(path, weights.file_size, allowed)
        with h5py.File(io.BytesIO(_unpack(path, archive, weights)), "r") as opened:
            _check_numbers(path, opened, allowed)
    return config


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise _refused(path, f"it has {len(members):,} members; the limit is {MAX_MEMBERS:,}")
    names = set()
    for member in members:
        place = PurePosixPath(member.filename)
        if place.is_absolute() or ".." in place.parts or "\\" in member.filename:
            raise _refused(path, f"its member {member.filename!r} would be unpacked outside its folder")
        if member.filename in names:
            raise _refused(path, f"it has two members {member.filename!r}")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(path, f"its member {member.filename!r} uses a compression other than deflate")
        names.add(member.filename)


def _unpack(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return the content of a member, read up to a limit: the archive may state a wrong size, and Keras trusts it."""
    one_more = copy.copy(member)
    one_more.file_size += 1
    with archive.open(one_more) as opened:
        content = opened.read(one_more.file_size)
    if len(content) != member.file_size:
        raise _refused(path, f"its member {member.filename!r} does not have the length that the archive says")
    return content


def _allowed_bytes(path: Path, config: str | bytes, copies: int) -> int:
    """Return the maximum bytes of weights in a file with these layers.

    Raises:
        ModelFileError: the layers need more weights than a file of this size can contain.
    """
    needed, size = bytes_needed(config), path.stat().st_size
    largest = min(MAX_BYTES, max(MAX_TEXT, MAX_EXPANSION * size))
    if needed > largest:
        raise _too_large(path, "its layers need", needed, f"{largest:,} for a file of {size:,} bytes")
    return min(largest, copies * needed)


def _check_hdf5(path: Path, file: BinaryIO) -> Any:
    """Check a whole model in HDF5."""
    with h5py.File(file, "r") as opened:
        if CONFIG_ATTRIBUTE not in opened.attrs:
            return None  # Keras reports that before it reads anything else
        if opened.attrs.get_id(CONFIG_ATTRIBUTE).shape:
            raise _refused(path, f"its {CONFIG_ATTRIBUTE} is a list")
        text = opened.attrs[CONFIG_ATTRIBUTE]
        if len(text) > MAX_TEXT:
            raise _too_large(path, "its configuration takes", len(text), f"{MAX_TEXT:,}")
        config = json.loads(text)
        _check_layers(path, config)
        copies = COPIES_WITH_OPTIMIZER if "optimizer_weights" in opened else COPIES
        _check_numbers(path, opened, _allowed_bytes(path, text, copies))
    return config


def _check_numbers(path: Path, opened: h5py.File, allowed: int) -> None:
    """Check the groups and data sets of an HDF5 file, whose numbers may take this many bytes in memory."""
    if (size := _check_group(path, opened, set())) > allowed:
        raise _too_large_weights(path, size, allowed)


def _check_group(path: Path, group: h5py.Group, seen: set[int]) -> int:
    """Return the bytes of all data sets below the group, each counted once, in whole chunks as they are read."""
    size = 0
    for name in group:
        place = f"{group.name.rstrip('/')}/{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise _refused(path, f"{place} is a link to another place")
        item = group[name]
        if (address := h5py.h5o.get_info(item.id).addr) in seen:
            continue  # groups that contain each other would be followed forever
        seen.add(address)
        if isinstance(item, h5py.Group):
            size += _check_group(path, item, seen)
            continue
        if item.is_virtual or item.external:
            raise _refused(path, f"{place} reads its numbers from another file")
        if item.dtype.hasobject:
            raise _refused(path, f"{place} does not contain numbers")
        size += max(math.prod(item.shape or ()), math.prod(item.chunks or ())) * item.dtype.itemsize
    return size


def _check_layers(path: Path, config: Any) -> None:
    if isinstance(config, list):
        for item in config:
            _check_layers(path, item)
    if not isinstance(config, dict):
        return
    name, module = str(config.get("class_name", "")), config.get("module")
    if "lambda" in name.lower():
        raise _refused(path, f"it has a {name} layer, which can run any code")
    if name and module is not None and str(module).partition(".")[0] != "keras" and not is_extension(str(module)):
        raise _refused(path, f"it names {module}.{name}, which is not part of Keras or of a loaded extension")
    layers = config.get("layers")
    if isinstance(layers, list) and len(layers) > MAX_LAYERS:
        raise _refused(path, f"it has {len(layers):,} layers; the limit is {MAX_LAYERS:,}")
    for item in config.values():
        _check_layers(path, item)


def _refused(path: Path, why: str) -> ModelFileError:
    return ModelFileError(f"{path} is not read: {why}; only models of Keras' layers can be read")


def _too_large_weights(path: Path, size: int, allowed: int) -> ModelFileError:
    return _too_large(path, "its weights unpack to", size, f"{allowed:,} for the layers it has")


def _too_large(path: Path, what: str, size: int, allowed: str) -> ModelFileError:
    return ModelFileError(f"{path} is not read: {what} {size:,} bytes; the limit is {allowed}")
