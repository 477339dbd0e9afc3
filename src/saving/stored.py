"""The stored files of a model: their names, their manifest, and the checks that need neither Keras nor TensorFlow."""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import h5py

from src.errors import ModelFileError

KERAS_FILE = "model.keras"
H5_FILE = "model.h5"
SAVED_MODEL = "saved_model"
MANIFEST = "manifest.json"
FILES = {"keras": KERAS_FILE, "h5": H5_FILE, "saved_model": SAVED_MODEL}  # by their names in `tracking.formats`
FORMATS = tuple(FILES.values())
REMEDY = "restore it from a copy, or train the model again"


def keras_file(folder: Path) -> Path:
    """Return the `.keras` file of a run's model folder, checked against its manifest, or of an MLflow LoggedModel.

    Raises:
        ModelFileError: the file is missing, or the folder does not contain what its manifest lists.
    """
    if (folder / "MLmodel").is_file():
        file = folder / "data" / KERAS_FILE
    else:
        check_manifest(folder)
        file = folder / KERAS_FILE
    if not file.is_file():
        raise ModelFileError(f"there is no model file {file}; {REMEDY}")
    return file


def formats_in(folder: Path) -> tuple[str, ...]:
    """Return the formats in a run's model folder, after checking its files against its manifest."""
    check_manifest(folder)
    return tuple(name for name in FORMATS if (folder / name).exists())


def files_of(formats: Sequence[str]) -> tuple[str, ...]:
    """Return the files of some of `tracking.formats`; MLflow's own is not in the folder."""
    return tuple(file for name, file in FILES.items() if name in formats)


def formats_listed(manifest: Path) -> tuple[str, ...]:
    """Return the formats whose files a manifest lists, without looking at the files."""
    listed = {path.partition("/")[0] for path in json.loads(manifest.read_text())}
    return tuple(name for name in FORMATS if name in listed)


def check_manifest(folder: Path) -> None:
    """Raise ModelFileError unless the folder contains exactly the files that its manifest lists, with their content."""
    try:
        listed = dict(json.loads((folder / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ModelFileError(f"{folder} has no readable {MANIFEST} ({error}); {REMEDY}") from error
    found = file_digests(folder)
    wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
    if wrong:
        names = ", ".join(wrong)
        raise ModelFileError(f"{folder} differs from its {MANIFEST}: {names} missing, added or changed; {REMEDY}")


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 in hex of every file below the folder, by its path within it; a manifest lists these."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check_format(path: Path) -> None:
    """Raise ModelFileError for a file that cannot be read, or is neither a `.keras` archive nor HDF5."""
    try:
        with path.open("rb") as file:
            is_model = zipfile.is_zipfile(file)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    if not is_model and not h5py.is_hdf5(path):
        raise ModelFileError(f"{path} is not a model that Keras can read: it is neither a .keras archive nor HDF5")
