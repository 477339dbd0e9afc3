"""Manifests: what a checkpoint consists of, and whether it is complete."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from src.checkpointing.arrays import check_file, is_entry, reason_of
from src.errors import CheckpointError

FORMAT = 1  # of the files
MAX_MANIFEST = 64 * 2**20  # bytes; a history of 10,000 epochs has about 2 MB
_NAME = re.compile(r"([0-9]{5,9})\.json")


def manifests(folder: Path) -> dict[int, Path]:
    """Return the manifests in a folder by their epoch.

    Raises:
        CheckpointError: the folder cannot be read.
    """
    found = {}
    try:
        for path in folder.iterdir():
            if name := _NAME.fullmatch(path.name):
                found[int(name[1])] = path
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CheckpointError(f"the folder {folder} cannot be read ({error.strerror or error})") from error
    return found


def may_be_whole(error: CheckpointError) -> bool:
    """Return True if a checkpoint is not damaged as far as is known: a disk or the permissions let nobody read it."""
    return isinstance(error.__cause__, OSError) and not isinstance(
        error.__cause__, FileNotFoundError | IsADirectoryError
    )


def newest_epoch(folder: Path) -> int:
    """Return the epoch of the newest checkpoint in a folder. Its files are not checked.

    It is 0 if there is none or the folder cannot be read: no training can be resumed from it.
    """
    with contextlib.suppress(CheckpointError):
        return max(manifests(folder), default=0)
    return 0


def read_manifest(manifest: Path) -> dict[str, Any]:
    """Return the content of a manifest, which is checked; the files that it names are not.

    Raises:
        CheckpointError: it is damaged, or of another version.
    """
    try:
        if manifest.stat().st_size > MAX_MANIFEST:
            raise CheckpointError(f"{manifest.name} is too large for a manifest")
        stored = json.loads(manifest.read_text(encoding="utf-8"))
    except CheckpointError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{manifest.name} cannot be read ({reason_of(error)})") from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise CheckpointError(f"{manifest.name} is not a checkpoint of this version")
    content = stored.get("content")
    if not isinstance(content, dict) or stored.get("sha256") != digest_of(content) or not _is_whole(content, manifest):
        raise CheckpointError(f"{manifest.name} is damaged")
    return content


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what JSON can hold. It is the same after reading it back."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _is_whole(content: Mapping[str, Any], manifest: Path) -> bool:
    """Return True if a manifest has every part, and its own name."""
    if not all(isinstance(content.get(key), dict) for key in ("files", "origin", "state")):
        return False
    is_named = isinstance(content.get("epoch"), int) and manifest.name == f"{content['epoch']:05}.json"
    return is_named and all(map(is_entry, content["files"].values()))


def check(manifest: Path) -> None:
    """Raise CheckpointError unless the manifest and all files that it names are complete and undamaged."""
    for entry in read_manifest(manifest)["files"].values():
        check_file(manifest.parent, entry)


def names_in(manifest: Path) -> Iterator[str]:
    """Yield the names of the files in a manifest, none if it is damaged."""
    with contextlib.suppress(CheckpointError):
        for entry in read_manifest(manifest)["files"].values():
            yield entry["file"]
