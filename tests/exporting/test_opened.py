"""Opening exported files: a manifest that does not match is refused, and an error of a runtime is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src import exporting
from src.errors import ModelFileError
from src.schema import EXPORTS
from tests.support.exports import SHAPE, change, need, some_images, write_file


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            {"class_names": ["cat", "owl"]},
            r"manifest.json does not fit .*: the manifest names 2 classes, .* \(1, 3\) for",
        ),
        ({"input_shape": [16, 12, 1]}, "cannot be run on images of 16x12x1: "),
        ({"input_shape": [12, 12, 3]}, "cannot be run on images of 12x12x3: "),
        ({"input_shape": [10**9, 10**9, 1]}, "cannot be run on images of 1000000000x1000000000x1: "),
    ],
)
def test_a_manifest_that_describes_another_network_is_refused(
    name: str, facts: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    file = write_file(tmp_path / name, name)
    change(file, **facts)
    with pytest.raises(ModelFileError, match=sentence):
        exporting.open_export(file)


@pytest.mark.parametrize("name", EXPORTS)
def test_images_that_cannot_be_computed_are_a_sentence_and_later_ones_are_computed(name: str, tmp_path: Path) -> None:
    exported = exporting.open_export(write_file(tmp_path / name, name))
    with pytest.raises(ModelFileError, match="cannot be run on images of 12x12x1: "):
        exported.probabilities(np.zeros((2, 9, *SHAPE[1:]), np.uint8))
    assert exported.probabilities(some_images(2)).shape == (2, 3)


@pytest.mark.parametrize("name", EXPORTS)
def test_too_little_memory_is_named_with_what_to_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = exporting.open_export(write_file(tmp_path / name, name))

    def exhaust(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "ascontiguousarray", exhaust)
    with pytest.raises(ModelFileError, match=r"of 12x12x1: out of memory .*; free memory, .* or use .* fewer images"):
        exported.probabilities(some_images(1))


def test_a_litert_file_recovers_from_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("litert")
    from ai_edge_litert.interpreter import Interpreter

    exported = exporting.open_export(write_file(tmp_path / "litert", "litert"))
    expected = exported.probabilities(some_images(1))

    def exhaust(interpreter: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(Interpreter, "allocate_tensors", exhaust)
        with pytest.raises(ModelFileError, match="out of memory"):
            exported.probabilities(some_images(2))
    np.testing.assert_array_equal(exported.probabilities(some_images(1)), expected)
