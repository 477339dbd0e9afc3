"""`python src/train.py` works like `python -m src.train`.

Python puts the folder of a script on the search path instead of the working folder, and so finds this file when it
looks for the package `src`. The other folders with commands contain a link to it.
"""

import importlib
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def module_name(script: Path) -> str:
    """Return the name that `python -m` takes for a file of this project."""
    parts = script.resolve().relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__main__")


def use_package() -> None:
    """Import the package in place of this file."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - not of the file that a link leads to
    sys.path[:] = [str(ROOT) if os.path.abspath(entry) == folder else entry for entry in sys.path]  # noqa: PTH100
    main = sys.modules["__main__"]
    script = Path(getattr(main, "__file__", None) or ROOT)
    if script.resolve().is_relative_to(ROOT) and script.is_file():  # as what worker processes import it
        main.__spec__ = ModuleSpec(module_name(script), None, origin=str(script))
    del sys.modules["src"]
    importlib.import_module("src")


if __name__ == "src":
    use_package()
