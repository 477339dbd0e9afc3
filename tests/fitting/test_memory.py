"""A network that does not fit into memory ends with a sentence that says what to try."""

import math
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from src.errors import NotEnoughMemory
from src.fitting import fit, memory
from tests.support.training import ready


def test_the_minimum_is_weights_gradients_and_the_maps_of_each_image() -> None:
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(maps)))
    parameters, activations = (3 * 3 + 1) * 4 + (6 * 6 * 4 + 1) * 2, 6 * 6 * 4 + 2
    assert memory.min_memory(model) == (4 * 2 * parameters, 4 * activations)
    model.get_layer("conv").trainable = False
    assert memory.min_memory(model) == (4 * (parameters + 290), 4 * 2)


def test_a_batch_that_cannot_fit_is_refused_with_one_that_might(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, _ = ready()
    weights, per_image = memory.min_memory(model)
    monkeypatch.setattr(memory, "free_memory", lambda: weights + 100 * per_image)
    memory.check_memory(model, 100)
    with pytest.raises(NotEnoughMemory, match=r"with batches of 101 needs at least .* try training\.batch_size=32, "):
        memory.check_memory(model, 101)


@pytest.mark.parametrize("images", [0, 1, -5])
def test_no_batch_size_is_suggested_if_not_even_two_images_fit(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, _ = ready()
    weights, per_image = memory.min_memory(model)
    monkeypatch.setattr(memory, "free_memory", lambda: weights + images * per_image)
    with pytest.raises(NotEnoughMemory, match=r"are free; try a smaller model\.input_size"):
        memory.check_memory(model, 2)


def test_a_batch_holds_at_most_all_training_images() -> None:
    assert len(fit(*ready("training.batch_size=100000000000", "training.epochs=1")).history["loss"]) == 1


@pytest.mark.parametrize(("limit", "free"), [("max", math.inf), (str(2**30), 2**30 - 2**20)])
def test_a_container_may_use_less_than_the_machine_has_and_its_file_cache_is_free(
    limit: str, free: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = memory.free_memory()
    (tmp_path / "memory.max").write_text(limit + "\n")
    (tmp_path / "memory.current").write_text(f"{2**29}\n")
    (tmp_path / "memory.stat").write_text(f"anon {2**20}\ninactive_file {2**29 - 2**20}\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.free_memory() == pytest.approx(min(free, machine), rel=0.05)


@pytest.mark.fault  # TensorFlow waits ten seconds for memory
def test_tensorflow_being_out_of_memory_becomes_a_sentence() -> None:
    with (
        pytest.raises(NotEnoughMemory, match=r"out of memory; try training\.batch_size=16, a smaller"),
        memory.explain_out_of_memory(batch_size=64),
    ):
        tf.zeros((2**44,)) + 1
