"""Writing checkpoints, reading the newest one, and removing what is left over.

A folder contains the checkpoints of one training.

    00005.json             the state after epoch 5, and the size and the SHA-256 of each file; written last
    variables-00005.npy    of the model and its optimizer
    best-00003.npy         the weights of the best epoch, which later checkpoints share
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from src.checkpointing.arrays import FILE, read_arrays, write_arrays
from src.checkpointing.manifest import FORMAT, digest_of, manifests, may_be_whole, names_in, read_manifest
from src.checkpointing.state import Arrays, Checkpoint
from src.errors import CheckpointError
from src.writing import PART, remove, replacing

KEPT = 2  # checkpoints of a training that stay on the disk


def write(folder: Path, checkpoint: Checkpoint, origin: Mapping[str, Any]) -> int:
    """Write a checkpoint, remove older ones than the last two, and return the bytes of its files.

    It is complete once its manifest has its name. Arrays that an earlier checkpoint contains are not written again.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _files_of(folder)
    files: dict[str, Any] = {}
    for name, arrays in checkpoint.arrays.items():
        file = f"{name}-{arrays.epoch:05}.npy"
        files[name] = known.get(file) if arrays.epoch < checkpoint.epoch else None
        files[name] = files[name] or write_arrays(folder / file, arrays.values)
    content = {"epoch": checkpoint.epoch, "files": files, "origin": origin, "state": checkpoint.state}
    manifest = folder / f"{checkpoint.epoch:05}.json"
    with replacing(manifest) as part, part.open("w", encoding="utf-8") as file_object:
        json.dump({"format": FORMAT, "sha256": digest_of(content), "content": content}, file_object)
        file_object.flush()
        os.fsync(file_object.fileno())
    with contextlib.suppress(OSError, CheckpointError):  # the checkpoint is complete
        _sync_folder(folder)  # not every file system can
    with contextlib.suppress(OSError, CheckpointError):
        _remove_old(folder)
    return manifest.stat().st_size + sum(entry["size"] for entry in files.values() if entry)


def newest(folder: Path, warn: Callable[[str], object] = str) -> tuple[Checkpoint, Mapping[str, Any]] | None:
    """Return the newest checkpoint in a folder that is complete and undamaged, and its origin; None without any.

    Args:
        folder: of one training.
        warn: called with a sentence when a newer checkpoint cannot be read.

    Raises:
        CheckpointError: there are some, but all of them are damaged, or one `may_be_whole`.
    """
    problems: list[str] = []
    for epoch, manifest in sorted(manifests(folder).items(), reverse=True):
        try:
            found = read(manifest)
        except CheckpointError as error:
            if may_be_whole(error):
                raise CheckpointError(
                    f"the checkpoint of epoch {epoch} in {folder} cannot be read: {error}; try again, or remove "
                    f"{manifest.name} if it is damaged"
                ) from error.__cause__
            problems.append(f"epoch {epoch}: {error}")
            continue
        if problems:
            warn(
                f"a newer checkpoint in {folder} cannot be read ({'; '.join(problems)}); the training continues after "
                f"epoch {epoch}"
            )
        return found
    if problems:
        raise CheckpointError(
            f"no checkpoint in {folder} can be read ({'; '.join(problems)}); restore them from a copy, or remove the "
            "folder to start from the first epoch"
        )
    return None


def read(manifest: Path) -> tuple[Checkpoint, Mapping[str, Any]]:
    """Return the checkpoint of a manifest, and its origin.

    Raises:
        CheckpointError: it is damaged, or not a checkpoint of this version.
    """
    content = read_manifest(manifest)
    arrays = {
        name: Arrays(int(FILE.sub(r"\1", entry["file"])), read_arrays(manifest.parent, entry))
        for name, entry in content["files"].items()
    }
    return Checkpoint(content["epoch"], content["state"], arrays), content["origin"]


def leftovers(folder: Path, wanted: Iterable[Path]) -> list[Path]:
    """Return what is left over in a folder: unfinished files, and arrays that none of the wanted manifests names."""
    named = {name for manifest in wanted for name in names_in(manifest)}
    return [
        path
        for path in sorted(folder.iterdir())
        if path.name.startswith(PART) or (FILE.fullmatch(path.name) and path.name not in named)
    ]


def _files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what the manifests in a folder say about their files, without those that are gone or have another size.

    It returns nothing about a folder that cannot be read.
    """
    known: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(CheckpointError):
        for manifest in manifests(folder).values():
            with contextlib.suppress(CheckpointError, OSError):
                for entry in read_manifest(manifest)["files"].values():
                    if (folder / entry["file"]).stat().st_size == entry["size"]:
                        known[entry["file"]] = entry
    return known


def _remove_old(folder: Path) -> None:
    """Remove all but the newest checkpoints, and what no manifest names."""
    for _, manifest in sorted(manifests(folder).items())[:-KEPT]:
        remove(manifest)
    for path in leftovers(folder, manifests(folder).values()):
        remove(path)


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
