"""The recipe `training=modern` is the one that the ablation found."""

import json

import pytest

from benchmarks.ablation import PARTS, RECIPE, SETTING, Gain, clash, gain
from benchmarks.measuring import PUBLISHED
from src.cli.compose import compose_config
from src.schema import as_tree, flatten


def test_the_recipe_has_the_parts_that_helped_but_for_mirroring_which_depends_on_the_images() -> None:
    found = json.loads((PUBLISHED / "ablation.json").read_text())["recipe"]
    expected = flatten(as_tree(compose_config([*SETTING, *found])))
    without_optimizer = [typed for typed in SETTING if not typed.startswith("optimizer")]
    recipe = flatten(as_tree(compose_config([*without_optimizer, RECIPE])))
    differing = {name for name in expected if expected[name] != recipe[name]}
    assert differing == {"training.name", "augmentation.flip"}
    assert [*PARTS["flip"]] == ["augmentation.flip=horizontal"]
    assert {*PARTS["flip"]} <= {*found}


@pytest.mark.parametrize(
    ("recipe", "part", "expected"),
    [
        ([], ["loss=focal"], False),
        (["loss.label_smoothing=0.1"], ["loss=focal"], True),
        (["schedule=cosine"], ["schedule=one_cycle", "optimizer.learning_rate=3e-3"], True),
        (["augmentation.mixup=0.2"], ["augmentation.cutmix=1"], False),
    ],
)
def test_parts_of_the_same_setting_exclude_each_other(recipe: list[str], part: list[str], expected: bool) -> None:
    assert clash(recipe, part) is expected


def test_a_part_helps_if_its_gain_is_more_than_chance() -> None:
    better = [{"val_accuracy": accuracy} for accuracy in (0.91, 0.93)]
    before = [{"val_accuracy": accuracy} for accuracy in (0.90, 0.90)]
    found = gain(better, before)
    assert found == pytest.approx((0.02, 0.01))
    assert found.helps
    assert not Gain(0.01, 0.01).helps


@pytest.mark.parametrize("part", PARTS)
def test_each_part_changes_the_training(part: str) -> None:
    base = ["dataset=fashion_mnist", "optimizer=adamw", "optimizer.weight_decay=0"]
    assert compose_config([*base, *PARTS[part]]) != compose_config(base)
