"""Configs that need only what a test is about, and the ranges of their values as test cases."""

import copy
import functools
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.schema import ConvBlock, SequentialConfig, SyntheticConfig

Make = Callable[..., Any]
Ranges = list[tuple[Make, str, list[Any], list[Any]]]  # who checks, which keys, values at the edge, values beyond it
NAN, INF = float("nan"), float("inf")
IMAGES: dict[str, Any] = {"image_size": [28, 28], "channels": 1, "class_names": ["cat", "dog"]}

dataset: Make = partial(SyntheticConfig, name="synthetic", loader="synthetic", **IMAGES)
network: Make = partial(SequentialConfig, name="net", family="sequential")

DEEP = [ConvBlock(filters=6, kernel_size=5, pool="max"), ConvBlock(filters=16, kernel_size=5, pool="average")]
TOO_SMALL = [
    ([12, 13], r"model\.conv\.1\.kernel_size: 5 is .* 4x4 map that reaches block 1 of net; use at most 4, .*same"),
    ([14, 20], r"model\.conv\.1\.pool_size: 2 .* 1x4 map inside block 1 of net to nothing; use at most 1, .*pool=null"),
]


VARIABLES = ("DATA_DIR", "MLFLOW_TRACKING_URI", "OPTUNA_STORAGE", "XDG_CACHE_HOME")  # that conf/ reads


def composed(*overrides: str, config_name: str = "train") -> Any:
    """Return what `compose_config` returns, for a test to change; Hydra composes the same overrides only once."""
    return copy.deepcopy(_composed(config_name, overrides, tuple(os.environ.get(name) for name in VARIABLES)))


@functools.cache
def _composed(config_name: str, overrides: tuple[str, ...], variables: tuple[str | None, ...]) -> Any:
    return compose_config(overrides, config_name)


def range_tests(ranges: Ranges) -> tuple[Callable[..., None], Callable[..., None]]:
    """A test that values at the edge are taken, and one that values beyond it are refused by the key's dotted name."""
    good = [(make, name, value) for make, names, values, _ in ranges for name in names.split() for value in values]
    bad = [(make, name, value) for make, names, _, values in ranges for name in names.split() for value in values]

    @pytest.mark.parametrize(("make", "name", "value"), good)
    def taken(make: Make, name: str, value: object) -> None:
        key = name.rpartition(".")[2]
        assert f"{key}={value!r}" in repr(make(**{key: value}))

    @pytest.mark.parametrize(("make", "name", "value"), bad)
    def refused(make: Make, name: str, value: object) -> None:
        with pytest.raises(ConfigError, match=re.escape(f"{name}: got {value!r}, expected ") + "."):
            make(**{name.rpartition(".")[2]: value})

    return taken, refused


def combination_tests(
    refused: Sequence[tuple[Make, dict[str, Any], str]], allowed: Sequence[tuple[Make, dict[str, Any]]]
) -> tuple[Callable[..., None], Callable[..., None]]:
    """A test that settings are refused with a sentence, and one that others are taken."""

    @pytest.mark.parametrize(("make", "changes", "sentence"), refused)
    def is_refused(make: Make, changes: dict[str, Any], sentence: str) -> None:
        with pytest.raises(ConfigError, match=sentence):
            make(**changes)

    @pytest.mark.parametrize(("make", "changes"), allowed)
    def is_taken(make: Make, changes: dict[str, Any]) -> None:
        made = make(**changes)
        assert {key: getattr(made, key) for key in changes} == changes

    return is_refused, is_taken
