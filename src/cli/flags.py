"""Command lines that Hydra does not read."""

import argparse
from typing import NoReturn

from src.errors import ConfigError


class Flags(argparse.ArgumentParser):
    """A parser that raises ConfigError; that of `argparse` would print what was typed, passwords included."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError with the message."""
        refuse_flags(message)


def refuse_flags(message: str) -> NoReturn:
    """Raise ConfigError for what a parser could not read."""
    raise ConfigError(f"{message}; --help lists the flags")
