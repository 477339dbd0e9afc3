"""Suggest a learning rate, from a short training in which the rate grows with each batch.

python -m src.find_lr model=lenot optimizer=adam
python -m src.find_lr model=lenot optimizer=sgd min_lr=1e-5 max_lr=100 steps=400
"""

from __future__ import annotations

from src import console, datasets, figures, fitting, links
from src.cli.command import entry_point
from src.errors import DataError, UserError
from src.learning_rates import FIRST, RangeTest
from src.places import check_output_folder, local_path
from src.schema import FindLrConfig, for_training
from src.tables import csv_line
from src.train import prepare_model
from src.writing import replacing

PICTURE, TABLE = "learning_rates.png", "learning_rates.csv"
COLUMNS = ("learning_rate", "loss", "average")
KEY = "optimizer.learning_rate"


def find_lr(config: FindLrConfig) -> RangeTest:
    """Train a batch with each learning rate from `min_lr` to `max_lr`, until the loss diverges.

    A picture and a table of the losses are written into the folder `output`. Nothing is recorded in a store.

    Raises:
        ConfigError: the folder cannot be written or is inside the data set, or there are too few devices.
        DataError: the data cannot be found or read, or the files cannot be written.
        NotEnoughMemory: the batches do not fit into memory.
        TrainingDiverged: the loss of the first batch is not a finite number.
    """
    fitting.check_devices(config)
    datasets.check_dataset(config.dataset)
    check_output_folder(local_path(config.output), "output")
    datasets.check_outside(config.dataset, config.output)
    dataset = datasets.load_dataset(config.dataset, lister=lambda _: "python -m src.check_data lists them")
    if config.training.max_batches is not None:
        dataset = dataset.head(config.training.max_batches * config.training.batch_size)
    console.warn(dataset.warnings)
    tested = config.without_schedule()
    model = prepare_model(tested, dataset)
    with console.progress("batches", config.steps) as advance:
        found = fitting.range_test(model, dataset, tested, config.rates, advance)
    save(found, config)
    return found


def save(found: RangeTest, config: FindLrConfig) -> None:
    """Write the picture and the table; raise DataError if the folder cannot be written."""
    folder, title = local_path(config.output), f"{config.model.name} on {config.dataset.name}, {config.optimizer.name}"
    rows = zip(found.rates, found.losses, found.smoothed, strict=True)
    lines = [csv_line(COLUMNS), *(csv_line(tuple(f"{value:.6g}" for value in row)) for row in rows)]
    try:
        with replacing(folder / PICTURE) as part:
            figures.plot_range_test(found, title).savefig(part, format="png")
        with replacing(folder / TABLE) as part:
            part.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}; name another output=") from error


def notes(found: RangeTest, config: FindLrConfig) -> list[str]:
    """Return what a reader of the suggestion should know."""
    said = []
    if config.schedule.kind != "none":
        said.append(f"schedule={config.schedule.kind} was not used: the test sets the learning rate of each batch")
    if len(found.rates) == config.steps and found.best > 0.95 * config.steps:
        said.append(f"the loss still fell at max_lr={config.max_lr:g}, so a larger rate may be better: raise max_lr")
    return said


def training_command(config: FindLrConfig, overrides: list[str], rate: float) -> str:
    """Return the command that trains with a learning rate, and with everything else that was typed."""
    typed = [word for word in for_training(config, overrides) if word.lstrip("+").partition("=")[0] != KEY]
    return links.train_command(*typed, f"{KEY}={rate:.2g}")


@entry_point("find_lr")
def main(config: FindLrConfig, overrides: list[str]) -> None:
    """Run the test, then print the suggestion and the command that trains with it."""
    found = find_lr(config)

    last, folder = found.rates[-1], local_path(config.output)
    end = "until the loss diverged" if len(found.rates) < config.steps else "the whole range"
    console.say(f"{len(found.rates)} batches with learning rates from {config.min_lr:g} to {last:.2g} ({end})")
    for note in notes(found, config):
        console.say(note)
    console.say(f"picture and table: {folder / PICTURE}, {folder / TABLE}")
    if found.suggestion is None:
        remedy = "use more steps, other limits, or another network or optimizer"
        if len(found.rates) < config.steps and found.best < FIRST:
            remedy = "use a smaller min_lr"
        raise UserError(
            f"the loss did not fall at any learning rate from {config.min_lr:g} to {last:.2g}, so there is nothing to "
            f"suggest; {remedy}"
        )
    where = f"half of {found.rates[found.best]:.2g}, where the average loss was smallest"
    console.say(f"suggested learning rate: {found.suggestion:.2g} ({where})")
    console.say(training_command(config, overrides, found.suggestion))


if __name__ == "__main__":
    main()
