"""ImageNet networks on smaller images: the stem that they use, and the images that they refuse."""

import functools
from typing import Any

import keras
import pytest

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.models import build_model
from src.models.sketch import sketch_network

STEMMED = ["googlenet", "inception_v3", "resnet18", "se_resnet18"]
EVERY_STEMMED = pytest.mark.parametrize("name", STEMMED)


@functools.cache
def config(name: str, stem: str = "auto", input_size: int | None = None) -> Any:
    size = "null" if input_size is None else input_size
    overrides = [f"model={name}", f"model.stem={stem}", f"model.input_size={size}", "dataset.image_size=[512,512]"]
    return compose_config(overrides).model


def sketched(model: Any, side: int) -> keras.Model:
    """The layers for square images, without values for their weights."""
    return sketch_network(lambda _: build_model(model, (side, side, 3), 10))


def last_map(name: str, side: int, stem: str = "auto") -> tuple[int, int]:
    """Height and width before the mean is taken."""
    model = sketched(config(name, stem), side)
    shape = model.get_layer("features").input.shape
    return shape[1], shape[2]


def stem_map(name: str, side: int) -> int:
    """The side of the map after the first convolution."""
    model = sketched(config(name), side)
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    return int(first.output.shape[1])


@EVERY_STEMMED
def test_the_stem_of_the_paper_is_used_when_it_leaves_the_last_block_at_least_2x2(name: str) -> None:
    least = config(name).imagenet_from
    assert config(name).stem_for(least, least + 50) == "imagenet"
    assert min(last_map(name, least)) == 2


@EVERY_STEMMED
def test_a_smaller_image_keeps_its_size_through_the_small_stem(name: str) -> None:
    least = config(name).imagenet_from
    assert config(name).stem_for(least + 50, least - 1) == "small"
    assert stem_map(name, 28) == 28
    assert min(last_map(name, 28)) >= 2


@EVERY_STEMMED
def test_the_size_that_images_are_resized_to_decides(name: str) -> None:
    assert config(name, input_size=224).stem_for(28, 28) == "imagenet"
    assert config(name, input_size=28).stem_for(224, 224) == "small"


@EVERY_STEMMED
@pytest.mark.parametrize("stem", ["imagenet", "small"])
def test_a_chosen_stem_is_used_down_to_its_smallest_image(name: str, stem: str) -> None:
    smallest = config(name).smallest
    assert config(name, stem).smallest_input == smallest[stem]
    assert last_map(name, smallest[stem], stem) == (1, 1)
    with pytest.raises(ConfigError, match=rf"too small for {name}, which needs at least {smallest[stem]}x"):
        build_model(config(name, stem), (smallest[stem] - 1, 512, 3), 10)


def test_alexnet_refuses_a_digit_with_the_remedy() -> None:
    with pytest.raises(
        ConfigError,
        match=r"dataset\.image_size: 28x28 is too small for alexnet, which needs at least 63x63; "
        r"set model\.input_size=224 .* or choose a smaller network",
    ):
        compose_config(["model=alexnet"])


def test_alexnet_accepts_63_pixels() -> None:
    model = sketched(compose_config(["model=alexnet", "model.input_size=63"]).model, 28)
    assert model.get_layer("pool_5").output.shape[1:3] == (1, 1)


def test_an_input_size_that_is_too_small_is_named_itself() -> None:
    with pytest.raises(ConfigError, match=r"model\.input_size: 62 is too small for alexnet"):
        compose_config(["model=alexnet", "model.input_size=62"])
