"""How accurate the recipes are: `python -m src.train experiment=NAME` with seeds 1, 2 and 3, as whole processes.

python -m benchmarks.recipes
python -m benchmarks.recipes lenot_mnist --repeat 1
"""

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import Figures, arguments, chosen, in_turn, keep, run

PUBLISHED = {"lenot_mnist": 0.9911, "cnn_mnist_v1": 0.9891, "cnn_mnist_v2": 0.9921, "fashion_cnn": 0.92}


def main() -> None:
    options = arguments(__doc__, list(PUBLISHED), repetitions=3).parse_args()
    seeds = dict.fromkeys(PUBLISHED, 0)

    def recipe(name: str) -> Callable[[Path], Figures]:
        def measure(folder: Path) -> Figures:
            seeds[name] += 1
            done = run(["-m", "src.train", f"experiment={name}", f"seed={seeds[name]}"], folder)
            (accuracy,) = re.findall(r"test_accuracy (0\.\d+)", done.output)
            return {"test_accuracy": float(accuracy), "minutes": done.seconds / 60}

        return measure

    measured = in_turn({name: recipe(name) for name in PUBLISHED}, options.repeat, chosen(options, list(PUBLISHED)))
    keep("recipes", measured, published=PUBLISHED)


if __name__ == "__main__":
    main()
