"""The test accuracy of the recipes and the small networks with seeds 1, 2 and 3, as whole processes.

python -m benchmarks.recipes                       all but fashion_cnn, which takes longest
python -m benchmarks.recipes lenot_mnist --repeat 1
python -m benchmarks.recipes fashion_cnn --add     keep the earlier results of the others in the file

A recipe is `experiment=NAME`. A network without one is trained on the full MNIST with default settings.
"""

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import TRAIN, Failed, Figures, arguments, chosen, in_turn, keep, kept_before, ready, run

PUBLISHED = {"lenot_mnist": 0.9911, "cnn_mnist_v1": 0.9891, "cnn_mnist_v2": 0.9921, "fashion_cnn": 0.92}
NETWORKS = ("dense", "lenet5", "cnn_64_64")
LONG = ("fashion_cnn",)


def main() -> None:
    names = [*PUBLISHED, *NETWORKS]
    parser = arguments(__doc__, names, repetitions=3)
    parser.add_argument("--add", action="store_true", help="keep the earlier results of the others in the file")
    options = parser.parse_args()
    before = kept_before("recipes", options.publish) if options.add else {}
    seeds = dict.fromkeys(names, 0)

    def contestant(name: str) -> Callable[[Path], Figures]:
        typed = [f"experiment={name}"] if name in PUBLISHED else [f"model={name}", "dataset.source=full"]

        def measure(folder: Path) -> Figures:
            seeds[name] += 1
            done = run([*TRAIN, *typed, f"seed={seeds[name]}"], folder)
            found = re.search(r"test_accuracy ([01]\.\d+)", done.output)
            if found is None:
                raise Failed(f"the output has no test accuracy:\n{done.output[-3000:]}")
            return {"test_accuracy": float(found[1]), "minutes": done.seconds / 60}

        return measure

    named = chosen(options, names) if options.contestants else [name for name in names if name not in LONG]
    ready(named)
    measured = before | in_turn({name: contestant(name) for name in names}, options.repeat, named)
    measured = {name: measured[name] for name in names if name in measured}
    whole = f"python -m benchmarks.recipes {' '.join(measured)}"  # what measures all of this at once
    keep("recipes", measured, options.publish, published=PUBLISHED, command=whole)


if __name__ == "__main__":
    main()
