"""Images and labels as arrays in an NPZ file."""

from __future__ import annotations

import math
import tokenize
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from src.datasets.arrays import Arrays, Images
from src.datasets.listing import MAX_NAMED, MAX_SHOWN, SPLIT_NAMES, SPLITS, TRAIN, ImageFile
from src.datasets.splitting import Source, divide
from src.errors import DataError
from src.places import local_path
from src.schema import ArraysConfig

EXPECTED = "x_train, y_train, x_test, y_test, or images, labels"
TOLERANCE = 1e-6  # of the range, by which rounding may put a value outside
HEADERS = {  # by the version of the format: the bytes of the header's length, and the function that reads the header
    (1, 0): (2, np.lib.format.read_array_header_1_0),
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}
MAX_HEADER_BYTES = 10_000  # NumPy's limit, which it checks after it has read the header into the memory
Header = tuple[tuple[int, ...], np.dtype]  # the shape and the type of an array
DAMAGED = (OSError, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass
class Part:
    """The arrays of a split, or of all images.

    Attributes:
        split: None if the file has all images together.
        images, labels: the names of the two arrays.
        shape: of the images, (n, height, width, channels).
        dtype: of the images.
        classes: the labels as they are in the file, (n,): integers or strings.
    """

    split: str | None
    images: str
    labels: str
    shape: tuple[int, ...]
    dtype: np.dtype
    classes: np.ndarray


def load_arrays(config: ArraysConfig) -> Arrays:
    """Return the images of an NPZ file, in the order of `divide`.

    Raises:
        ConfigError: a validation size is set although the file has images for validation.
        DataError: the file is not an NPZ file with images and labels that the configuration describes.
    """
    file, parts, note = _open(config)
    class_names = _name_classes(config, file, parts)
    images = np.concatenate([_read_images(config, file, part) for part in parts])
    files = [
        ImageFile(f"{part.split}/{index:08}" if part.split else f"{index:08}", part.split, str(label), 0, (0, 0))
        for part in parts
        for index, label in enumerate(_as_names(part.classes, config.class_names))
    ]
    given = [part.split for part in parts if part.split]
    arrays = divide(config, Source("arrays", images, files, class_names, given, [], [note], []))
    # The order of the images does not show where one split ends and the next begins.
    return replace(arrays, assignment=repr([(part.split, len(part.classes)) for part in parts if part.split]).encode())


def list_classes_of(config: ArraysConfig) -> list[str]:
    """Return the names of the classes; labels are read, but only the shapes of the images.

    Raises:
        DataError: the file is not an NPZ file with images and labels that the configuration describes.
    """
    file, parts, _ = _open(config)
    return _name_classes(config, file, parts)


def _open(config: ArraysConfig) -> tuple[Path, list[Part], str]:
    """Return the file, its parts, and a sentence about what was read as what."""
    file = local_path(config.file)
    if not file.is_file():
        problem = "is not a file" if file.exists() else "does not exist"
        raise DataError(f"{file} {problem}; save images with numpy.savez ({EXPECTED}), or set dataset.file=FILE")
    try:
        with zipfile.ZipFile(file) as archive:
            headers = {name.removesuffix(".npy"): _header(archive, name) for name in archive.namelist()}
    except DAMAGED as error:
        raise DataError(f"{file} is not an NPZ file: {error}; save it with numpy.savez ({EXPECTED})") from error
    for name, (_, dtype) in headers.items():
        if dtype.hasobject:
            raise DataError(
                f"{file} contains {name} as pickled Python objects, which can run any code and so are not read; "
                "save it as an array of numbers, for example numpy.array(labels, dtype=int)"
            )
    pairs = _find_pairs(headers)
    if not pairs or (pairs[0][0] not in (TRAIN, None)):
        raise DataError(f"{file} has the arrays {', '.join(headers) or 'none'}; expected {EXPECTED}")
    used = {name for _, *pair in pairs for name in pair}
    _check_memory(file, [headers[name] for name in used])
    parts = [_part(config, file, headers, *pair) for pair in pairs]
    unused = [name for name in headers if name not in used]
    note = f"{file.name}: " + ", ".join(f"{part.split or 'all images'} from {part.images!r}" for part in parts)
    return file, parts, note + (f"; arrays that are not used: {', '.join(unused)}" if unused else "")


def _header(archive: zipfile.ZipFile, name: str) -> Header:
    """Return the shape and the type of an array."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        if version not in HEADERS:
            raise ValueError(f"{name} has named fields")
        length_bytes, read_header = HEADERS[version]
        length = int.from_bytes(member.read(length_bytes), "little")
        member.seek(np.lib.format.MAGIC_LEN)
        if length > MAX_HEADER_BYTES:
            raise ValueError(f"the header of {name} has {length:,} bytes, expected up to {MAX_HEADER_BYTES:,}")
        try:
            shape, _, dtype = read_header(member)
        except (ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:  # those of Python's parser
            raise ValueError(f"the header of {name} cannot be read") from error
    return shape, dtype


def _check_memory(file: Path, arrays: Sequence[Header]) -> None:
    """Raise DataError for arrays that do not fit into the memory: a small compressed file may contain terabytes."""
    needed = sum(math.prod(shape) * (1 + dtype.itemsize) for shape, dtype in arrays)
    if needed > (free := psutil.virtual_memory().available):
        raise DataError(
            f"reading {file} takes {needed / 2**30:.1f} GB of memory, but {free / 2**30:.1f} GB are free; save fewer "
            "images, or save them as files for dataset=manifest, which are read from disk"
        )


def _find_pairs(names: Iterable[str]) -> list[tuple[str | None, str, str]]:
    """Return the split and the names of images and labels, in the order of the splits; all images have no split."""
    known = {name.lower(): name for name in names}
    found: dict[str | None, tuple[str, str]] = {}
    for word, split in SPLIT_NAMES.items():
        for images, labels in (("x", "y"), ("images", "labels"), ("image", "label")):
            for pattern in ("{0}_{1}", "{1}_{0}"):
                pair = [known.get(pattern.format(what, word)) for what in (images, labels)]
                if pair[0] and pair[1]:
                    found.setdefault(split, (pair[0], pair[1]))
    if not found:
        for images, labels in (("images", "labels"), ("x", "y")):
            if images in known and labels in known:
                found.setdefault(None, (known[images], known[labels]))
    return [(split, *found[split]) for split in (None, *SPLITS) if split in found]


def _part(
    config: ArraysConfig,
    file: Path,
    headers: Mapping[str, Header],
    split: str | None,
    images: str,
    labels: str,
) -> Part:
    """Return a part with its labels.

    Raises:
        DataError: images or labels have another shape or type than the configuration says.
    """
    shape, dtype = headers[images]
    shape = (*shape, 1) if len(shape) == 3 else shape
    if shape[1:] != config.input_shape:
        raise DataError(_describe_shape(config, file, images, headers[images][0]))
    if dtype != np.uint8 and config.value_range is None:
        raise DataError(
            f"{file}: {images} is {dtype}, and its values of black and white are not known; state them with "
            "dataset.value_range=[0,1], [-1,1] or [0,255], or save unsigned bytes (uint8)"
        )
    if dtype == np.uint8 and config.value_range not in (None, [0, 255]):
        raise DataError(
            f"{file}: {images} is uint8, whose values are from 0 to 255; remove "
            f"dataset.value_range={config.value_range}"
        )
    if dtype.kind not in "biuf":
        raise DataError(f"{file}: {images} is {dtype}, expected numbers; save unsigned bytes (uint8)")
    found, kind = headers[labels]
    if found not in (shape[:1], (*shape[:1], 1)):
        one_hot = "; turn one-hot labels into numbers with labels.argmax(axis=1)" if len(found) == 2 else ""
        raise DataError(
            f"{file}: {labels} has the shape {found}, expected {shape[:1]}, a label for each of {images}{one_hot}"
        )
    if kind.kind not in "iuUS":
        raise DataError(f"{file}: {labels} is {kind}, expected integers or strings; save {labels}.astype(int)")
    classes = _read(file, labels).reshape(-1)
    if kind.kind == "S":
        classes = _decode(file, labels, classes)
    return Part(split, images, labels, shape, dtype, _composed(classes) if classes.dtype.kind == "U" else classes)


def _composed(classes: np.ndarray) -> np.ndarray:
    """Return string labels in Unicode's composed form (NFC): macOS may write a `ü` as a `u` and its dots."""
    names, places = np.unique(classes, return_inverse=True)
    return np.array([unicodedata.normalize("NFC", name) for name in names.tolist()], str)[places]


def _decode(file: Path, name: str, classes: np.ndarray) -> np.ndarray:
    """Return labels of bytes as strings."""
    try:
        return np.strings.decode(classes, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}: {name} has the label {error.object[:MAX_SHOWN]!r}, which is not UTF-8; save the labels as "
            f'strings, for example numpy.strings.decode({name}, "latin-1")'
        ) from error


def _describe_shape(config: ArraysConfig, file: Path, name: str, shape: tuple[int, ...]) -> str:
    found = f"{file}: {name} has the shape {shape}"
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        return f"{found}, with channels first; save numpy.moveaxis({name}, 1, -1)"
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        return f"{found}, expected (images, height, width) or (images, height, width, channels) with 1 or 3 channels"
    channels = shape[3] if len(shape) == 4 else 1
    return (
        f"{found}, but the configuration says {config.input_shape}; set 'dataset.image_size=[{shape[1]},{shape[2]}]' "
        f"dataset.channels={channels}"
    )


def _read(file: Path, name: str) -> np.ndarray:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return np.asarray(archive[name])
    except DAMAGED as error:
        raise DataError(f"{file}: {name} cannot be read ({error}); save the file again") from error


def _read_images(config: ArraysConfig, file: Path, part: Part) -> Images:
    """Return the images as unsigned bytes.

    Raises:
        DataError: values are outside of the range that the configuration states.
    """
    images = _read(file, part.images).reshape(part.shape)
    if part.dtype == np.uint8:
        return images
    low, high = config.value_range or (0, 255)
    margin = TOLERANCE * (high - low)
    worst = [images.min(axis=(1, 2, 3)), images.max(axis=(1, 2, 3))]
    inside = (worst[0] >= low - margin) & (worst[1] <= high + margin)  # false for NaN
    bad = [
        (index, f"{least:.6g} to {most:.6g}")
        for index, (least, most) in enumerate(zip(*worst, strict=True))
        if not inside[index]
    ]
    limits = f"{low:g} to {high:g}"
    _refuse(file, part.images, len(images), bad, f"have values outside of {limits}", "correct dataset.value_range")
    scaled = np.empty(images.shape, np.uint8)
    for index, image in enumerate(images):  # one at a time, because float64 takes eight times as much memory
        scaled[index] = np.clip(np.rint((image.astype(np.float64) - low) * (255 / (high - low))), 0, 255)
    return scaled


def _name_classes(config: ArraysConfig, file: Path, parts: Sequence[Part]) -> list[str]:
    """Return the names of the classes.

    Raises:
        DataError: labels are not among the classes, or there is only one.
    """
    names = config.class_names
    kinds = {part.classes.dtype.kind == "U" for part in parts}
    if len(kinds) > 1:
        raise DataError(f"{file} has labels that are strings and labels that are numbers; use one kind")
    are_names = kinds == {True}
    for part in parts:
        if are_names:
            is_bad = ~np.isin(part.classes, names) if names else part.classes == ""
        else:
            is_bad = (part.classes < 0) | ((part.classes >= len(names)) if names else False)
        bad = [(int(index), repr(part.classes[index].item())) for index in np.flatnonzero(is_bad)]
        if are_names:
            problem = "are not in dataset.class_names" if names else "are empty"
            expected = f"the classes are {', '.join(names)}" if names else "each image needs a label"
        else:
            problem = "are out of range"
            last = f" to {len(names) - 1}, because dataset.class_names has {len(names)} classes" if names else ""
            expected = f"labels are from 0{last}"
        _refuse(file, part.labels, len(part.classes), bad, problem, f"{expected}; correct the labels")
    if names:
        return list(names)
    found = sorted({label for part in parts for label in np.unique(part.classes).tolist()})
    if len(found) < 2:
        label = f"the label {found[0]!r}" if found else "no label"
        raise DataError(f"all images in {file} have {label}; at least two classes are needed")
    return [str(name) for name in found]


def _as_names(classes: np.ndarray, names: Sequence[str]) -> list[str]:
    if names and classes.dtype.kind != "U":
        return [names[label] for label in classes]
    return [str(label) for label in classes.tolist()]


def _refuse(file: Path, name: str, total: int, bad: Sequence[tuple[int, str]], problem: str, remedy: str) -> None:
    """Raise DataError if there are bad images or labels: how many, the first few by their index, and what to do."""
    if not bad:
        return
    shown = ", ".join(f"{name}[{index}] ({value})" for index, value in bad[:MAX_NAMED])
    more = ", ..." if len(bad) > MAX_NAMED else ""
    raise DataError(f"{len(bad)} of {total:,} in {name} of {file} {problem}: {shown}{more}; {remedy}")
