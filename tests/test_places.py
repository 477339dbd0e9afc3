"""Places that a user names: paths, addresses of databases, environment variables."""

import os
from pathlib import Path

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from src.places import (
    local_path,
    name_variables,
    read_variable,
    resolve_address,
    sqlite_address,
    sqlite_file,
    store_folder,
    tidy_environment,
)

ODD_NAMES = [
    "work%20copy",
    "really?",
    "p#1",
    "p100%",
    "pü",
    "a b",
    "x&y=z",
    "[1]",
    "it's",
    "a;b",
    "{x}",
    "$HOME",
    "q?a=b",
]


def test_a_path_is_trimmed_and_its_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert local_path(" ~/data\n") == Path("/home/ada/data")
    assert local_path("data/~/x") == Path("data/~/x")
    assert local_path("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")


@pytest.mark.parametrize("typed", ["sqlite:///~/mlflow.db", "sqlite:////~/mlflow.db", " sqlite:///~/mlflow.db\n"])
def test_a_tilde_in_a_sqlite_address_is_the_home_folder(typed: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert resolve_address(typed) == "sqlite:////home/ada/mlflow.db"


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///mlflow.db",
        "sqlite:////tmp/a b/p#1/mlflow.db",
        "sqlite:///mlflow.db?timeout=5",
        "sqlite+pysqlite:///optuna.db",
        "sqlite://",
        "sqlite:///:memory:",
        "http://127.0.0.1:5000",
        "postgresql://ada:p%40ss@db/mlflow?sslmode=require",
    ],
)
def test_an_ordinary_address_stays_as_it_is(address: str):
    assert resolve_address(address) == address
    assert resolve_address(f" {address}\n") == address


@pytest.mark.parametrize("name", ODD_NAMES)
def test_sqlalchemy_opens_the_file_in_a_folder_of_any_name(name: str, tmp_path: Path):
    (tmp_path / name).mkdir()
    file = tmp_path / name / "a.db"
    for address in (sqlite_address(file), resolve_address(f"sqlite:///{file}")):
        assert sqlalchemy.make_url(address).database == str(file)
        assert resolve_address(address) == address
        assert sqlite_file(address) == file


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_an_address_made_from_a_path_leads_to_the_path(name: str):
    path = f"/no-such-folder/x{name}x.db"
    address = sqlite_address(path)
    assert sqlalchemy.make_url(address).database == path
    assert sqlite_file(address) == Path(path)
    assert address.format() == address  # Optuna fills in a template


def test_an_escape_in_an_address_is_decoded_unless_the_folder_has_that_name(tmp_path: Path):
    assert sqlite_file(f"sqlite:///{tmp_path}/a%20b.db") == tmp_path / "a b.db"
    (tmp_path / "work%20copy").mkdir()
    assert sqlite_file(f"sqlite:///{tmp_path}/work%20copy/a.db") == tmp_path / "work%20copy" / "a.db"
    (tmp_path / "work copy").mkdir()
    assert sqlite_file(f"sqlite:///{tmp_path}/work%20copy/a.db") == tmp_path / "work copy" / "a.db"


def test_an_empty_variable_is_unset_and_another_one_trimmed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/ada")
    for name, value in {
        "DATA_DIR": " \n",
        "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db\n",
        "MLFLOW_TRACKING_USERNAME": "",
        "PGPASSWORD": "",
        "MLFLOW_TRACKING_PASSWORD": " with spaces ",
        "KERAS_HOME": "~/keras",
        "CUDA_VISIBLE_DEVICES": "",  # no GPU: empty means something
    }.items():
        monkeypatch.setenv(name, value)
    tidy_environment()
    assert "DATA_DIR" not in os.environ
    assert "MLFLOW_TRACKING_USERNAME" not in os.environ
    assert "PGPASSWORD" not in os.environ
    assert os.environ["MLFLOW_TRACKING_URI"] == "sqlite:///mlflow.db"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == " with spaces "
    assert os.environ["KERAS_HOME"] == "/home/ada/keras"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_a_variable_is_read_trimmed_and_none_when_it_is_empty(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CONVLAB_A", " a\n")
    monkeypatch.setenv("CONVLAB_B", " ")
    assert read_variable("CONVLAB_A") == "a"
    assert read_variable("CONVLAB_B") is None
    assert read_variable("CONVLAB_C") is None


def test_a_message_about_the_value_of_a_variable_names_the_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CONVLAB_PLACE", "sqlite:/x")
    monkeypatch.setenv("CONVLAB_WORD", "data")
    read_variable("CONVLAB_PLACE")
    read_variable("CONVLAB_WORD")
    assert name_variables("tracking.uri=sqlite:/x is wrong").endswith(
        "(the value comes from the environment: CONVLAB_PLACE)"
    )
    assert "CONVLAB_WORD" in name_variables("there is no folder data/images")
    assert name_variables("the data set has no images") == "the data set has no images"


def test_the_folder_of_a_store_is_found_as_its_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for uri in ("sqlite:///~/mlflow.db", " sqlite:///mlflow.db", "sqlite+pysqlite:///mlflow.db"):
        assert store_folder(uri) == tmp_path
