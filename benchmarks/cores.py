"""The time of an epoch on one core, two cores and more, with whole batches and with batches in parts.

python -m benchmarks.cores                  as many cores as this machine has
python -m benchmarks.cores lenot            only this network

A row `2 cores, 4 parts, 1 thread` is a training that may use two cores. It divides each batch into four parts, and an
operation of a part uses one thread. With one part the batch is whole. More parts than cores show what dividing costs:
they add work, and no core is free to share it. On a machine with as many cores as parts at least this much is lost.

An epoch has 100 batches of 128 images of MNIST, and validates on 2,000. Its seconds are those of the fastest but the
first: other programs only make epochs slower.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from benchmarks.measuring import Figures, arguments, chosen, in_turn, keep, positive, ratio, ready, run
from src.process.machine import cores

NETWORKS = ("lenot", "cnn_mnist_v2")
EPOCHS, BATCHES = 5, 100
EXTRA_PARTS = (4, 8)  # are measured on fewer cores too


class Setting(NamedTuple):
    """The cores that a training may use, the parts of a batch, and the threads of an operation."""

    cores: int
    parts: int
    threads: int

    def __str__(self) -> str:
        counts = zip(("core", "part", "thread"), self, strict=True)
        return ", ".join(f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts)


ONE_CORE = Setting(1, 1, 1)


def settings(most: int) -> list[Setting]:
    """Return what is measured on a machine with this many cores, in the order of the table."""
    counts = sorted({1, most} | {2**power for power in range(1, most.bit_length()) if 2**power <= most})
    found = []
    for count in counts:
        found.append(Setting(count, 1, count))
        found += [Setting(count, parts, 1) for parts in sorted({count, *EXTRA_PARTS}) if parts >= count > 1]
        found += [Setting(count, count // 2, 2)] if count > 2 and count % 2 == 0 else []
    return found


def main() -> None:
    parser = arguments(__doc__, NETWORKS, repetitions=3)
    parser.add_argument("--epochs", type=positive, default=EPOCHS)
    options = parser.parse_args()
    named = chosen(options, NETWORKS)
    ready([])
    possible = settings(cores())

    def contestant(network: str, setting: Setting, folder: Path) -> Figures:
        typed = [network, *map(str, setting), str(options.epochs)]
        variables: dict[str, Any] = {"TF_NUM_INTRAOP_THREADS": f"{setting.threads}"}
        variables |= {"TF_NUM_INTEROP_THREADS": f"{setting.cores}"}
        done = run(["-m", "benchmarks.cores", "--measure", *typed], folder, **variables)
        return dict(json.loads(done.output.splitlines()[-1]))

    contestants = {
        f"{network}: {setting}": lambda folder, network=network, setting=setting: contestant(network, setting, folder)
        for network in named
        for setting in possible
    }
    measured = in_turn(contestants, options.repeat)
    keep("cores", measured, options.publish, epochs=options.epochs, ratios=ratios(measured, named, possible))


def ratios(measured: dict[str, list[Figures]], networks: list[str], possible: list[Setting]) -> dict[str, float]:
    """Return each setting's seconds divided by those of whole batches on one core."""
    return {
        f"{network}: {setting} / {ONE_CORE}": ratio(
            measured, f"{network}: {setting}", f"{network}: {ONE_CORE}", "epoch_seconds"
        )
        for network in networks
        for setting in possible[1:]
        if {f"{network}: {setting}", f"{network}: {ONE_CORE}"} <= measured.keys()
    }


def measure(network: str, count: int, parts: int, epochs: int) -> None:
    """Train on this many cores, and print the seconds; runs in the measured process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    from src import datasets, fitting, models
    from src.cli.compose import compose_config
    from src.fitting import epochs as loop

    typed = [f"model={network}", f"training.epochs={epochs + 1}"]
    config = compose_config(["~local", "dataset.source=full", "dataset.validation_size=2000", *typed])
    dataset = datasets.load_dataset(config.dataset).head(BATCHES * config.training.batch_size)
    fitting.seed_everything(config.seed)
    model = models.build_model(config.model, dataset.input_shape, len(dataset.class_names))
    fitting.compile_model(model, config, BATCHES)
    with mock.patch.object(loop, "parts_for", return_value=parts):
        seconds = fitting.fit(model, dataset, config).history["epoch_seconds"]
    print(json.dumps({"epoch_seconds": min(seconds[1:])}))


if __name__ == "__main__":
    if "--measure" in sys.argv:
        name, *numbers = sys.argv[2:]
        on, in_parts, _, count = map(int, numbers)
        measure(name, on, in_parts, count)
    else:
        main()
