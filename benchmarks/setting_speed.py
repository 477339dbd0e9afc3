"""The time of an epoch with augmentation, regularization and other settings, compared with an epoch without any.

python -m benchmarks.setting_speed                              all settings
python -m benchmarks.setting_speed none rand_augment mixup      only these

LeNot on 10,000 images of MNIST, in one process. The contestants train in turn, and all have the same seed. The seconds
are those of the fastest epoch after the first, which compiles: other programs only make epochs slower.
"""

from pathlib import Path

from benchmarks.measuring import Figures, arguments, chosen, in_turn, keep, positive, ratio, ready

EPOCHS = 4
IMAGES = 10_000
NONE = "none"
SETTINGS = {
    NONE: "",
    "light": "augmentation=light",
    "digits": "augmentation=digits",
    "rand_augment": "augmentation=rand_augment",
    "erasing": "augmentation.erasing=0.25",
    "mixup": "augmentation.mixup=0.2",
    "cutmix": "augmentation.cutmix=1",
    "label_smoothing": "loss.label_smoothing=0.1",
    "focal": "loss=focal",
    "class_weights": "training.class_weights=balanced",
    "l2": "optimizer.l2=1e-4",
    "weight_decay": "optimizer.weight_decay=0.004",
    "clipnorm": "optimizer.clipnorm=1",
    "ema": "optimizer.ema_momentum=0.99",
    "accumulation": "optimizer.gradient_accumulation_steps=4",
    "one_cycle": "schedule=one_cycle",
}


def main() -> None:
    parser = arguments(__doc__, list(SETTINGS), repetitions=5)
    parser.add_argument("--epochs", type=positive, default=EPOCHS)
    options = parser.parse_args()
    named = chosen(options, list(SETTINGS))
    ready(named)
    contestants = {name: lambda folder, name=name: trained(folder, SETTINGS[name], options.epochs) for name in SETTINGS}
    measured = in_turn(contestants, options.repeat, named)
    others = [name for name in measured if name != NONE and NONE in measured]
    ratios = {f"{name} / {NONE}": ratio(measured, name, NONE, "epoch_seconds") for name in others}
    keep("setting_speed", measured, options.publish, epochs=options.epochs, images=IMAGES, ratios=ratios)


def trained(folder: Path, typed: str, epochs: int) -> Figures:
    """Train LeNot in this process, with a setting as it is typed, and return the seconds of an epoch."""
    from src import datasets, fitting, models
    from src.cli.compose import compose_config

    settings = ["dataset.source=full", f"dataset.limit={IMAGES}", f"training.epochs={epochs}"]
    config = compose_config(["~local", *settings, *([typed] if typed else [])])
    fitting.start_tensorflow(config)
    dataset = datasets.load_dataset(config.dataset)
    fitting.seed_everything(config.seed)
    model = models.build_model(config.model, dataset.input_shape, len(dataset.class_names))
    fitting.compile_model(model, config, -(-len(dataset.train) // config.training.batch_size))
    seconds = fitting.fit(model, dataset, config).history["epoch_seconds"]
    return {"epoch_seconds": min(seconds[1:] or seconds)}


if __name__ == "__main__":
    main()
