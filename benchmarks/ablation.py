"""The parts of a training recipe: which of them help alone, and which of them together.

python -m benchmarks.ablation
python -m benchmarks.ablation --repeat 1 --epochs 3

A convnet on 10,000 images of Fashion-MNIST, another 10,000 for validation. A recipe is judged by the validation
accuracy of its best epoch, and two recipes by the differences for the same seeds: one is better if the mean of the
differences is above its standard error.

First each part is added to the baseline. Then those that helped are added one after the other, the best first, and one
that does not improve the recipe is left out again. At the very end the baseline and the recipe are scored on the test
split. The runs are kept in the folder of the figures: the same command continues after an interruption.
"""

import argparse
import math
import re
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.measuring import TRAIN, Failed, Figures, arguments, chosen, keep, positive, ready, results_file, run

EPOCHS = 30
WORKERS = 2
BASELINE = "baseline"
RECIPE = "training=modern"
SETTING = (
    "model=cnn_mnist_v2",
    "dataset=fashion_mnist",
    "dataset.source=full",
    "dataset.limit=10000",
    "dataset.validation_size=10000",
    "optimizer=adamw",
    "optimizer.weight_decay=0",
)
PARTS = {
    "cosine": ("schedule=cosine",),
    "one_cycle": ("schedule=one_cycle", "optimizer.learning_rate=3e-3"),
    "weight_decay": ("optimizer.weight_decay=0.05",),
    "l2": ("optimizer.l2=1e-4",),
    "label_smoothing": ("loss.label_smoothing=0.1",),
    "focal": ("loss=focal",),
    "ema": ("optimizer.ema_momentum=0.99",),
    "clipping": ("optimizer.global_clipnorm=1",),
    "flip": ("augmentation.flip=horizontal",),
    "light": ("augmentation=light",),
    "rand_augment": ("augmentation.rand_augment=0.3",),
    "erasing": ("augmentation.erasing=0.25",),
    "mixup": ("augmentation.mixup=0.2",),
    "cutmix": ("augmentation.cutmix=1",),
}


class Gain(NamedTuple):
    """The mean of the differences between two recipes, and its standard error."""

    mean: float
    error: float

    @property
    def helps(self) -> bool:
        """Return whether the difference is more than chance explains."""
        return self.mean > self.error


class Trainings:
    """Trains recipes with each of the seeds, several at the same time, and keeps the runs in a folder."""

    def __init__(self, folder: Path, seeds: Sequence[int], epochs: int) -> None:
        self.folder = folder
        self.seeds = seeds
        self.epochs = epochs
        folder.mkdir(parents=True, exist_ok=True)

    def figures(self, recipes: Iterable[Sequence[str]], test: bool = False) -> list[list[Figures]]:
        """Return the figures of each recipe, one for each seed. With `test`, they have the test accuracy too."""
        with ThreadPoolExecutor(WORKERS) as threads:
            rows = [[threads.submit(self._trained, recipe, seed, test) for seed in self.seeds] for recipe in recipes]
            return [[future.result() for future in row] for row in rows]

    def _trained(self, recipe: Sequence[str], seed: int, test: bool) -> Figures:
        found = run(
            [
                *TRAIN,
                *SETTING,
                *recipe,
                f"seed={seed}",
                f"training.epochs={self.epochs}",
                f"evaluate_test={str(test).lower()}",
                "tracking.on_duplicate=reuse",
                "tracking.detail=light",
                "tracking.save_model=false",
            ],
            self.folder,
            TF_NUM_INTRAOP_THREADS="1",
        )
        names = ("val_accuracy", *["test_accuracy"] * test)
        values = {name: re.findall(rf"\b{name} ([01]\.\d+)", found.output) for name in names}
        if not all(values.values()):
            raise Failed(f"the output has no {' or '.join(names)}:\n{found.output[-3000:]}")
        figures = {name: float(numbers[-1]) for name, numbers in values.items()}
        line = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        print(f"seed {seed}  {line}  {found.seconds:4.0f} s  {' '.join(recipe)}", flush=True)
        return figures


def main() -> None:
    parser = arguments(__doc__, list(PARTS), repetitions=4)
    parser.add_argument("--epochs", type=positive, default=EPOCHS)
    options = parser.parse_args()
    parts = {name: PARTS[name] for name in chosen(options, list(PARTS))}
    ready([])
    try:
        measure(parts, options)
    except Failed as error:
        sys.exit(str(error))


def measure(parts: Mapping[str, Sequence[str]], options: argparse.Namespace) -> None:
    """Train the baseline and the recipes, and keep the figures.

    Raises:
        Failed: a training failed.
    """
    folder = results_file("ablation", False).with_suffix("")
    trainings = Trainings(folder, range(1, options.repeat + 1), options.epochs)
    measured = dict(zip([BASELINE, *parts], trainings.figures([(), *parts.values()]), strict=True))
    alone = {name: gain(measured[name], measured[BASELINE]) for name in parts}
    recipe, steps = combined(trainings, parts, alone, measured)
    scored = trainings.figures([(), recipe], test=True)
    keep(
        "ablation",
        measured,
        options.publish,
        epochs=options.epochs,
        alone={name: found._asdict() for name, found in alone.items()},
        steps={name: found._asdict() for name, found in steps.items()},
        recipe=recipe,
        test_accuracy={
            name: [each["test_accuracy"] for each in found]
            for name, found in zip((BASELINE, "recipe"), scored, strict=True)
        },
    )


def combined(
    trainings: Trainings,
    parts: Mapping[str, Sequence[str]],
    alone: Mapping[str, Gain],
    measured: dict[str, list[Figures]],
) -> tuple[list[str], dict[str, Gain]]:
    """Add the parts that help to a recipe, the best first; return it, and what each part added when it was tried.

    Args:
        trainings: train the recipes.
        parts: what is typed for each part.
        alone: what each part adds to the baseline.
        measured: the figures so far; those of the recipes that are tried are added, as `+ PART`.
    """
    recipe: list[str] = []
    best = BASELINE
    steps: dict[str, Gain] = {}
    for name in sorted((name for name in parts if alone[name].helps), key=lambda name: -alone[name].mean):
        if clash(recipe, parts[name]):
            continue
        tried = [*recipe, *parts[name]]
        label = f"+ {name}" if recipe else name
        if label not in measured:
            (measured[label],) = trainings.figures([tried])
        steps[name] = gain(measured[label], measured[best])
        if steps[name].helps:
            recipe, best = tried, label
    return recipe, steps


def gain(figures: Sequence[Figures], before: Sequence[Figures]) -> Gain:
    """Compare the validation accuracy of two recipes, seed by seed."""
    differences = [one["val_accuracy"] - other["val_accuracy"] for one, other in zip(figures, before, strict=True)]
    error = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    return Gain(statistics.mean(differences), error)


def clash(recipe: Iterable[str], part: Iterable[str]) -> bool:
    """Return whether a part sets what the recipe sets already: the same key, or the group of one."""
    keys = [typed.partition("=")[0] for typed in recipe]
    return any(
        one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
        for one in keys
        for other in (typed.partition("=")[0] for typed in part)
    )


if __name__ == "__main__":
    main()
