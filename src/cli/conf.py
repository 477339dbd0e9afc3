"""The folder `conf/`: its groups and their options."""

import re
from pathlib import Path

CONF = Path(__file__).resolve().parents[2] / "conf"


def is_group(name: str) -> bool:
    """Return whether a name is that of a group of options, such as `model` or `hydra/sweeper`."""
    return bool(re.fullmatch(r"\w+(/\w+)*", name)) and ("/" in name or (CONF / name).is_dir())


def options_of(group: str) -> list[str]:
    """Return the names of a group's options in `conf/`, sorted."""
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))
