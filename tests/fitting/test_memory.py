"""A network that does not fit into the memory ends with advice."""

import math
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from src.errors import NotEnoughMemory
from src.fitting import fit, memory
from tests.support.training import ready


def test_the_least_memory_holds_weights_gradients_and_the_maps_of_each_image() -> None:
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(maps)))
    parameters, activations = (3 * 3 + 1) * 4 + (6 * 6 * 4 + 1) * 2, 6 * 6 * 4 + 2
    assert memory.least_memory(model) == (4 * 2 * parameters, 4 * activations)
    model.get_layer("conv").trainable = False
    assert memory.least_memory(model) == (4 * (parameters + 290), 4 * 2)


def test_a_batch_that_cannot_fit_is_refused_with_one_that_might(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, _ = ready()
    weights, per_image = memory.least_memory(model)
    monkeypatch.setattr(memory, "free_memory", lambda: weights + 100 * per_image)
    memory.check_memory(model, 100)
    with pytest.raises(NotEnoughMemory, match=r"with batches of 101 takes at least .* try training\.batch_size=32, "):
        memory.check_memory(model, 101)


@pytest.mark.parametrize("images", [0, 1, -5])
def test_no_batch_is_advised_where_not_even_one_of_two_images_would_fit(
    images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _, _ = ready()
    weights, per_image = memory.least_memory(model)
    monkeypatch.setattr(memory, "free_memory", lambda: weights + images * per_image)
    with pytest.raises(NotEnoughMemory, match=r"are free; try a smaller model\.input_size"):
        memory.check_memory(model, 2)


def test_a_batch_holds_no_more_than_the_images_there_are() -> None:
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


def test_what_tensorflow_says_when_the_memory_is_full_becomes_advice() -> None:
    with (
        pytest.raises(NotEnoughMemory, match=r"the memory is full; try training\.batch_size=16, a smaller"),
        memory.advice_when_full(batch_size=64),
    ):
        tf.zeros((2**44,)) + 1
