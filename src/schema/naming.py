"""The name of a data set that is a folder of images: the folder's name, made safe for MLflow."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.places import local_path

UNNAMED = "image_folder"  # in conf/dataset/image_folder.yaml: the data set is named after its folder
MAX_LENGTH = 100  # MLflow's database takes 250 characters of a run's name, which contains other names too
# A folder whose name consists of these words is named after its parent folder: pets/train, pets/raw_images.
GENERIC = {
    *("train", "training", "test", "testing", "val", "valid", "validation"),
    *("data", "dataset", "datasets", "set", "sets", "folder", "folders", "input", "inputs", "raw"),
    *("image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos", "jpg", "jpeg", "png"),
}


def name_after(folder: str) -> str:
    """Return the name for the data set in this folder, `image_folder` when no part of the path gives one.

    `pets`, `~/pets/`, `pets/train` and, within `pets`, `.` are all called `pets`.
    """
    path = Path(os.path.abspath(local_path(folder)))  # noqa: PTH100 - resolve() would follow links
    for part in (path, *path.parents):
        words = re.split(r"[\s_.-]+", part.name.casefold())
        if not GENERIC.issuperset(word for word in words if word):
            return _safe(part.name)
    return UNNAMED


def with_given_name(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration's tree as if its data set were not named after its folder.

    The same images in another folder are the same data, so two configurations may not differ by the folder's name.
    """
    dataset = tree.get("dataset") or {}
    if dataset.get("loader") == "image_folder" and dataset.get("name") == name_after(str(dataset.get("folder"))):
        dataset = {**dataset, "name": UNNAMED}
    return {**tree, "dataset": dataset}


def _safe(text: str) -> str:
    """Keep letters, digits, dashes, underscores and dots: MLflow and the command line give others a meaning."""
    composed = unicodedata.normalize("NFC", text)
    kept = (char if char in "-_." or unicodedata.category(char)[0] in "LMN" else " " for char in composed)
    name = "_".join("".join(kept).split())
    if not any(char.isalnum() for char in name):
        return UNNAMED
    if len(name) <= MAX_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]  # two long names may differ at their ends only
    return f"{name[: MAX_LENGTH - 9]}-{digest}"
