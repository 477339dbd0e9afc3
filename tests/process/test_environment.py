"""What other programs have put into the environment does not end a command, and changes no result."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workplace import ROOT

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


def test_keras_computes_with_tensorflow_whatever_else_the_machine_uses_it_with(tmp_path: Path) -> None:
    script = "import src, os; print(os.environ['KERAS_BACKEND'])"
    assert output(script, tmp_path, KERAS_BACKEND="torch") == "tensorflow\n"
