"""The name of a folder of images: its own or that of a parent, and always valid for MLflow."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_model_name

from src.cli.compose import compose_config
from src.cli.conversion import config_from_dict
from src.schema import DatasetConfig, ImageFolderConfig, as_tree, check_registry_names, with_given_name
from src.schema.naming import MAX_LENGTH, UNNAMED, name_after

NAMES = [
    ("/home/ada/pets", "pets"),
    ("/home/ada/pets/", "pets"),
    (" /home/ada/pets\n", "pets"),
    ("/home/ada/pets/train", "pets"),
    ("/home/ada/pets/data/images/train/", "pets"),
    ("/home/ada/pets/Training_Set", "pets"),
    ("/home/ada/pets/raw-images/../pictures/.", "pets"),
    ("/home/ada/pets/train/cats", "cats"),
    ("/home/ada/train_stations", "train_stations"),
    ("/home/ada/My Pets (2)", "My_Pets_2"),
    ("/home/ada/2024_01_05", "2024_01_05"),
    ("/home/ada/tierfotos_ä", "tierfotos_ä"),
    ("/home/ada/a\u0308pfel", "äpfel"),  # as macOS writes an umlaut
    ("/home/ada/कुत्ते", "कुत्ते"),
    ("/home/ada/a:b'c\"d\\e@f", "a_b_c_d_e_f"),
    ("/home/ada/two\nlines\x7f", "two_lines"),
    ("/home/ada/\udcff\udcfepets", "pets"),  # bytes that are not UTF-8
    ("/home/ada/🐱🐶", UNNAMED),
    ("/home/ada/+++/", UNNAMED),
    ("/data/images", UNNAMED),
    ("/", UNNAMED),
]


@pytest.mark.parametrize(("folder", "name"), NAMES)
def test_a_data_set_is_named_after_the_last_part_of_its_path_that_is_not_generic(folder: str, name: str) -> None:
    assert name_after(folder) == name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/home/ada/pets.csv", "pets"),
        ("/home/ada/pets/labels.csv", "pets"),
        ("/home/ada/pets/data/train-00000-of-00001.parquet", "pets"),
        ("/home/ada/pets/data", "pets"),
        ("/home/ada/pets.v2.csv", "pets.v2"),
        ("/data/images.csv", "manifest"),
    ],
)
def test_a_data_set_in_a_file_is_named_after_the_file_or_its_folder(file: str, name: str) -> None:
    config = compose_config(["dataset=manifest", f"dataset.file={file}"])
    assert config.dataset.name == name
    assert with_given_name(as_tree(config))["dataset"]["name"] == "manifest"


def test_arrays_are_named_after_their_file() -> None:
    assert compose_config(["dataset=arrays", "dataset.file=/home/ada/shapes.npz"]).dataset.name == "shapes"


def test_a_path_that_is_not_absolute_begins_in_the_working_or_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pets/train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "pets/train")
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    assert [name_after(folder) for folder in (".", "..", "images", "../dogs", "~", "~/cats", "~/data")] == [
        *("pets", "pets", "pets", "dogs", "ada", "cats", "ada")
    ]


def test_a_link_gives_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "store-7f").mkdir()
    (tmp_path / "pets").symlink_to(tmp_path / "store-7f")
    assert name_after(str(tmp_path / "pets")) == "pets"


def test_long_names_stay_different_when_they_are_cut() -> None:
    names = [name_after(f"/{'x' * 200}{end}") for end in "ab"]
    assert len(set(names)) == 2
    assert {len(name) for name in names} == {MAX_LENGTH}
    assert name_after("/" + "x" * MAX_LENGTH) == "x" * MAX_LENGTH


@given(st.text(st.characters(exclude_characters="\0")))
def test_any_folder_gives_a_name_that_the_registry_accepts(folder: str) -> None:
    name = name_after(f"/{folder}")
    assert not set(name) & set(" \t\n")
    assert name.encode().decode().isprintable()
    check_registry_names(name, None)
    _validate_model_name(name)
    assert name_after(f"/{name}") in (name, UNNAMED)  # data, for one


def folder(**changes: object) -> DatasetConfig:
    given: dict[str, object] = {"name": UNNAMED, "folder": "/home/ada/pets/train"} | changes
    return ImageFolderConfig(loader="image_folder", image_size=[28, 28], channels=1, **given).named()  # type: ignore[arg-type]


def test_a_data_set_without_a_name_of_its_own_is_named_after_its_folder() -> None:
    assert folder().name == "pets"
    assert folder(name="hand_signs").name == "hand_signs"


def test_only_a_configuration_that_is_composed_is_named_after_its_folder() -> None:
    composed = compose_config(["dataset=image_folder", "dataset.folder=/home/ada/pets"])
    assert composed.dataset.name == "pets"
    stored = as_tree(composed)
    stored["dataset"]["name"] = UNNAMED
    assert config_from_dict(stored).dataset.name == UNNAMED


def test_a_name_from_the_folder_does_not_distinguish_configurations() -> None:
    named = [{"dataset": vars(config)} for config in (folder(), folder(name="cats"))]
    assert [with_given_name(tree)["dataset"]["name"] for tree in named] == [UNNAMED, "cats"]
    assert with_given_name({"dataset": {"name": "mnist", "loader": "idx"}}) == {
        "dataset": {"name": "mnist", "loader": "idx"}
    }
