"""The setting of a study: everything that its trials have in common. The same setting gives the same study name."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from src import datasets, reports, study
from src.redact import redact_tree
from src.schema import Choice, Dimension, as_tree, decisive_leaves, flatten, with_given_name
from src.space import SweepPlan


class Data(NamedTuple):
    """A data set as a sweep records it.

    Attributes:
        name: from the configuration. The name of a folder or file is not part of a study; then it is `image_folder`,
            `manifest` or `arrays`.
        source: where the data set came from.
        digest: its SHA-256 in hex.
        warnings: what a reader of results must know about it.
        images: the number of images in each split.
        notes: sentences about how it was read.
    """

    name: str
    source: str
    digest: str
    warnings: list[str]
    images: Mapping[str, int] = {}
    notes: Sequence[str] = ()


def find_data(plan: SweepPlan) -> list[Data]:
    """Returns the data sets of the sweep, found and verified once, before the workers read them."""
    names_given = {tree["dataset"]["name"] for tree in plan.space.trees().values()}
    data = []
    for config in plan.datasets:
        dataset = datasets.load_dataset(config)
        named = with_given_name({"dataset": as_tree(config)})["dataset"]["name"]
        name = config.name if config.name in names_given else named
        counts = reports.image_counts(dataset)
        data.append(Data(name, dataset.source, dataset.digest, dataset.warnings, counts, dataset.notes))
    return data


def describe_setting(plan: SweepPlan, data: Sequence[Data]) -> dict[str, str]:
    """Returns the setting as strings: each fixed key, `space ...` for each dimension, `data ...` for each data set,
    and the limits of the networks.

    Several objectives are one more item; studies of a single metric have none.

    Keys that differ between the options of a searched group are one digest for each combination of groups.
    """
    typed = plan.space.trees(resolve=False)
    leaves = {
        label: {
            name: _with_tie(flatten(typed[label]).get(name), value)
            for name, value in decisive_leaves(tree, unresolved=typed[label]).items()
            if not plan.space.is_swept(name)
        }
        for label, tree in plan.space.trees(resolve=True).items()
    }
    occurrences = Counter(item for values in leaves.values() for item in values.items())
    shared = {name: value for (name, value), times in occurrences.items() if times == len(leaves)}
    setting = dict(shared)
    for label, values in leaves.items():
        if differing := {name: value for name, value in values.items() if name not in shared}:
            setting[f"options {label}"] = _digest(differing)
    setting |= {f"space {dimension.name}": _kind_and_values(dimension) for dimension in plan.space.dimensions}
    setting |= _describe_data(data)
    setting |= {f"{study.LIMIT}{name}": json.dumps(limit) for name, limit in plan.settings.limits.items()}
    if plan.has_front:
        setting["objectives"] = json.dumps(plan.settings.objectives)
    redacted = redact_tree(setting)
    assert isinstance(redacted, dict)
    return redacted


def setting_digest(setting: Mapping[str, str]) -> str:
    """Returns eight hex digits that identify the setting."""
    return _digest(setting)[:8]


def _describe_data(data: Sequence[Data]) -> dict[str, str]:
    """Returns a line for each name; several data sets may share one."""
    lines: dict[str, dict[str, None]] = {}
    for dataset in data:
        lines.setdefault(f"data {dataset.name}", {})[f"{dataset.source} {dataset.digest[:16]}"] = None
    return {name: ", ".join(sources) for name, sources in lines.items()}


def _kind_and_values(dimension: Dimension) -> str:
    if isinstance(dimension, Choice):
        return json.dumps(dimension.names)
    return f"{'whole numbers' if dimension.is_whole else 'numbers'} {dimension}"


def _with_tie(typed: Any, value: Any) -> str:
    """Returns the value, and the interpolation that it comes from: such a value may differ between trials."""
    tie = f" from {typed}" if isinstance(typed, str) and "${" in typed else ""
    return json.dumps(value) + tie


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
