"""Turn a function into a command: what was typed becomes a dataclass, an error a sentence and an exit code.

Hydra parses the command line and composes; the function runs after Hydra has returned, so that errors, signals and exit
codes are ours.
"""

import atexit
import contextlib
import gc
import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, NoReturn

import hydra
from hydra._internal.callbacks import Callbacks
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from src.cli.changes import split_changes
from src.cli.choosing import choose_settings
from src.cli.compose import CONF, compose, refuse_empty_overrides, sentences, sweep_ready
from src.cli.conversion import to_dataclass
from src.cli.extensions import take_extensions
from src.cli.flags import refuse_flags
from src.cli.mistakes import explain, quoted
from src.cli.strings import quote_strings
from src.errors import ConfigError, UserError
from src.foreign import describe_error
from src.places import local_path, name_variables
from src.process.failures import describe_memory_error, print_error
from src.process.interrupt import Interrupted, raise_on_signals
from src.process.output import lasting_output, written_output

Work = Callable[[Any, list[str]], None]  # (config, overrides)

REFUSED = {  # flags of Hydra that every command refuses, and why; --help does not show them
    "config_name": "each command has its own configuration; this one's is {config_name}",
    "config_path": "each command has its own configuration; this one's is {config_name}",
    "experimental_rerun": "it reads a pickle, which can run any code; to train a run again, use "
    "python -m pipelines.reproduce run_id=RUN",
    "shell_completion": "Hydra's completion works for scripts, not for python -m; --help lists the settings",
}


def entry_point(
    config_name: str, sweeps: bool = False, only_prints: bool = False
) -> Callable[[Callable[[Any, list[str]], None]], Callable[[], None]]:
    """Return a decorator that turns a function `(config, overrides)` into a command; `overrides` is what was typed.

    Args:
        config_name: the command's primary configuration, a file of `conf/`.
        sweeps: whether the function itself makes a sweep of what was typed. `config` then has what is not swept.
        only_prints: True for a command that ends when nothing reads its output: `... | head`. Others continue.

    Exit codes: 0, 1 for a run that failed, 2 for a wrong configuration, 130 and 143 for Ctrl-C and SIGTERM.
    """

    def decorate(work: Work) -> Callable[[], None]:
        def from_line() -> None:
            if (typed := _from_command_line(config_name, sweeps)) is not None:
                try:
                    work(*typed)
                except SystemExit as error:
                    if error.code:  # Rich leaves with 1 when nothing reads its output
                        raise
                    reason = describe_error(error)
                    raise UserError(f"the command was ended by {reason}; raise an error instead") from error

        @wraps(work)
        def command() -> None:
            with contextlib.nullcontext() if only_prints else lasting_output():
                run_command(from_line)

        return command

    return decorate


def run_command(work: Callable[[], None]) -> None:
    """Run a function as a command: an error becomes a sentence and an exit code.

    HYDRA_FULL_ERROR=1 shows the traceback instead.
    """
    wants_trace = os.environ.get("HYDRA_FULL_ERROR") == "1"
    raise_on_signals()
    atexit.register(gc.freeze)  # what is left when the process ends need not be looked through for garbage
    try:
        with written_output():
            work()
    except Interrupted as stop:
        _leave(str(stop), stop.exit_code)
    except BrokenPipeError:  # the reader of what is printed has gone: `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UserError.exit_code)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if wants_trace:
            raise
        message = _with_notes(f"error: {explain(error)}", error)
        _leave(message, getattr(error, "exit_code", ConfigError.exit_code))
    except Exception as error:
        if wants_trace or (sentence := describe_memory_error(error)) is None:
            raise
        _leave(_with_notes(sentence, error), UserError.exit_code)


def _from_command_line(config_name: str, sweeps: bool) -> tuple[Any, list[str]] | None:
    """Return what was typed as a dataclass; None after a question such as --help, or after a sweep.

    Overrides are composed here, once. `hydra.main` composes twice, and each answer would take half as long again.
    Hydra's own program only answers what it is asked (`--help`, `--cfg`, ...), and runs nothing.
    """
    parser = get_args_parser()
    setattr(parser, "error", refuse_flags)  # noqa: B010 - its own prints what was typed, passwords included
    args = parser.parse_intermixed_args()
    overrides = take_extensions(_overrides(args, config_name))
    if args.help or args.hydra_help or args.cfg or args.info or args.shell_completion or args.resolve:
        args.overrides = quote_strings(config_name, _fixed(overrides) if sweeps else overrides)
        _answer(config_name, args, parser)
        return None
    if space := [typed for typed in overrides if typed.lstrip("+~").startswith("hydra.sweeper.params")]:
        raise ConfigError(
            f"{space[0]}: hydra.sweeper.params belongs in a file of conf/hparams_search; on the command line, name "
            "each dimension, such as 'model.dropout=interval(0,0.5)'"
        )
    if not args.multirun:
        composed = _compose_once(config_name, split_changes(overrides)[0], sweeps)
        if composed.hydra.mode != RunMode.MULTIRUN:
            with open_dict(composed):
                del composed["hydra"]
            for line in choose_settings(composed):
                print(line)
            return to_dataclass(composed), overrides
    _sweep(config_name, overrides, args.multirun)
    return None


def _overrides(args: Namespace, config_name: str) -> list[str]:
    """Return what was typed apart from flags; a folder of further options becomes an override.

    Raises:
        ConfigError: a flag of Hydra's that no command of this program takes.
    """
    for flag, reason in REFUSED.items():
        if getattr(args, flag) not in (None, False):
            raise ConfigError(f"--{flag.replace('_', '-')}: {reason.format(config_name=config_name)}")
    if args.multirun and args.cfg:
        raise ConfigError("-m and --cfg cannot be combined: remove -m to see the configuration of one run")
    if args.package is not None and not args.package.strip():
        raise ConfigError("--package: got an empty string; name a part of the configuration, such as model")
    overrides = [_without_tilde(typed) if "searchpath" in typed else typed for typed in args.overrides]
    if args.config_dir is None:
        return overrides
    folder = local_path(args.config_dir)
    if not args.config_dir.strip():
        raise ConfigError("--config-dir: got an empty string; name a folder with files like those in conf/")
    if not folder.is_dir():
        raise ConfigError(f"--config-dir {folder}: there is no such folder")
    if any(typed.lstrip("+").startswith("hydra.searchpath") for typed in overrides):
        raise ConfigError("--config-dir and hydra.searchpath cannot be combined: name all folders in hydra.searchpath")
    args.config_dir = None
    return [f"hydra.searchpath=[{quoted(str(folder.resolve()))}]", *overrides]


def _without_tilde(typed: str) -> str:
    """Return `hydra.searchpath=[...]` with the home folder in place of `~`, which Hydra does not expand."""
    key, _, value = typed.partition("=")
    home = str(local_path("~"))
    return f"{key}=" + re.sub(r"(^|[\['\",\s]|://)~(?=[/'\",\]\s])", lambda found: found[1] + home, value)


def _answer(config_name: str, args: Namespace, parser: ArgumentParser) -> None:
    """Have Hydra's own program answer a question about this command."""
    refuse_empty_overrides(config_name, args.overrides)
    hydra.version.setbase("1.3")
    hidden = REFUSED if config_name == "train" else {*REFUSED, "multirun"}
    parser._actions = [action for action in parser._actions if action.dest not in hidden]
    try:
        with _raising_hydra(), sentences(args.overrides):
            _run_hydra(args, parser, lambda _: None, str(CONF), config_name)
    except (UserError, HydraException, OmegaConfBaseException):
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except SystemExit as end:
        # When --package names nothing, Hydra has said so on the error stream.
        raise SystemExit(ConfigError.exit_code if end.code else 0) from None


@contextlib.contextmanager
def _raising_hydra() -> Iterator[None]:
    """Have Hydra raise its errors instead of printing them and ending the process."""
    given = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if given is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = given


def _compose_once(config_name: str, overrides: list[str], sweeps: bool) -> DictConfig:
    """Return the configuration with Hydra's own settings, which say whether a file asks for a sweep.

    Only what is not swept is composed, so that a mistake in it is reported before anything else.
    """
    fixed = _fixed(overrides)
    composed = compose(config_name, fixed, with_hydra=True)
    if len(fixed) < len(overrides) and composed.hydra.mode != RunMode.MULTIRUN and not sweeps:
        if config_name != "train":
            key, _, value = next(typed for typed in overrides if typed not in fixed).partition("=")
            raise ConfigError(
                f"{key}={value}: several values, but this command takes one; write a list as '{key}=[...]', and a "
                f"string with commas '{key}={quoted(value)}'"
            )
        compose(config_name, overrides)  # raises: there are several values, and nothing says that they are a sweep
    return composed


def _fixed(overrides: list[str]) -> list[str]:
    """Return the overrides with one value. They are parsed only if their text may hold several."""
    if not any("," in override or "(" in override for override in overrides):
        return overrides
    parsed = OverridesParser.create().parse_overrides(overrides)
    return [str(override.input_line) for override in parsed if not override.is_sweep_override()]


def _sweep(config_name: str, overrides: list[str], has_flag: bool) -> None:
    """Hand over to the sweeper that `hydra/sweeper` names."""
    if config_name != "train":
        searches = [typed for typed in overrides if typed.lstrip("+").startswith("hparams_search=")]
        if searches and not has_flag:
            raise ConfigError(
                f"{searches[0]}: only python -m src.train and python -m pipelines.best_of_sweep search; remove "
                f"`{searches[0]}`"
            )
        raise ConfigError("-m: only python -m src.train takes it; remove -m, and run this command once for each value")
    with sweep_ready(overrides) as (loader, master, typed):
        sweeper = Plugins.instance().instantiate_sweeper(
            config=master,
            hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
            task_function=lambda _: None,
        )
        sweeper.sweep(typed)


def _with_notes(message: str, error: BaseException) -> str:
    """Return the message, followed by the notes that were added to the error, each on its own line."""
    return "\n".join([message, *getattr(error, "__notes__", ())])


def _leave(message: str, exit_code: int) -> NoReturn:
    print_error(name_variables(message))
    sys.exit(exit_code)
