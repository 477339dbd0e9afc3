"""Packages that import their modules when one of their names is first used."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workplace import ROOT

LAZY = sorted(file.parent.name for file in (ROOT / "src").glob("*/__init__.py") if "lazy_package" in file.read_text())
HEAVY = ("keras", "tensorflow", "mlflow", "optuna", "matplotlib", "rich", "sqlalchemy", "sklearn")


def answer(script: str) -> str:
    """What the script prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_every_package_and_command_imports_nothing_heavy() -> None:
    commands = [f"src.{file.stem}" for file in (ROOT / "src").glob("*.py") if "@entry_point(" in file.read_text()]
    assert {"src.train", "src.evaluate", "src.register"} <= set(commands)
    modules = [f"src.{package}" for package in LAZY] + commands + ["src.sweep.running", "src.sweep.engines.ray"]
    heavy = (*HEAVY, "ray")  # which need not be installed
    assert answer(f"import sys, {', '.join(modules)}; print([name for name in {heavy} if name in sys.modules])") == "[]"


def test_every_name_that_a_package_exports_can_be_imported_before_other_packages() -> None:
    script = f"""
import importlib, os, {", ".join(HEAVY)}
for package in {LAZY}:
    if (child := os.fork()) == 0:  # the outside libraries are imported once for all of them
        from src.process.lazy import import_now
        import_now(importlib.import_module("src." + package))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, package
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["__warningregistry__", "__path_that_is_none__", "keras", "no_such_name"])
def test_a_name_that_a_package_does_not_export_raises_attributeerror_and_imports_nothing(name: str) -> None:
    script = f"import sys; from src import fitting; print(hasattr(fitting, {name!r}), 'keras' in sys.modules)"
    assert answer(script) == "False False"


def test_the_first_use_of_a_name_imports_its_module_in_silence_and_later_uses_find_it(tmp_path: Path) -> None:
    script = """
import sys
from src import fitting
first = fitting.fit
print("tensorflow" in sys.modules, first is fitting.fit is vars(fitting)["fit"])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True True\n", "")


def test_a_missing_library_is_named_when_a_name_is_used() -> None:
    script = """
import sys
sys.modules["rich"] = None
from src import console
try:
    console.say("hello")
except ImportError as error:
    print(error.name)
"""
    assert answer(script).startswith("rich")
