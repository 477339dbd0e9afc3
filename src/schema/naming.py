"""The name of a user's own data set: that of its folder or file, made safe for MLflow."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.places import local_path
from src.schema.kinds import REGISTRY

UNNAMED = "image_folder"  # in conf/dataset/image_folder.yaml: the data set is named after its folder
MAX_LENGTH = 100  # MLflow's database takes 250 characters of a run's name, which contains other names too
# A folder whose name consists of these words is named after its parent folder: pets/train, pets/raw_images.
GENERIC = {
    *("train", "training", "test", "testing", "val", "valid", "validation"),
    *("data", "dataset", "datasets", "set", "sets", "folder", "folders", "input", "inputs", "raw"),
    *("image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos", "jpg", "jpeg", "png"),
}
# The same for files: pets/labels.csv, pets/train-00000-of-00001.parquet.
GENERIC_FILES = GENERIC | {
    *("label", "labels", "manifest", "annotation", "annotations", "metadata", "meta", "index", "list", "table"),
    *("array", "arrays", "file", "files", "of"),
}


def name_after(folder: str) -> str:
    """Return the name for the data set in this folder, `image_folder` when no part of the path gives one.

    `pets`, `~/pets/`, `pets/train` and, within `pets`, `.` are all called `pets`.
    """
    path = Path(os.path.abspath(local_path(folder)))  # noqa: PTH100 - resolve() would follow links
    return next((_safe(part.name, UNNAMED) for part in (path, *path.parents) if not _is_generic(part.name)), UNNAMED)


def name_after_file(file: str, unnamed: str) -> str:
    """Return the name for the data set in this file, `unnamed` when no part of the path gives one.

    `pets.csv`, `pets/labels.csv` and `pets/data/train-00000-of-00001.parquet` are all called `pets`.
    """
    path = Path(os.path.abspath(local_path(file)))  # noqa: PTH100 - resolve() would follow links
    stem = path.name.removesuffix(path.suffix)
    words = [word for word in _words(stem) if not word.isdigit()]
    if words and not GENERIC_FILES.issuperset(words):
        return _safe(stem, unnamed)
    return next((_safe(part.name, unnamed) for part in path.parents if not _is_generic(part.name)), unnamed)


def with_given_name(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration's tree as if its data set were not named after its folder or file.

    The same images in another folder are the same data, so two configurations may not differ by the folder's name.
    """
    dataset = tree.get("dataset") or {}
    kind = REGISTRY["dataset"].find(dataset.get("loader"))
    place = dataset.get(getattr(kind, "place_key", None))
    if kind and place is not None and dataset.get("name") == kind.name_after(str(place)):
        dataset = {**dataset, "name": kind.unnamed}
    return {**tree, "dataset": dataset}


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s_.-]+", text.casefold()) if word]


def _is_generic(text: str) -> bool:
    return GENERIC.issuperset(_words(text))


def _safe(text: str, unnamed: str) -> str:
    """Keep letters, digits, dashes, underscores and dots: MLflow and the command line give others a meaning."""
    composed = unicodedata.normalize("NFC", text)
    kept = (char if char in "-_." or unicodedata.category(char)[0] in "LMN" else " " for char in composed)
    name = "_".join("".join(kept).split())
    if not any(char.isalnum() for char in name):
        return unnamed
    if len(name) <= MAX_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]  # two long names may differ at their ends only
    return f"{name[: MAX_LENGTH - 9]}-{digest}"
