"""What only holds between the groups of a configuration, and the dotted names of its leaves."""

import dataclasses
import re
from functools import partial, reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src import schema
from src.errors import ConfigError
from src.schema import as_tree, flatten
from src.schema.optimizer import RMSpropConfig
from src.schema.schedule import ConstantConfig
from tests.support.configs import (
    DEEP,
    TOO_SMALL,
    Make,
    Ranges,
    dataset,
    network,
    range_tests,
)
from tests.support.workplace import ROOT

TRACKING = schema.TrackingConfig(name="mlflow")

cosine: Make = schema.CosineConfig
training: Make = schema.TrainingConfig


def run(**changes: Any) -> schema.Config:
    groups: dict[str, Any] = {
        "dataset": dataset(),
        "model": network(),
        "optimizer": RMSpropConfig(),
        "training": training(),
    }
    groups |= {"schedule": ConstantConfig(), "tracking": TRACKING}
    return schema.Config(**groups | changes)


@pytest.mark.parametrize(
    ("formats", "sentence"),
    [
        (["h5", "mlflow"], r"^tracking\.formats: \['h5', 'mlflow'\] lacks keras, .*; add it, or save no model"),
        ([], r"^tracking\.formats: \[\] lacks keras"),
        (["keras", "onnx"], r"^tracking\.formats: got \['keras', 'onnx'\], expected some of keras, h5, saved_model"),
        (["keras", "keras"], r"^tracking\.formats: got \['keras', 'keras'\], expected .*, each once"),
    ],
)
def test_formats_of_which_no_command_could_read_the_model_are_refused(formats: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        schema.TrackingConfig(name="mlflow", formats=formats)


RANGES: Ranges = [(run, "seed", [0, 2**32 - 1], [-1, 2**32])]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


NEEDS_A_MONITOR: list[tuple[dict[str, Any], str]] = [
    ({"training": training(monitor="val_loss")}, r"training\.monitor=val_loss"),
    ({"training": training(early_stopping_patience=3)}, r"training\.early_stopping_patience"),
    ({"schedule": schema.ReduceOnPlateauConfig()}, r"schedule=reduce_on_plateau"),
]


@pytest.mark.parametrize(("asked", "name"), NEEDS_A_MONITOR)
def test_what_needs_a_monitor_is_refused_without_a_validation_split_only(asked: dict[str, Any], name: str) -> None:
    assert run(**asked).has_monitor
    assert not run(dataset=dataset(validation_size=0)).has_monitor
    with pytest.raises(ConfigError, match=rf"^{name} with dataset\.validation_size=0: .*; remove `{name}`, or keep"):
        run(dataset=dataset(validation_size=0), **asked)


@pytest.mark.parametrize("size", [None, 1])
def test_a_validation_split_of_any_size_can_be_monitored(size: int | None) -> None:
    assert run(dataset=dataset(validation_size=size)).has_monitor


def test_a_warm_up_must_leave_something_of_the_training() -> None:
    run(schedule=cosine(warmup_epochs=1.5), training=training(epochs=2))
    with pytest.raises(ConfigError, match=r"schedule\.warmup_epochs: 2 leaves nothing of training\.epochs=2"):
        run(schedule=cosine(warmup_epochs=2), training=training(epochs=2))


def summary(**groups: Any) -> schema.SummaryConfig:
    return schema.SummaryConfig(**{"dataset": dataset(), "model": network()} | groups)


@pytest.mark.parametrize("make", [run, summary])
@pytest.mark.parametrize(("image_size", "sentence"), TOO_SMALL)
def test_a_run_or_summary_names_the_block_that_its_images_cannot_pass_with_map_and_remedy(
    make: Make, image_size: list[int], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=f"{sentence}.* or a larger model.input_size"):
        make(dataset=dataset(image_size=image_size), model=network(conv=DEEP))


@pytest.mark.parametrize("make", [run, summary])
def test_a_run_or_summary_whose_images_pass_is_taken(make: Make) -> None:
    assert make(dataset=dataset(image_size=[16, 16]), model=network(conv=DEEP)).dataset.image_size == [16, 16]


evaluation: Make = partial(schema.EvaluateConfig, tracking=TRACKING)


@pytest.mark.parametrize("named", [{"run_id": "abc"}, {"model_uri": "models:/mnist@champion"}])
def test_an_evaluation_takes_a_run_or_a_model(named: dict[str, str]) -> None:
    config = evaluation(**named)
    assert {"run_id": config.run_id, "model_uri": config.model_uri} == {"run_id": None, "model_uri": None} | named


@pytest.mark.parametrize("named", [{}, {"run_id": "abc", "model_uri": "models:/mnist@champion"}])
def test_an_evaluation_of_no_model_or_of_two_is_refused(named: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"^name one model: run_id=RUN, or model_uri=models:/"):
        evaluation(**named)


# --- trees and dotted names ----------------------------------------------------------------------------------------


def test_a_tree_is_made_of_dicts_and_lists_at_every_depth() -> None:
    tree = as_tree(run(model=network(conv=DEEP[:1])))
    assert tree["schedule"] == {"name": "none"}
    assert tree["model"]["conv"] == [
        {
            "filters": 6,
            "kernel_size": 5,
            "strides": 1,
            "padding": "valid",
            "pool": "max",
            "pool_size": 2,
            "batch_norm": False,
        }
    ]


@pytest.mark.parametrize("value", [[1, 2], {"b": "1"}, None, 3])
def test_a_tag_is_a_string(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"tags\.owner: got .*, expected a string"):
        run(tags={"owner": value})


def test_a_tag_with_the_programs_own_prefix_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^tags\.convlab\.process: tags that begin with convlab\. are set by"):
        run(tags={"convlab.process": "etl"})


def test_a_change_to_a_tree_leaves_the_config_as_it_was() -> None:
    config = run(tags={"owner": "ada"})
    tree = as_tree(config)
    tree["dataset"]["image_size"].append(3)
    tree["tags"].clear()
    assert (config.dataset.image_size, config.tags) == ([28, 28], {"owner": "ada"})


def test_a_leaf_has_the_name_that_an_override_takes() -> None:
    leaves = flatten(run(model=network(conv=DEEP, dense=[120, 84]), tags={"owner": "ada"}))
    picked = ("seed", "tags.owner", "model.conv.1.pool", "model.dense", "dataset.image_size")
    assert [leaves[name] for name in picked] == [1, "ada", "average", [120, 84], [28, 28]]


def test_a_config_has_the_leaves_of_its_tree() -> None:
    config = run(model=network(conv=DEEP))
    assert flatten(config) == flatten(as_tree(config))


@pytest.mark.parametrize(
    ("value", "leaves"),
    [
        (7, {"model": 7}),
        ([120, 84], {"model": [120, 84]}),
        ([{"filters": 6}], {"model.0.filters": 6}),
        ({"conv": {"filters": 6}}, {"model.conv.filters": 6}),
    ],
)
def test_a_prefix_is_put_before_every_name(value: object, leaves: dict[str, Any]) -> None:
    assert flatten(value, "model") == leaves


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


# --- places --------------------------------------------------------------------------------------------------------

SOUNDS_LIKE_A_PLACE = re.compile(r"dir$|folder|file|path|image$|images$|output|weights$|uri|url|storage|mirrors")
IS_NONE = {"files", "class_weights", "on_bad_image"}  # names of files in a folder, a way to weigh, what to do


def configs() -> set[type]:
    """Every dataclass of the configuration."""
    kinds = {kind for group in schema.REGISTRY.values() for kind in group.kinds.values()}
    return {*schema.PRIMARY.values(), *kinds}


def test_every_path_and_address_is_declared_as_one():
    for config in configs():
        for field in dataclasses.fields(config):
            if "str" in str(field.type) and SOUNDS_LIKE_A_PLACE.search(field.name) and field.name not in IS_NONE:
                assert schema.PLACE.items() <= field.metadata.items(), f"{config.__name__}.{field.name}"


def test_only_one_module_turns_what_a_user_types_into_a_path():
    places = {field.name for kind in configs() for field in dataclasses.fields(kind) if "holds" in field.metadata}
    passed_by = re.compile(
        rf"(?<!Pure)Path\((str\()?\w+\.({'|'.join(places)})\b|expanduser|environ\.get\(\"(?!TF_|HYDRA_)"
    )
    for file in sorted((ROOT / "src").rglob("*.py")):
        if file.name not in ("places.py", "environment.py"):  # the latter removes what libraries cannot read
            found = [line for line in file.read_text().splitlines() if passed_by.search(line)]
            assert not found, f"{file}: {found}; use src.places"
