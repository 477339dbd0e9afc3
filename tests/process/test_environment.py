"""What other programs have put into the environment does not end a command, and changes no result."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workplace import ROOT, Workplace

DRAW = """
from src import figures
figures.plot_learning_curves
import matplotlib
from matplotlib import pyplot
import os
print(pyplot.get_backend().lower(), *matplotlib.rcParams["figure.figsize"], os.path.exists("matplotlibrc"))
"""


def output(script: str, folder: Path, **variables: str) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("content", "variables"),
    [
        (b"", {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}),
        (b"", {"MPLBACKEND": "nonsense"}),
        (b"backend: nonsense\nfigure.figsize: 1, 1\n", {}),
        (b"\xff\xfe", {}),
        (b"figure.figsize: 1, 1\n", {"MATPLOTLIBRC": "mine/matplotlibrc"}),
    ],
)
def test_pictures_do_not_depend_on_settings_of_matplotlib(
    content: bytes, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path, tmp_path / "mine"):
        (folder / "matplotlibrc").write_bytes(content)
    assert output(DRAW, tmp_path, **variables) == "agg 6.4 4.8 True\n"


@pytest.mark.parametrize("value", ["error", "ignore,error::DeprecationWarning", "error::UserWarning"])
def test_warnings_of_the_libraries_are_not_errors(value: str, tmp_path: Path) -> None:
    script = (
        "import src, warnings; warnings.warn('x', DeprecationWarning); warnings.simplefilter('ignore'); print('on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PYTHONWARNINGS": value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "on\n")


def test_the_environment_is_prepared_before_any_library_is_imported(tmp_path: Path) -> None:
    script = "import src, sys; print([n for n in ('hydra', 'numpy', 'yaml', 'mlflow', 'keras') if n in sys.modules])"
    assert output(script, tmp_path) == "[]\n"


@pytest.mark.parametrize(("given", "found"), [("20", "20"), ("", "2"), (" \n", "2")])
def test_a_setting_of_the_environment_wins_unless_it_is_empty(given: str, found: str, tmp_path: Path) -> None:
    script = "import src, os; print(os.environ['MLFLOW_HTTP_REQUEST_MAX_RETRIES'])"
    assert output(script, tmp_path, MLFLOW_HTTP_REQUEST_MAX_RETRIES=given) == f"{found}\n"


def test_keras_computes_with_tensorflow_even_if_another_backend_is_set(tmp_path: Path) -> None:
    script = "import src, os; print(os.environ['KERAS_BACKEND'])"
    assert output(script, tmp_path, KERAS_BACKEND="torch") == "tensorflow\n"


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("TF_USE_LEGACY_KERAS", "1", "None"),
        ("MLFLOW_RUN_ID", "0123456789abcdef0123456789abcdef", "None"),
        ("MLFLOW_EXPERIMENT_NAME", "other", "None"),
        ("MLFLOW_EXPERIMENT_ID", "77", "None"),
        ("MLFLOW_ACTIVE_MODEL_ID", "m-1234", "None"),
        ("MLFLOW_LOGGING_LEVEL", "nonsense", "None"),
        ("MLFLOW_LOGGING_LEVEL", "debug", "debug"),
        ("COLUMNS", "0", "None"),
        ("COLUMNS", "wide", "None"),
        ("COLUMNS", "100", "100"),
    ],
)
def test_a_variable_that_would_end_a_command_is_unset(name: str, value: str, found: str, tmp_path: Path) -> None:
    assert output(f"import src, os; print(os.environ.get({name!r}))", tmp_path, **{name: value}) == f"{found}\n"


@pytest.mark.services
@pytest.mark.parametrize(
    "variables",
    [
        {
            "PYTHONWARNINGS": "error",
            "TF_USE_LEGACY_KERAS": "1",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "MLFLOW_ACTIVE_MODEL_ID": "m-1234",
            "MLFLOW_EXPERIMENT_NAME": "other",
            "MLFLOW_RUN_ID": "0123456789abcdef0123456789abcdef",
            "MLFLOW_LOGGING_LEVEL": "nonsense",
            "MLFLOW_ENABLE_ASYNC_LOGGING": "true",
            "FORCE_COLOR": "1",
            "COLUMNS": "0",
            "TERM": "dumb",
        }
    ],
)
def test_variables_of_other_programs_do_not_change_a_run(variables: dict[str, str], workplace: Workplace) -> None:
    typed = ["dataset=synthetic", "dataset.limit=100", "training.epochs=1", "model=dense"]
    usual, unusual = workplace.run("src.train", *typed), workplace.run("src.train", *typed, **variables)
    assert (unusual.returncode, unusual.stderr) == (0, "")
    best = [next(line for line in done.stdout.splitlines() if line.startswith("best")) for done in (usual, unusual)]
    assert best[0] == best[1]
