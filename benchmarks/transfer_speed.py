"""How much faster an epoch is when a frozen backbone's features are kept than when it is run for every batch.

python -m benchmarks.transfer_speed                      2,000 synthetic images, MobileNetV2, 3 epochs
python -m benchmarks.transfer_speed --images 500 --backbone VGG16

    cached      this project: the backbone is run once for each image, within the first epoch
    every epoch the same model and the same data through `model.fit`

Random weights, which take as long as any others. Both in one process, one after the other, repeated.
"""

import argparse
import statistics

from src.compose import compose_config

EPOCHS, REPETITIONS = 3, 3


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--images", type=int, default=2_000)
    arguments.add_argument("--backbone", default="MobileNetV2")
    options = arguments.parse_args()

    from src import fitting
    from src.datasets import load_dataset
    from src.fitting.epochs import fit_epochs
    from src.fitting.watch import Watch
    from src.models import build_model

    config = compose_config(
        [
            "model=transfer",
            "model.weights=null",
            f"model.backbone={options.backbone}",
            "dataset=synthetic",
            f"dataset.train_size={options.images}",
            f"training.epochs={EPOCHS}",
        ]
    )
    dataset = load_dataset(config.dataset)
    batches = -(-len(dataset.train) // config.training.batch_size)
    seconds: dict[str, list[list[float]]] = {"cached": [], "every epoch": []}
    for _ in range(REPETITIONS):
        for name, rows in seconds.items():
            fitting.seed_everything(config.seed)
            model = build_model(config.model, dataset.input_shape, len(dataset.class_names))
            fitting.compile_model(model, config, batches)
            if name == "cached":
                fitted = fitting.fit(model, dataset, config)
            else:
                fitted = fit_epochs(model, dataset, config, Watch((), None, len(dataset.train), config))
            rows.append(fitted.history["epoch_seconds"])
            epochs = "  ".join(f"epoch {at} {took:6.2f} s" for at, took in enumerate(rows[-1], 1))
            print(f"{name:<12} {epochs}", flush=True)
    first, later = (
        {name: statistics.median(took for row in rows for took in row[part]) for name, rows in seconds.items()}
        for part in (slice(1), slice(1, None))
    )
    for what, medians in (("the first epoch", first), ("an epoch after the first", later)):
        ratio = medians["every epoch"] / medians["cached"]
        print(f"{what}: {medians['cached']:.3f} s cached, {medians['every epoch']:.3f} s otherwise, {ratio:.1f} times")


if __name__ == "__main__":
    main()
