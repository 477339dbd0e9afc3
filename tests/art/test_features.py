"""Maps of a network for pictures of any size, and which layers are chosen."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from src import fitting
from src.art.features import COPIES, Extractor, convolutions, map_layers, spread
from src.errors import ConfigError, NotEnoughMemory, UserError
from src.inspection import feature_maps
from src.models import build_model
from tests.support.art import small_network
from tests.support.configs import composed

RNG = np.random.default_rng(0)


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    return RNG.random((1, height, width, channels), dtype=np.float32)


def test_a_picture_of_the_networks_own_size_has_the_maps_that_the_network_computes() -> None:
    model, image = small_network(), RNG.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    (maps,) = Extractor(model, ["conv_2"])(tf.constant(image[None] / np.float32(255)))
    np.testing.assert_allclose(maps[0], feature_maps(model, image)[2].maps, atol=1e-5)


def test_maps_grow_with_the_picture_and_a_layer_that_resizes_is_not_used() -> None:
    for size in (None, 12):
        first, last = Extractor(small_network(size=size), ["conv_0", "relu_2"])(tf.constant(picture(40, 64)))
        assert (first.shape, last.shape) == ((1, 40, 64, 4), (1, 10, 16, 8))


def test_batch_normalization_uses_the_statistics_of_the_training() -> None:
    one, both = picture(24, 24), picture(24, 24)
    extract = Extractor(small_network(), ["bn_0"])
    np.testing.assert_allclose(
        extract(tf.constant(one))[0][0], extract(tf.constant(np.concatenate([one, 9 * both])))[0][0], atol=1e-5
    )


@pytest.mark.parametrize("name", ["se_resnet18", "googlenet"])
def test_networks_with_shortcuts_and_branches_are_used_at_another_size(name: str) -> None:
    config = composed(f"model={name}", "model.input_size=null").model
    model = build_model(config, (64, 64, 3), 10)
    extract = Extractor(model, [convolutions(model)[-1]])
    assert extract.fits(96, 128)


def test_every_convolution_is_known_by_the_activation_that_follows_it() -> None:
    assert convolutions(small_network()) == ["relu_0", "relu_1", "relu_2"]
    block = composed("model=resnet18").model
    names = convolutions(build_model(block, (32, 32, 3), 10))
    assert names[:3] == ["stem_relu", "stage_1_block_1_1_relu", "stage_1_block_1_2_bn"]  # a shortcut is added to it


def test_layers_with_maps_begin_with_the_first_convolution() -> None:
    assert next(iter(map_layers(small_network(size=12)))) == "conv_0"


@pytest.mark.parametrize(
    ("count", "names"), [(1, ["e"]), (2, ["a", "e"]), (3, ["a", "c", "e"]), (9, ["a", "b", "c", "d", "e"])]
)
def test_layers_are_spread_from_the_first_to_the_last(count: int, names: list[str]) -> None:
    assert spread(list("abcde"), count) == names


def test_a_layer_that_does_not_exist_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"^small has no layer 'conv_9' .*; did you mean 'conv_\d'\? known: conv_0, "):
        Extractor(small_network(), ["conv_9"])


def test_a_layer_without_maps_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^small has no layer 'probabilities' that returns maps"):
        Extractor(small_network(), ["probabilities"])


def test_a_network_without_convolutions_is_refused() -> None:
    inputs = keras.Input((4, 4, 1), dtype="uint8")
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)), name="flat")
    with pytest.raises(UserError, match=r"^flat has no convolutions"):
        convolutions(model)


def test_a_network_that_needs_one_size_is_refused_with_that_size() -> None:
    inputs = keras.Input((4, 4, 1), dtype="uint8")
    maps = keras.layers.Conv2D(2, 1, name="first")(inputs)
    maps = keras.layers.Reshape((2, 8, 2))(keras.layers.Dense(32)(keras.layers.Flatten()(maps)))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1, name="second")(maps), name="fixed")
    with pytest.raises(UserError, match=r"^fixed cannot be used for pictures of another size than 4x4"):
        Extractor(model, ["second"])


def test_a_picture_that_is_too_small_is_refused() -> None:
    inputs = keras.Input((64, 64, 1), dtype="uint8")
    model = keras.Model(inputs, keras.layers.Conv2D(2, 33, name="wide")(inputs), name="wide")
    extract = Extractor(model, ["wide"])
    extract.check_size(33, 40)
    with pytest.raises(ConfigError, match=r"^a picture of 32x40 pixels is too small for wide"):
        extract.check_size(32, 40)
    with pytest.raises(ConfigError, match="too small"):
        Extractor(small_network(), ["conv_0"]).check_size(15, 400)


def test_more_memory_than_there_is_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    extract = Extractor(small_network(), ["conv_0"])
    values = 3 + 3 + 4  # of a pixel: the input, the scaled one, four maps
    assert extract.min_memory(100, 200) == 4 * values * 100 * 200
    copies = 4 * COPIES * 3
    monkeypatch.setattr(fitting, "free_memory", lambda: (4 * values + copies) * 100 * 200)
    extract.check_memory(100, 200, "use less")
    with pytest.raises(NotEnoughMemory, match=r"^a picture of 100x201 pixels needs at least .* are free; use less$"):
        extract.check_memory(100, 201, "use less")


def test_tiles_need_memory_for_the_layers_of_one_tile_and_for_the_whole_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extract = Extractor(small_network(), ["conv_0"])
    picture = 4 * COPIES * 3 * 100 * 200
    monkeypatch.setattr(fitting, "free_memory", lambda: extract.min_memory(50, 50) + picture)
    extract.check_memory(100, 200, "use less", tile=50)
    with pytest.raises(NotEnoughMemory):
        extract.check_memory(100, 200, "use less", tile=51)
    monkeypatch.setattr(fitting, "free_memory", lambda: picture)
    with pytest.raises(NotEnoughMemory):
        extract.check_memory(100, 200, "use less", tile=16)
