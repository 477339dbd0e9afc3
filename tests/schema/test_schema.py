"""The configuration's own rules: ranges, what may be monitored, which network fits which image, dotted names."""

import re
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src import schema
from src.errors import ConfigError
from src.schema import ConvBlock, flatten, output_size

Make = Callable[..., Any]
IMAGES: dict[str, Any] = {"image_size": [28, 28], "channels": 1, "class_names": ["cat", "dog"]}
FILE = schema.IdxFile(name="images", sha256="0" * 64)
FILES = schema.IdxFiles(train_images=FILE, train_labels=FILE, test_images=FILE, test_labels=FILE)
FROM = {"folders": ["data"], "mirrors": ["https://example.org/"], "files": FILES}

dataset: Make = partial(schema.SyntheticConfig, name="synthetic", loader="synthetic", **IMAGES)
idx: Make = partial(schema.IdxConfig, name="pets", loader="idx", **IMAGES | FROM)
network: Make = partial(schema.SequentialConfig, name="net", family="sequential")
rmsprop: Make = partial(schema.RMSpropConfig, name="rmsprop")
adam: Make = partial(schema.AdamConfig, name="adam")
training: Make = schema.TrainingConfig


def one_block(**changes: Any) -> schema.ModelConfig:
    return network(conv=[ConvBlock(**{"filters": 4} | changes)])


def run(**changes: Any) -> schema.Config:
    groups: dict[str, Any] = {"dataset": dataset(), "model": network(), "optimizer": rmsprop(), "training": training()}
    groups |= {"schedule": schema.ScheduleConfig(name="none"), "tracking": schema.TrackingConfig(name="mlflow")}
    return schema.Config(**groups | changes)


NAN, INF = float("nan"), float("inf")
RANGES: list[tuple[Make, str, list[Any], list[Any]]] = [  # who checks, which keys, values at the edge, values beyond it
    (training, "training.epochs training.batch_size training.steps_per_execution", [1], [0, -1]),
    (training, "training.max_batches training.early_stopping_patience", [None, 1], [0]),
    (training, "training.monitor", list(schema.MONITORS), ["val_acc", "", "learning_rate"]),
    (rmsprop, "optimizer.learning_rate", [1e-12, 10.0], [0.0, -1e-3, NAN, INF]),
    (rmsprop, "optimizer.clipnorm", [None, 0.1], [0.0, -1.0, NAN, INF]),
    (rmsprop, "optimizer.rho optimizer.momentum", [0.0, 0.999], [1.0, -0.1, NAN]),
    (adam, "optimizer.beta_1 optimizer.beta_2", [0.0, 0.999], [1.0, -0.1, NAN]),
    (adam, "optimizer.epsilon", [0.0], [-1e-7, NAN, INF]),
    (dataset, "dataset.image_size", [[1, 1], [128, 96]], [[], [28], [0, 28], [28, 28, 1]]),
    (dataset, "dataset.channels", [1, 3], [0, 2, 4]),
    (dataset, "dataset.class_names", [["cat", "dog"]], [[], ["cat"]]),
    (dataset, "dataset.validation_size", [None, 0], [-1]),
    (dataset, "dataset.limit", [None, 1], [0, -5]),
    (dataset, "dataset.train_size", [2], [1]),  # an image of each class
    (dataset, "dataset.test_size", [1], [0]),
    (idx, "dataset.source", ["auto", "full"], ["Full", ""]),
    (idx, "dataset.folders", [["data"]], [[]]),
    (network, "model.input_size", [None, 1], [0, -28]),
    (network, "model.input_padding", [0], [-1]),
    (network, "model.dropout", [0.0, 0.99], [1.0, 1.5, -0.1, NAN]),
    (network, "model.activation", ["relu", "tanh"], ["rellu", ""]),
    (one_block, "model.conv.0.filters model.conv.0.kernel_size", [1], [0, -6]),
    (one_block, "model.conv.0.strides model.conv.0.pool_size", [1], [0, -1]),
    (one_block, "model.conv.0.padding", ["valid", "same"], ["full"]),
    (one_block, "model.conv.0.pool", [None, "max", "average"], ["mean"]),
    (run, "seed", [0, 2**32 - 1], [-1, 2**32]),
]
EDGES = [(make, name, value) for make, names, good, _ in RANGES for name in names.split() for value in good]
BEYOND = [(make, name, value) for make, names, _, bad in RANGES for name in names.split() for value in bad]


@pytest.mark.parametrize(("make", "name", "value"), EDGES)
def test_a_value_at_the_edge_of_its_range_is_taken(make: Make, name: str, value: object) -> None:
    key = name.rpartition(".")[2]
    assert f"{key}={value!r}" in repr(make(**{key: value}))


@pytest.mark.parametrize(("make", "name", "value"), BEYOND)
def test_a_value_beyond_its_range_is_refused_by_its_dotted_name(make: Make, name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{name}: got {value!r}, expected ") + "."):
        make(**{name.rpartition(".")[2]: value})


REFUSED: list[tuple[Make, dict[str, Any], str]] = [
    (network, {"dense": [120, 0]}, r"^model\.dense\.1: got 0, expected at least 1$"),
    (idx, {"mirrors": ["https://a.org/", "ftp://b.org/"]}, r"mirrors: got 'ftp://b\.org/', expected .*https://"),
    (idx, {"mirrors": ["file:///etc/"]}, r"mirrors: got 'file:///etc/'"),
    (idx, {"source": "sample", "sample": None}, r"pets has no sample; use dataset\.source=full"),
    (training, {"monitor": "test_accuracy"}, r"'test_accuracy' .*scored once.*; use one of loss, .*val_accuracy"),
]


@pytest.mark.parametrize(("make", "changes", "sentence"), REFUSED)
def test_a_setting_that_makes_no_sense_is_refused_with_the_reason(make: Make, changes: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make(**changes)


NEEDS_A_MONITOR = [
    {"training": training(monitor="val_loss")},
    {"training": training(early_stopping_patience=3)},
    {"schedule": schema.ReduceOnPlateauConfig(name="reduce_on_plateau")},
]


@pytest.mark.parametrize("asked", NEEDS_A_MONITOR)
def test_what_needs_a_monitor_is_refused_without_a_validation_split_only(asked: dict[str, Any]) -> None:
    assert run(**asked).has_monitor
    assert not run(dataset=dataset(validation_size=0)).has_monitor
    with pytest.raises(ConfigError, match=r"with dataset\.validation_size=0: .*; leave .* out, or keep"):
        run(dataset=dataset(validation_size=0), **asked)


def test_a_warm_up_must_leave_something_of_the_training() -> None:
    run(schedule=schema.CosineConfig(name="cosine", warmup_epochs=1.5), training=training(epochs=2))
    with pytest.raises(ConfigError, match=r"schedule\.warmup_epochs: 2 leaves nothing of training\.epochs=2"):
        run(schedule=schema.CosineConfig(name="cosine", warmup_epochs=2), training=training(epochs=2))


# --- which network fits which image -------------------------------------------------------------------------------

SIDES, STEPS, PADDINGS = st.integers(1, 40), st.integers(1, 8), st.sampled_from(["valid", "same"])


@given(size=SIDES, window=SIDES, strides=STEPS, padding=PADDINGS)
def test_an_output_has_one_pixel_for_each_position_of_the_window(
    size: int, window: int, strides: int, padding: str
) -> None:
    window = min(window, size)
    last = size - window if padding == "valid" else size - 1  # with `same` a window may hang over the edge
    positions = [start for start in range(size) if start <= last and start % strides == 0]
    assert output_size(size, window, strides, padding) == len(positions)


@given(height=SIDES, width=SIDES, strides=STEPS, key=st.sampled_from(["kernel_size", "pool_size"]))
def test_the_largest_window_that_a_refusal_names_fits_and_one_more_does_not(
    height: int, width: int, strides: int, key: str
) -> None:
    def try_with(window: int) -> None:
        pool = "max" if key == "pool_size" else None
        one_block(**{"kernel_size": 1, "strides": strides, "pool": pool, key: window}).check_input(height, width)

    with pytest.raises(ConfigError, match=rf"model\.conv\.0\.{key}: 41 .* use at most \d+, ") as refusal:
        try_with(41)
    most = int(re.findall(r"at most (\d+)", str(refusal.value))[0])
    assert most == len(range(0, min(height, width), strides if key == "pool_size" else 1))
    try_with(most)
    with pytest.raises(ConfigError):
        try_with(most + 1)


DEEP = [ConvBlock(filters=6, kernel_size=5, pool="max"), ConvBlock(filters=16, kernel_size=5, pool="average")]
TOO_SMALL = [
    ([12, 13], r"model\.conv\.1\.kernel_size: 5 is .* 4x4 map that reaches block 1 of net; use at most 4, .*same"),
    ([14, 20], r"model\.conv\.1\.pool_size: 2 .* 1x4 map inside block 1 of net to nothing; use at most 1, .*pool=null"),
]


@pytest.mark.parametrize(("image_size", "sentence"), TOO_SMALL)
def test_a_run_names_the_block_that_its_images_cannot_pass_with_map_and_remedy(image_size: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"{sentence}.* or a larger model.input_size"):
        run(dataset=dataset(image_size=image_size), model=network(conv=DEEP))


@pytest.mark.parametrize("remedy", [{"input_padding": 1}, {"input_size": 16}])
def test_padding_and_resizing_come_before_the_first_block(remedy: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        network(conv=DEEP).check_input(14, 14)
    network(conv=DEEP, **remedy).check_input(14, 14)


def test_a_same_padded_kernel_may_be_larger_than_its_map() -> None:
    one_block(kernel_size=7, padding="same").check_input(2, 2)


# --- dotted names --------------------------------------------------------------------------------------------------


def test_a_leaf_has_the_name_that_an_override_takes() -> None:
    leaves = flatten(run(model=network(conv=DEEP, dense=[120, 84]), tags={"owner": "ada"}))
    picked = ("seed", "tags.owner", "model.conv.1.pool", "model.dense", "dataset.image_size")
    assert [leaves[name] for name in picked] == [1, "ada", "average", [120, 84], [28, 28]]


KEYS = st.sampled_from(["a", "b", "filters"])
TREES: st.SearchStrategy[Any] = st.recursive(
    st.integers(0, 99) | st.lists(st.integers(0, 99), max_size=3),
    lambda inner: st.dictionaries(KEYS, inner) | st.lists(st.dictionaries(KEYS, inner, min_size=1), min_size=1),
)


def follow(node: Any, step: str) -> Any:
    return node[int(step)] if isinstance(node, list) else node[step]


@given(tree=st.dictionaries(KEYS, TREES))
def test_every_leaf_is_found_once_under_the_path_that_leads_to_it(tree: dict[str, Any]) -> None:
    leaves = flatten(tree)
    for name, leaf in leaves.items():
        assert "{" not in str(leaf)
        assert leaf == reduce(follow, name.split("."), tree)
    assert re.findall(r"\d+", str(list(leaves.values()))) == re.findall(r"\d+", str(tree))
