"""An exported file and its manifest: what the file takes and gives, where it comes from, and its SHA-256."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from src.errors import ModelFileError
from src.schema import EXPORTS

MANIFEST = "manifest.json"
REMEDY = "export the model again"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of an exported file.

    Attributes:
        format: one of `EXPORTS`.
        file: the name of the file, which is in the same folder.
        sha256: of the file, in hex.
        size: of the file, in bytes.
        input_shape: height, width and channels of the images. The file takes any number of them: raw pixels, uint8,
            (n, height, width, channels), 0-255.
        class_names: the class of each probability. The file gives float32, (n, classes).
        resize_mode: how images were resized in the training: `crop`, `pad` or `stretch`.
        converts: True if images with other colors are converted, as in the training.
        model: the name of the network.
        run_id: the run that trained it.
        model_uri: the MLflow model that was exported, None if it was found by its run.
        model_sha256: of the `.keras` file that was exported, in hex.
        versions: of the packages that made the file and ran it.
    """

    format: str
    file: str
    sha256: str
    size: int
    input_shape: tuple[int, int, int]
    class_names: list[str]
    resize_mode: str
    converts: bool
    model: str
    run_id: str
    model_uri: str | None
    model_sha256: str
    versions: dict[str, str]


def write_export(folder: Path, content: bytes, **facts: Any) -> Manifest:
    """Write an exported file and its manifest into a folder, and return the manifest.

    Args:
        folder: it is made.
        content: of the file.
        facts: the other attributes of `Manifest`.

    Raises:
        OSError: the folder cannot be written.
    """
    file = EXPORTS[facts["format"]].file
    manifest = Manifest(file=file, sha256=hashlib.sha256(content).hexdigest(), size=len(content), **facts)
    folder.mkdir(parents=True)
    (folder / file).write_bytes(content)
    (folder / MANIFEST).write_text(
        json.dumps(dataclasses.asdict(manifest), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return manifest


def read_manifest(file: Path) -> Manifest:
    """Return the manifest next to an exported file, without opening the file.

    Raises:
        ModelFileError: the manifest is missing or damaged, or describes another file.
    """
    path = file.with_name(MANIFEST)
    if not file.is_file():
        raise ModelFileError(f"there is no model file {file}; give a file that python -m src.export has written")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(**(facts | {"input_shape": tuple(facts["input_shape"])}))
        problem = _problem(manifest)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"{file} has no readable {MANIFEST} next to it ({error}); {REMEDY}") from error
    if problem is None and manifest.file != file.name:
        problem = f"it describes {manifest.file}"
    if problem is not None:
        raise ModelFileError(f"{path} does not fit {file.name}: {problem}; {REMEDY}")
    return manifest


def check_file(file: Path, manifest: Manifest) -> bytes:
    """Return the content of an exported file.

    Raises:
        ModelFileError: it is not the file that the manifest describes.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != manifest.sha256:
        raise ModelFileError(f"{file} differs from its {MANIFEST}: it was changed after the export; {REMEDY}")
    return content


def _problem(manifest: Manifest) -> str | None:
    """Return what is wrong with the values of a manifest, None if nothing is."""
    if manifest.format not in EXPORTS:
        return f"got the format {manifest.format!r}, expected one of {', '.join(EXPORTS)}"
    sides = manifest.input_shape
    if len(sides) != 3 or not all(type(side) is int and side > 0 for side in sides):
        return f"got the input shape {list(sides)}, expected height, width and channels"
    if not manifest.class_names or not all(isinstance(name, str) for name in manifest.class_names):
        return "it does not name the classes"
    if manifest.resize_mode not in ("crop", "pad", "stretch"):
        return f"got the resize mode {manifest.resize_mode!r}, expected crop, pad or stretch"
    return None
