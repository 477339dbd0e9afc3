"""The folder `conf/`, and those of extensions: their groups and their options."""

import re
from pathlib import Path

from src.extensions import loaded_extensions

CONF = Path(__file__).resolve().parents[2] / "conf"


def conf_folders() -> list[Path]:
    """Return the folders with options: the project's, then those of extensions."""
    return [CONF, *(extension.conf for extension in loaded_extensions() if extension.conf)]


def is_group(name: str) -> bool:
    """Return whether a name is that of a group of options, such as `model` or `hydra/sweeper`."""
    return bool(re.fullmatch(r"\w+(/\w+)*", name)) and (
        "/" in name or any((folder / name).is_dir() for folder in conf_folders())
    )


def options_of(group: str) -> list[str]:
    """Return the names of a group's options, sorted."""
    return sorted({file.stem for folder in conf_folders() for file in (folder / group).glob("*.yaml")})
