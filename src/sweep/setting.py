"""What a study is about: all that its trials have in common. The same setting gives the same study name."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from src import datasets
from src.redact import redact_tree
from src.schema import Choice, Dimension, as_tree, flatten, is_place, with_given_name
from src.space import SweepPlan


class Data(NamedTuple):
    """A data set as a study records it, and the warnings about it.

    Attributes:
        name: from the configuration; `image_folder` when it comes from the folder, which is not part of a study.
        source, digest, warnings: of the data set.
    """

    name: str
    source: str
    digest: str
    warnings: list[str]


def find_data(plan: SweepPlan) -> list[Data]:
    """The data sets of the sweep: found and verified once, before the workers read them."""
    configs = {repr(config.dataset): config.dataset for config in (plan.example, *plan.space.configs())}
    given = {tree["dataset"]["name"] for tree in plan.space.trees().values()}
    found = []
    for config in configs.values():
        dataset = datasets.load_dataset(config)
        name = config.name if config.name in given else with_given_name({"dataset": as_tree(config)})["dataset"]["name"]
        found.append(Data(name, dataset.source, dataset.digest, dataset.warnings))
    return found


def describe_setting(plan: SweepPlan, data: Sequence[Data]) -> dict[str, str]:
    """Dotted name -> value, as text: what is fixed, `space ...` for each dimension, `data ...` for each data set.

    Where groups are searched, what differs between their options stands as one digest for each combination.
    """
    searched = tuple(key.name for key in plan.space.keys)
    typed = plan.space.trees(resolve=False)
    leaves = {
        label: {
            name: _told(flatten(typed[label]).get(name), value)
            for name, value in flatten(tree).items()
            if not _is_left_out(name, searched)
        }
        for label, tree in plan.space.trees(resolve=True).items()
    }
    in_how_many = Counter(item for found in leaves.values() for item in found.items())
    shared = {name: value for (name, value), times in in_how_many.items() if times == len(leaves)}
    setting = dict(shared)
    for label, found in leaves.items():
        if own := {name: value for name, value in found.items() if name not in shared}:
            setting[f"options {label}"] = _digest(own)
    setting |= {f"space {dimension.name}": _kind_and_values(dimension) for dimension in plan.space.dimensions}
    setting |= _describe_data(data)
    shown = redact_tree(setting)
    assert isinstance(shown, dict)
    return shown


def setting_digest(setting: Mapping[str, str]) -> str:
    """Eight hex digits."""
    return _digest(setting)[:8]


def _describe_data(data: Sequence[Data]) -> dict[str, str]:
    """Return a line for each name; several data sets may share one."""
    lines: dict[str, dict[str, None]] = {}
    for found in data:
        lines.setdefault(f"data {found.name}", {})[f"{found.source} {found.digest[:16]}"] = None
    return {name: ", ".join(described) for name, described in lines.items()}


def _kind_and_values(dimension: Dimension) -> str:
    if isinstance(dimension, Choice):
        return json.dumps(dimension.names)
    return f"{'whole numbers' if dimension.is_whole else 'numbers'} {dimension}"


def _told(typed: Any, value: Any) -> str:
    """The value, and what it is tied to: it may change from trial to trial."""
    tie = f" from {typed}" if isinstance(typed, str) and "${" in typed else ""
    return json.dumps(value) + tie


def _is_left_out(name: str, searched: tuple[str, ...]) -> bool:
    return is_place(name) or any(name == key or name.startswith(f"{key}.") for key in searched)


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
