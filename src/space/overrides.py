"""The overrides of a sweep, in Hydra's grammar, as the groups and dimensions of a space."""

import math
from collections.abc import Sequence
from decimal import Decimal

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from src.cli.mistakes import did_you_mean, explain
from src.cli.strings import quote_strings
from src.errors import ConfigError
from src.schema import Choice, Dimension, Interval, Scalar, SweeperConfig


def effective_overrides(loader: ConfigLoader, settings: SweeperConfig, typed: Sequence[str]) -> list[Override]:
    """Return the last override of each name; those of the command line come after those of the search file."""
    for name, value in settings.params.items():
        if not isinstance(value, Scalar):
            raise ConfigError(
                f"hydra.sweeper.params.{name}: got {value!r}, expected what follows the = on a command line, such as "
                "choice(3,5,7) or interval(0,0.5)"
            )
    literals = {True: "true", False: "false", None: "null"}
    lines = [
        f"{name}={literals[value] if value is None or isinstance(value, bool) else value}"
        for name, value in settings.params.items()
    ]
    try:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides([*quote_strings("train", lines), *typed])
    except HydraException as error:
        raise ConfigError(explain(error)) from error
    return list({override.key_or_group: override for override in parsed}.values())


def read_group(override: Override, known: Sequence[str]) -> Choice:
    name = override.key_or_group
    if not override.is_choice_sweep() or override.package is not None:
        raise ConfigError(f"{override.input_line}: {name} is a config group; choose with {name}=choice(a,b)")
    chosen, value = map(Override._convert_value, override.sweep_iterator()), override.value()
    if isinstance(value, Glob):  # Hydra itself looks only into its own folders
        chosen = iter(value.filter(list(known)))
    options = tuple(dict.fromkeys("null" if option is None else str(option) for option in chosen))
    for option in options:
        if not option.strip(" \t\n'\""):
            raise ConfigError(f"{name}: got an empty option; known: {', '.join(known)}")
        if option not in known:
            raise ConfigError(f"no {name} {option!r}{did_you_mean(option, known)}")
    return Choice(name, options, options)


def read_dimension(override: Override) -> Dimension:
    name, value = override.key_or_group, override.value()
    if override.package is not None or override.is_delete():
        raise ConfigError(f"{override.input_line}: a sweep searches over KEY=choice(...) or GROUP=choice(...)")
    tags: set[str] = getattr(value, "tags", set())
    if tags - {"log"} or (tags and not isinstance(value, IntervalSweep)):
        raise ConfigError(
            f"{override.input_line}: log is the only tag, and it needs an interval: tag(log,interval(1e-4,1e-2))"
        )
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        return Interval(name, value.start, value.end, log="log" in tags)
    if isinstance(value, RangeSweep):
        return _range(name, value)
    if not isinstance(value, ChoiceSweep):
        raise ConfigError(f"no config group {name!r}: {override.input_line} chooses among the options of a group")
    values = [Override._convert_value(item) for item in value.list]
    by_name = {item if isinstance(item, Scalar) else Override._get_value_element_as_str(item): item for item in values}
    return Choice(name, tuple(by_name), tuple(by_name.values()))


def _range(name: str, value: RangeSweep) -> Dimension:
    start, stop, step = (Decimal(str(number)) for number in (value.start, value.stop, value.step))
    members = math.ceil((stop - start) / step) if step else 0
    if members <= 0:
        raise ConfigError(
            f"{name}: range({start},{stop},{step}) has no members (the stop is excluded); "
            "write range(START,STOP,STEP) with a STEP that leads from START towards STOP"
        )
    is_whole = all(isinstance(number, int) for number in (value.start, value.stop, value.step))
    low, high = sorted((start, start + (members - 1) * step))
    kind = int if is_whole else float
    return Interval(name, kind(low), kind(high), step=kind(abs(step)), is_falling=step < 0)
