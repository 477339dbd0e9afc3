"""Naming extensions: on the command line or in `conf/local`, and nowhere else."""

import shutil
from pathlib import Path

import pytest

from src.cli import compose, conf, files
from src.cli import extensions as naming
from src.cli.compose import compose_config
from src.cli.extensions import take_extensions
from src.errors import ConfigError
from src.extensions import loaded_extensions
from tests.support.extensions import METRIC, OPTIMIZER, write_files
from tests.support.workplace import ROOT

pytestmark = pytest.mark.usefixtures("extensions_forgotten")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two modules, and a `conf/` of the test's own."""
    write_files(tmp_path, {"one.py": OPTIMIZER.format(kind="lion"), "two.py": METRIC.format(name="error")})
    shutil.copytree(ROOT / "conf", tmp_path / "project/conf")
    (tmp_path / "project/conf/local/default.yaml").unlink(missing_ok=True)
    for module in (compose, conf, files, naming):
        monkeypatch.setattr(module, "CONF", tmp_path / "project/conf")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def names() -> list[str]:
    return [extension.name for extension in loaded_extensions()]


def write_local(folder: Path, text: str, name: str = "default") -> None:
    write_files(folder, {f"project/conf/local/{name}.yaml": f"# @package _global_\n{text}\n"})


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("extensions=[one]", ["one"]),
        ("extensions=one", ["one"]),
        ("extensions=[two,one]", ["two", "one"]),
        ("extensions=['one', \"two\"]", ["one", "two"]),
        ("extensions=[]", []),
        ("extensions=null", []),
    ],
)
def test_they_are_imported_and_removed_from_what_is_composed(typed: str, expected: list[str]) -> None:
    assert take_extensions(["model=lenot", typed, "seed=2"]) == ["model=lenot", "seed=2"]
    assert names() == expected


@pytest.mark.parametrize(
    "typed",
    [
        "extensions=",
        "extensions=one,two",
        "extensions=[[one]]",
        "extensions={one: two}",
        "extensions=3",
        "extensions=['']",
        "extensions=[null]",
        "extensions=[one",
        "extensions.0=one",
        "+extensions=[one]",
        "++extensions=one",
        "~extensions",
    ],
)
def test_another_form_is_refused_with_the_right_one(typed: str) -> None:
    with pytest.raises(ConfigError, match=r"expected extensions=\[MODULE\] or extensions=\[MODULE,MODULE\]$"):
        compose_config([typed])
    assert names() == []


def test_naming_them_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^extensions=two: extensions is given twice; expected"):
        take_extensions(["extensions=one", "extensions=two"])


@pytest.mark.parametrize("typed", ["extension=[one]", "+extension=one", "extension ="])
def test_the_key_without_its_s_is_refused_before_its_options_are_missed(typed: str) -> None:
    with pytest.raises(ConfigError, match=r"no key 'extension'; did you mean 'extensions'\? expected extensions="):
        compose_config([typed, "model=small_net"])


def test_a_key_that_only_begins_like_it_is_left_to_hydra() -> None:
    with pytest.raises(ConfigError, match="no key 'extensions_of_mine'"):
        compose_config(["extensions_of_mine=3"])


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        pytest.param([], ["one"], id="the default file"),
        pytest.param(["local=lab"], ["two"], id="a chosen file"),
        pytest.param(["~local"], [], id="no group"),
        pytest.param(["extensions=[two]"], ["two"], id="what is typed comes first"),
        pytest.param(["extensions=[]"], [], id="none are typed"),
    ],
)
def test_a_file_of_this_machine_may_name_them(overrides: list[str], expected: list[str], folder: Path) -> None:
    write_local(folder, "extensions: [one]\nseed: 5")
    write_local(folder, "extensions: two", name="lab")
    config = compose_config(overrides)
    assert names() == expected
    assert config.seed == (5 if not {"local=lab", "~local"} & set(overrides) else 1)


@pytest.mark.parametrize("text", ["extensions: 3", "extensions: [[one]]", "extensions: {one: 1}", "extensions: ['']"])
def test_another_form_in_such_a_file_is_refused(text: str, folder: Path) -> None:
    write_local(folder, text)
    with pytest.raises(ConfigError, match=r"conf/local/default\.yaml: extensions: expected extensions=\[MODULE\]"):
        compose_config()


@pytest.mark.parametrize(
    ("file", "chosen"),
    [
        ("project/conf/experiment/mine.yaml", ["experiment=mine"]),
        ("project/conf/model/mine.yaml", ["model=mine"]),
        ("project/conf/hparams_search/mine.yaml", ["hparams_search=mine"]),
        ("given/experiment/mine.yaml", ["experiment=mine", "hydra.searchpath=[file://{folder}/given]"]),
        ("given/local/mine.yaml", ["local=mine", "hydra.searchpath=[file://{folder}/given]"]),
    ],
)
def test_any_other_file_that_names_them_is_refused_so_that_choosing_it_imports_nothing(
    file: str, chosen: list[str], folder: Path
) -> None:
    write_files(folder, {file: "# @package _global_\nextensions: [one]\n"})
    with pytest.raises(ConfigError, match=r"mine\.yaml, line 2, column 1: extensions would import code, .*conf/local"):
        compose_config([typed.format(folder=folder) for typed in chosen])
    assert names() == []
