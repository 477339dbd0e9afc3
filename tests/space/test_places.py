"""Paths and addresses of a sweep, which each machine has for itself."""

import dataclasses
import typing

from src.schema import PLACE, REGISTRY, RUN_GROUPS
from src.space import searched_places
from tests.support.sweeps import SPACE, plan


def test_paths_that_are_searched_are_named() -> None:
    assert searched_places(plan(*SPACE, "training.checkpoint_dir=a,b")) == ["training.checkpoint_dir"]
    assert searched_places(plan(*SPACE, "training.checkpoint_dir=a")) == []


def test_paths_and_addresses_are_keys_of_the_sections_and_not_deeper() -> None:
    """The definition removes them there."""
    for group in RUN_GROUPS:
        for kind in REGISTRY[group].kinds.values():
            for field in dataclasses.fields(kind):
                inner = [part for part in (field.type, *typing.get_args(field.type)) if dataclasses.is_dataclass(part)]
                for part in inner:
                    assert not [one.name for one in dataclasses.fields(part) if PLACE.items() <= one.metadata.items()]
