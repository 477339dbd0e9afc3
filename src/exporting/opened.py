"""Exported files, opened: probabilities of images, and how long they take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from src.errors import ModelFileError, first_line
from src.exporting.packages import check_runtime
from src.exporting.quiet import quiet
from src.exporting.stored import MANIFEST, REMEDY, Manifest, check_file, read_manifest
from src.process.failures import describe_memory_error
from src.process.interrupt import deferred
from src.process.machine import cores
from src.process.timing import median_seconds
from src.schema import EXPORTS, load_name

BATCH = 32  # images at a time; the larger of the two batches whose latency is measured

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


class ExportedModel:
    """An exported file, ready to run. TensorFlow is not needed.

    Args:
        file: the file, with its manifest next to it.
        manifest: of the file.
        threads: how many threads one call may use.

    Raises:
        ModelFileError: it is not the file that its manifest describes, or cannot be run.
    """

    def __init__(self, file: Path, manifest: Manifest, threads: int) -> None:
        content = check_file(file, manifest)
        self.manifest = manifest
        self._file = file
        with self._explained():
            self._run = load_name(EXPORTS[manifest.format].opened_by)(content, threads)
            found = np.asarray(self._run(np.zeros((1, *manifest.input_shape), np.uint8))).shape
        if found != (1, len(manifest.class_names)):
            raise ModelFileError(
                f"{file.with_name(MANIFEST)} does not fit {file.name}: the manifest names {len(manifest.class_names)} "
                f"classes, but the file returns an array of shape {found} for one image; {REMEDY}"
            )

    def probabilities(self, images: Images) -> Probabilities:
        """Return the probabilities of any number of images: float32, (n, classes).

        Args:
            images: uint8, (n, height, width, channels), 0-255.
        """
        parts = [self._call(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.manifest.class_names)), np.float32)

    def _call(self, images: Images) -> Probabilities:
        with self._explained():
            return np.asarray(self._run(np.ascontiguousarray(images)), np.float32)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Run the block with signals held back and the runtime's output hidden; its errors become a ModelFileError."""
        try:
            with deferred(), quiet():
                yield
        except Exception as error:  # of the runtimes, which have errors of their own
            shape = "x".join(map(str, self.manifest.input_shape))
            reason = (describe_memory_error(error) or first_line(error)).removeprefix("error: ")
            raise ModelFileError(f"{self._file} cannot be run on images of {shape}: {reason}") from error


def open_export(file: Path, threads: int | None = None) -> ExportedModel:
    """Open an exported file that has its manifest next to it.

    Args:
        file: the file.
        threads: how many threads one call may use; None for one on each core.

    Raises:
        ConfigError: the package that runs it is not installed.
        ModelFileError: the file or its manifest is missing or altered.
    """
    manifest = read_manifest(file)
    check_runtime(manifest.format)
    return ExportedModel(file, manifest, threads or cores())


def latency(exported: ExportedModel, batch: int) -> float:
    """Return the seconds that the file takes for a batch of images: the median over some repetitions."""
    images = np.zeros((batch, *exported.manifest.input_shape), np.uint8)
    with quiet():
        return median_seconds(lambda: exported._run(images))
