"""The time that all metrics of the validation split add to an epoch, compared with accuracy alone.

python -m benchmarks.metrics_overhead

    accuracy    training.metrics=[accuracy], the default
    all         every metric of the table

LeNot on the full MNIST, in one process. The contestants train in turn, and all have the same seed. An epoch includes
its validation. Its seconds are those of the fastest epoch but the first, which compiles: other programs only make
epochs slower. `metrics_ms` is the time of one computation of the metrics from the probabilities.
"""

import time
from pathlib import Path

from benchmarks.measuring import Figures, arguments, chosen, in_turn, keep, positive, ratio, ready

EPOCHS = 5
NAMES = ("accuracy", "all")


def main() -> None:
    parser = arguments(__doc__, NAMES, repetitions=10)
    parser.add_argument("--epochs", type=positive, default=EPOCHS)
    options = parser.parse_args()
    named = chosen(options, NAMES)
    ready(named)
    contestants = {
        "accuracy": lambda folder: trained(folder, "accuracy", options.epochs),
        "all": lambda folder: trained(folder, "all", options.epochs),
    }
    measured = in_turn(contestants, options.repeat, named)
    ratios = {"all / accuracy": ratio(measured, "all", "accuracy", "epoch_seconds")} if len(measured) == 2 else {}
    keep("metrics_overhead", measured, options.publish, epochs=options.epochs, ratios=ratios)


def trained(folder: Path, name: str, epochs: int) -> Figures:
    """Train LeNot in this process."""
    from src import datasets, fitting, models
    from src.cli.compose import compose_config
    from src.fitting.metrics import metrics_of
    from src.schema import METRICS

    names = ",".join(METRICS if name == "all" else ["accuracy"])
    settings = ["dataset.source=full", f"training.epochs={epochs}", f"training.metrics=[{names}]"]
    config = compose_config(["~local", *settings])
    fitting.start_tensorflow(config)
    dataset = datasets.load_dataset(config.dataset)
    assert dataset.validation is not None
    fitting.seed_everything(config.seed)
    model = models.build_model(config.model, dataset.input_shape, len(dataset.class_names))
    fitting.compile_model(model, config, -(-len(dataset.train) // config.training.batch_size))
    seconds = fitting.fit(model, dataset, config).history["epoch_seconds"]
    probabilities = fitting.probabilities(model, dataset.validation.images)
    start = time.perf_counter()
    metrics_of(dataset.validation.labels, probabilities, config.loss, config.training.recorded)
    return {
        "epoch_seconds": min(seconds[1:] or seconds),
        "metrics_ms": 1000 * (time.perf_counter() - start),
    }


if __name__ == "__main__":
    main()
