"""The time of an epoch with the stored features of a frozen backbone, and with the backbone run for every batch.

python -m benchmarks.transfer_speed                      2,000 synthetic images, MobileNetV2, 3 epochs
python -m benchmarks.transfer_speed --images 500 --backbone VGG16

    cached      this project: the backbone is run once for each image, within the first epoch
    every epoch the same model and the same data through `model.fit`

The weights are random, which takes as long as others. Both run in one process, in turn.
"""

import statistics

from benchmarks.measuring import Figures, arguments, chosen, keep, positive, ratio
from src.cli.compose import compose_config

EPOCHS = 3
NAMES = ("cached", "every epoch")


def main() -> None:
    parser = arguments(__doc__, NAMES, repetitions=3)
    parser.add_argument("--images", type=positive, default=2_000)
    parser.add_argument("--backbone", default="MobileNetV2")
    options = parser.parse_args()

    from src import fitting
    from src.datasets import load_dataset
    from src.fitting.epochs import fit_epochs
    from src.fitting.watch import Watch
    from src.models import build_model

    config = compose_config(
        [
            "~local",
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
    measured: dict[str, list[Figures]] = {name: [] for name in chosen(options, NAMES)}
    for repetition in range(1, options.repeat + 1):
        for name, found in measured.items():
            fitting.seed_everything(config.seed)
            model = build_model(config.model, dataset.input_shape, len(dataset.class_names))
            fitting.compile_model(model, config, batches)
            if name == "cached":
                fitted = fitting.fit(model, dataset, config)
            else:
                fitted = fit_epochs(model, dataset, config, Watch(model, (), None, len(dataset.train), config))
            first, *later = fitted.history["epoch_seconds"]
            found.append({"first_epoch_seconds": first, "epoch_seconds": statistics.median(later)})
            print(f"{repetition}/{options.repeat}  {name:<12} {found[-1]}", flush=True)
    ratios = {}
    if len(measured) == len(NAMES):
        for figure in ("first_epoch_seconds", "epoch_seconds"):
            ratios[f"{figure} of cached / every epoch"] = ratio(measured, "cached", "every epoch", figure)
    more = {"images": options.images, "backbone": options.backbone, "ratios": ratios}
    keep("transfer_speed", measured, options.publish, **more)


if __name__ == "__main__":
    main()
