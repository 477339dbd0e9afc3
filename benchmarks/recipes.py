"""How accurate the recipes and the small networks are, with seeds 1, 2 and 3, as whole processes.

python -m benchmarks.recipes                       all but fashion_cnn, which takes 20 to 35 minutes a seed
python -m benchmarks.recipes lenot_mnist --repeat 1
python -m benchmarks.recipes lenot_mnist fashion_cnn

A recipe is `experiment=NAME`; a network without one is trained on the full MNIST as it comes.
"""

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import TRAIN, Failed, Figures, arguments, chosen, in_turn, keep, ready, run

PUBLISHED = {"lenot_mnist": 0.9911, "cnn_mnist_v1": 0.9891, "cnn_mnist_v2": 0.9921, "fashion_cnn": 0.92}
NETWORKS = ("dense", "lenet5", "cnn_64_64")
LONG = ("fashion_cnn",)


def main() -> None:
    names = [*PUBLISHED, *NETWORKS]
    options = arguments(__doc__, names, repetitions=3).parse_args()
    seeds = dict.fromkeys(names, 0)

    def contestant(name: str) -> Callable[[Path], Figures]:
        typed = [f"experiment={name}"] if name in PUBLISHED else [f"model={name}", "dataset.source=full"]

        def measure(folder: Path) -> Figures:
            seeds[name] += 1
            done = run([*TRAIN, *typed, f"seed={seeds[name]}"], folder)
            found = re.search(r"test_accuracy ([01]\.\d+)", done.output)
            if found is None:
                raise Failed(f"no test accuracy in what it printed:\n{done.output[-3000:]}")
            return {"test_accuracy": float(found[1]), "minutes": done.seconds / 60}

        return measure

    named = chosen(options, names) if options.contestants else [name for name in names if name not in LONG]
    ready(named)
    measured = in_turn({name: contestant(name) for name in names}, options.repeat, named)
    keep("recipes", measured, options.publish, published=PUBLISHED)


if __name__ == "__main__":
    main()
