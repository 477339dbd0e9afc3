"""How far images may be changed, and that digits are never mirrored."""

import pytest

from src.cli.compose import CONF, compose_config
from src.errors import ConfigError
from src.schema import StandardAugmentationConfig
from tests.support.configs import (
    INF,
    NAN,
    Make,
    Ranges,
    range_tests,
)

augmentation: Make = StandardAugmentationConfig
RANGES: Ranges = [
    (
        augmentation,
        "augmentation.shift augmentation.zoom augmentation.contrast",
        [0.0, 0.999],
        [-0.1, 1.0, NAN, INF],
    ),
    (augmentation, "augmentation.rotation", [0.0, 180.0], [-1.0, 181.0, NAN]),
    (augmentation, "augmentation.flip", [None, "horizontal"], ["vertical", ""]),
    (augmentation, "augmentation.mixup augmentation.cutmix", [0.0], [-0.1, 1.1, NAN]),
    (augmentation, "augmentation.rand_augment augmentation.erasing", [0.0, 1.0], [-0.1, 1.1, NAN]),
    (augmentation, "augmentation.rand_augment_ops", [1, 10], [0, 11]),
    (augmentation, "augmentation.fill", ["constant", "nearest", "reflect"], ["wrap", ""]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


@pytest.mark.parametrize("key", ["shift", "rotation", "zoom", "contrast", "rand_augment", "erasing", "mixup"])
def test_any_change_is_one_and_the_defaults_are_none(key: str) -> None:
    assert not augmentation(fill="nearest").changes_images
    assert augmentation(**{key: 0.01}).changes_images
    assert augmentation(flip="horizontal").changes_images


MIRRORED = ["augmentation=photos", "augmentation.flip=horizontal"]


@pytest.mark.parametrize("mirrored", MIRRORED)
def test_an_augmentation_that_mirrors_digits_is_refused_with_what_to_do(mirrored: str) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^augmentation\.flip: the classes of mnist are not the same when mirrored; .*augmentation=digits",
    ):
        compose_config([mirrored])


@pytest.mark.parametrize("dataset", ["image_folder", "manifest"])
def test_the_user_is_asked_if_pictures_of_their_own_may_be_mirrored(dataset: str) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^augmentation\.flip: do mirrored pictures of .* keep their class\? Those of cats do, .*"
        r"If they do, set dataset\.flips=true; if not, set augmentation\.flip=null, or choose augmentation=digits$",
    ):
        compose_config([f"dataset={dataset}", "augmentation=photos"])


@pytest.mark.parametrize("mirrored", MIRRORED)
@pytest.mark.parametrize("dataset", ["dataset=fashion_mnist", "dataset.flips=true"])
def test_what_is_the_same_mirrored_may_be_mirrored(dataset: str, mirrored: str) -> None:
    assert compose_config([dataset, mirrored]).augmentation.flip == "horizontal"


@pytest.mark.parametrize("option", sorted(path.stem for path in (CONF / "augmentation").glob("*.yaml")))
def test_every_other_option_may_be_used_on_digits_and_only_none_changes_nothing(option: str) -> None:
    allowed = ["augmentation.flip=null"] if option == "photos" else []
    config = compose_config([f"augmentation={option}", *allowed]).augmentation
    assert config.changes_images == (option != "none")
