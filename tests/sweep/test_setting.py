"""The setting of a study: which commands resume the same study, and which do not."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from src.sweep.setting import Data, describe_setting, find_data, setting_digest
from tests.support.pictures import put_image
from tests.support.sweeps import plan

BASE = ["dataset=synthetic", "model.dropout=0.1,0.2", "seed=1,2"]


@cache
def data() -> Data:
    (found,) = find_data(plan(*BASE))
    return found


def setting(*typed: str, **changes: str) -> dict[str, str]:
    """The setting of a sweep, on the synthetic images with these attributes changed."""
    return describe_setting(plan(*typed), [data()._replace(**changes)])  # type: ignore[arg-type]


def digest(*typed: str, **changes: str) -> str:
    return setting_digest(setting(*typed, **changes))


@cache
def digest_of_base() -> str:
    return digest(*BASE)


# --- the same study ------------------------------------------------------------------------------------------------


def test_the_same_command_has_the_same_digest_of_eight_hex_digits() -> None:
    assert digest(*BASE) == digest(*BASE)
    assert re.fullmatch("[0-9a-f]{8}", digest(*BASE))


ORDERS = [
    BASE,
    ["training.epochs=3", "optimizer=adam", "seed=1,2"],
    ["optimizer=adam,sgd", "seed=1,2", "optimizer.learning_rate=0.1,0.2"],
    ["optimizer=adam,sgd", "model=lenot,lenet5"],
]


@pytest.mark.parametrize("typed", ORDERS)
def test_the_order_in_which_it_is_typed_does_not_matter(typed: list[str]) -> None:
    assert digest(*reversed(typed)) == digest(*typed)


NO_MATTER = [
    "tracking.run_name=wide",
    "tracking.experiment=digits",
    "tracking=off",
    "tags.owner=ada",
    "hydra.sweeper.n_jobs=2",
    "hydra.sweeper.n_trials=3",
    "hydra.sweeper.study_name=mine",
    "training.epochs=10",  # as it is
    "model=lenot",
]


@pytest.mark.parametrize("typed", NO_MATTER)
def test_where_a_study_is_kept_how_it_is_called_and_how_long_it_runs_does_not_matter(typed: str) -> None:
    assert digest(*BASE, typed) == digest_of_base()


def test_objectives_are_part_of_the_setting_and_a_sweep_without_them_has_no_such_item() -> None:
    both = "hydra.sweeper.objectives=[val_accuracy,parameters]"
    assert "objectives" not in setting(*BASE)
    assert setting(*BASE, both) == setting(*BASE) | {"objectives": '["val_accuracy", "parameters"]'}


def test_the_folder_of_the_data_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    here = digest("seed=1,2", "dataset=mnist")
    monkeypatch.setenv("DATA_DIR", "/elsewhere")
    assert digest("seed=1,2", "dataset=mnist") == digest("seed=1,2", "dataset.data_dir=/mnt") == here


# --- another study -------------------------------------------------------------------------------------------------

OTHERS = [
    ["training.epochs=3"],
    ["dataset.limit=5"],
    ["optimizer=adam"],
    ["evaluate_test=true"],
    ["seed=1,2,3"],
    ["seed=2"],
    ["model.dropout=0.1"],
    ["optimizer.learning_rate=1e-3,1e-4"],
    ["optimizer=adam,sgd"],
    ["hydra.sweeper.constraints={parameters:1000000}"],
]


@pytest.mark.parametrize("typed", OTHERS)
def test_another_fixed_value_or_space_is_another_study(typed: list[str]) -> None:
    assert digest(*BASE, *typed) != digest_of_base()


@pytest.mark.parametrize("changes", [{"digest": "0" * 64}, {"source": "sample"}, {"name": "mnist"}])
def test_other_data_is_another_study(changes: dict[str, str]) -> None:
    assert digest(*BASE, **changes) != digest_of_base()


FILTERS, RATE = "model.conv.0.filters", "optimizer.learning_rate"
APART = [
    ([f"{RATE}=interval(0.1,0.2)"], [f"{RATE}=tag(log,interval(0.1,0.2))"]),
    ([f"{RATE}=interval(1,3)"], [f"{RATE}=range(1.0,4.0,1.0)"]),
    (["seed=int(interval(1,1000001))"], ["seed=int(interval(1,1000002))"]),
    ([f"{RATE}=interval(0.1,0.2000001)"], [f"{RATE}=interval(0.1,0.2000002)"]),
    ([f"{FILTERS}=4,8", "model.conv.1.filters=6"], [f"{FILTERS}=4,8", f"model.conv.1.filters=${{{FILTERS}}}"]),
    (["model=lenot,lenet5", "model.dense=[64]"], ["model=lenot,lenet5", "model.dense=[32]"]),
]


@pytest.mark.parametrize(("one", "other"), APART)
def test_two_studies_that_try_different_configurations_differ(one: list[str], other: list[str]) -> None:
    assert digest("hydra/sweeper=optuna", *one) != digest("hydra/sweeper=optuna", *other)


# --- what it says --------------------------------------------------------------------------------------------------


def test_a_setting_names_what_is_fixed_each_dimension_and_the_data_once() -> None:
    found = setting(*BASE, "training.epochs=3")
    assert found["training.epochs"] == "3"
    assert {name: text for name, text in found.items() if name.startswith(("space", "data "))} == {
        "space model.dropout": "[0.1, 0.2]",
        "space seed": "[1, 2]",
        "data synthetic": f"synthetic {data().digest[:16]}",
    }
    assert not {"seed", "model.dropout"} & set(found)


def test_each_limit_is_part_of_the_setting_with_all_its_digits() -> None:
    names = ["hydra.sweeper.constraints={parameters:1234567,latency_ms:null}", "hydra.sweeper.constraints.model_mb=0.5"]
    found = setting(*BASE, *names)
    assert {name: text for name, text in found.items() if "sweeper" in name} == {
        "hydra.sweeper.constraints.parameters": "1234567.0",
        "hydra.sweeper.constraints.model_mb": "0.5",
    }


def test_the_differences_between_the_options_of_a_group_are_one_digest_for_each() -> None:
    found = setting("model=lenot,lenet5", "seed=1,2")
    assert {"options model=lenot", "options model=lenet5", "model.dense", "space model"} <= set(found)
    assert "model.activation" not in found


# --- folders of images ---------------------------------------------------------------------------------------------


def put_pictures(folder: Path, shades: Sequence[int] = (10, 200)) -> None:
    for name, shade in zip(("cat", "dog"), shades, strict=True):
        for number in range(4):
            put_image(folder / name / f"{number}.png", shade + number)


def setting_of_folder(folder: Path, *typed: str) -> dict[str, str]:
    """The setting of a sweep on the pictures in the folder."""
    places = [f"dataset.folder='{folder}'", f"dataset.cache_dir='{folder.parent / 'cache'}'"]
    sizes = ["dataset.image_size=[6,6]", "training.batch_size=128"]
    found = plan("dataset=image_folder", *places, "model=dense", *sizes, "seed=1,2", *typed)
    return describe_setting(found, find_data(found))


@pytest.mark.parametrize(
    ("typed", "key", "expected"),
    [
        ((), "data image_folder", "2d3bb1b6"),  # in the names of studies of version 0.7
        (("dataset.name=pets",), "data pets", "8a7c405a"),
        (("dataset.name=cats",), "data cats", "83e72c17"),
    ],
)
def test_a_study_on_a_folder_keeps_its_name_across_versions(
    tmp_path: Path, typed: tuple[str, ...], key: str, expected: str
) -> None:
    put_pictures(tmp_path / "cats")
    found = setting_of_folder(tmp_path / "cats", *typed)
    assert [name for name in found if name.startswith("data ")] == [key]
    assert setting_digest(found) == expected


def test_the_same_pictures_in_another_folder_are_the_same_study(tmp_path: Path) -> None:
    for name in ("cats", "pets"):
        put_pictures(tmp_path / name)
    assert setting_of_folder(tmp_path / "cats") == setting_of_folder(tmp_path / "pets")
    put_pictures(tmp_path / "pets", shades=(10, 201))
    assert setting_of_folder(tmp_path / "cats") != setting_of_folder(tmp_path / "pets")


def test_two_folders_in_one_search_are_both_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "conf/dataset").mkdir(parents=True)
    for name, shade in (("one", 200), ("two", 201)):
        put_pictures(tmp_path / name, (10, shade))
        option = f"defaults: [image_folder, _self_]\nfolder: {tmp_path / name}\ncache_dir: {tmp_path / 'cache'}\n"
        (tmp_path / f"conf/dataset/{name}.yaml").write_text(option)
    found = plan(
        f"hydra.searchpath=['{tmp_path / 'conf'}']", "dataset=one,two", "model=dense", "dataset.image_size=[6,6]"
    )
    both = find_data(found)
    assert [of.name for of in both] == ["image_folder", "image_folder"]
    line = describe_setting(found, both)["data image_folder"]
    assert line == f"folder {both[0].digest[:16]}, folder {both[1].digest[:16]}"
    assert describe_setting(found, [both[0], both[0]])["data image_folder"] == f"folder {both[0].digest[:16]}"


SECRETS = [
    "tags.api_token=swordfish-77",
    "training.initial_weights='https://ada:swordfish-77@host/a.keras'",
    "training.initial_weights='https://ada:swordfish-77@host/a.keras',null",
    "training.initial_weights=${oc.env:CONVLAB_TEST}",
    "training.initial_weights=${oc.env:CONVLAB_TEST},null",
    "tracking.uri='postgresql://ada:swordfish-77@host/mlflow'",
]


@pytest.mark.parametrize("typed", SECRETS)
def test_a_secret_is_not_in_a_setting(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.redact._secrets", set())
    monkeypatch.setenv("CONVLAB_TEST", "swordfish-77")
    assert "swordfish" not in str(setting(*BASE, typed))
