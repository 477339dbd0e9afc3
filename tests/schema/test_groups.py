"""Settings that are added after a release: with their default, earlier studies, comparisons and runs are found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from src.cli.compose import compose_config
from src.reports.compare_models import comparison_key
from src.schema import ADDED, FREE, PLACE, REGISTRY, ConvBlock, SequentialConfig, as_tree, decisive_leaves
from src.schema.optimizer import AdamConfig
from src.sweep.setting import Data, describe_setting, setting_digest
from src.tracking import fingerprint
from tests.support.sweeps import plan

BASE = ["dataset=synthetic", "optimizer=adam", "model=lenot"]


@dataclass(kw_only=True)
class LaterAdam(AdamConfig):
    """Adam in a later version."""

    warmth: float = field(default=0.9, metadata=ADDED)
    note: str = field(default="", metadata=ADDED | FREE)
    start: str | None = field(default=None, metadata=ADDED | PLACE)
    steps: list[int] = field(default_factory=lambda: [1, 2], metadata=ADDED)


@dataclass(kw_only=True)
class LaterBlock(ConvBlock):
    dilation: int = field(default=1, metadata=ADDED)


@dataclass(kw_only=True)
class LaterSequential(SequentialConfig):
    """Sequential networks in a later version."""

    conv: list[LaterBlock] = field(default_factory=list)  # type: ignore[assignment]
    first: LaterBlock = field(default_factory=lambda: LaterBlock(filters=3), metadata=ADDED)


@dataclass(kw_only=True)
class UnmarkedAdam(AdamConfig):
    warmth: float = 0.9


def of_study(*typed: str) -> str:
    data = Data("synthetic", "synthetic", "0" * 64, [])
    return setting_digest(describe_setting(plan(*BASE, "seed=1,2", *typed), [data]))


def of_comparison(*typed: str) -> str:
    return comparison_key({"lenot": [compose_config([*BASE, *typed])]}, "0" * 64)


def of_run(*typed: str) -> str:
    return fingerprint(compose_config([*BASE, *typed]), "0" * 64)


Digest = Callable[..., str]


@cache
def before(digest: Digest) -> str:
    """The digest of the base configuration, without any later class."""
    return digest()


digests = pytest.mark.parametrize("digest", [of_study, of_comparison, of_run])


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Any]], None]:
    """Replaces the class of a kind, as a later version does."""

    def release(later: Any) -> None:
        monkeypatch.setitem(REGISTRY[later.group.name].kinds, later.kind, later)

    return release


@digests
@pytest.mark.parametrize("later", [LaterAdam, LaterSequential])
def test_an_added_setting_changes_no_digest_while_it_has_its_default(
    digest: Digest, later: type[Any], released: Callable[[type[Any]], None]
) -> None:
    unchanged = before(digest)
    released(later)
    assert digest() == unchanged


OTHER_VALUES = [
    (LaterAdam, "optimizer.warmth=0.8"),
    (LaterAdam, "optimizer.note=hot"),
    (LaterAdam, "optimizer.start=here"),
    (LaterAdam, "optimizer.steps=[1]"),
    (LaterSequential, "model.conv.1.dilation=2"),
    (LaterSequential, "model.first.filters=4"),
    (LaterSequential, "model.first.dilation=2"),
]


@digests
@pytest.mark.parametrize(("later", "typed"), OTHER_VALUES)
def test_another_value_than_the_default_changes_every_digest(
    digest: Digest, later: type[Any], typed: str, released: Callable[[type[Any]], None]
) -> None:
    unchanged = before(digest)
    released(later)
    assert digest(typed) != unchanged


@digests
def test_a_setting_that_is_not_marked_as_added_changes_every_digest(
    digest: Digest, released: Callable[[type[Any]], None]
) -> None:
    unchanged = before(digest)
    released(UnmarkedAdam)
    assert digest() != unchanged


def test_a_default_that_comes_from_another_setting_makes_another_study_since_it_may_change_between_trials(
    released: Callable[[type[Any]], None],
) -> None:
    unchanged = before(of_study)
    released(LaterAdam)
    assert of_study("optimizer.warmth=${optimizer.beta_1}") != unchanged
    assert of_study("optimizer.warmth=0.9") == unchanged


def test_a_search_over_an_added_setting_is_another_study(released: Callable[[type[Any]], None]) -> None:
    unchanged = before(of_study)
    released(LaterAdam)
    assert of_study("optimizer.warmth=0.8,0.9") != unchanged


@pytest.mark.parametrize("kind", ["${model.name}", "nothing_like_it", None])
def test_leaves_of_an_unknown_kind_are_all_decisive(kind: object) -> None:
    tree = as_tree(compose_config(BASE))
    tree["optimizer"] = {"name": kind, "warmth": 0.9}
    found = decisive_leaves(tree)
    assert {name: value for name, value in found.items() if name.startswith("optimizer.")} == {
        "optimizer.name": kind,
        "optimizer.warmth": 0.9,
    }


BLOCK = "model.conv=[{filters:4}]"
NORMALIZED = "model.conv=[{filters:4,batch_norm:true}]"


@pytest.mark.parametrize("conv", [BLOCK, NORMALIZED, "model.conv=[]"])
def test_the_momentum_of_batch_normalization_counts_where_there_is_one(conv: str) -> None:
    first, second = (
        decisive_leaves(as_tree(compose_config([conv, f"model.batch_norm_momentum={momentum}"])))
        for momentum in (0.8, 0.9)
    )
    assert (first != second) is (conv == NORMALIZED)


@pytest.mark.parametrize("conv", ["${model.conv}", ["${model.block}"], [{"batch_norm": "${training.deterministic}"}]])
def test_the_momentum_counts_where_blocks_come_from_other_settings(conv: object) -> None:
    tree = as_tree(compose_config([]))
    tree["model"]["conv"] = conv
    assert decisive_leaves(tree)["model.batch_norm_momentum"] == 0.9
