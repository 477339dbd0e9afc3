"""Look at a data set before training: classes, files, copies within and across splits, images with two labels.

python -m src.check_data dataset=image_folder dataset.folder=pets
python -m src.check_data dataset=mnist strict=true
python -m src.check_data run_id=RUN

With `run_id`, labels that the run's model contradicts with confidence are listed instead.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from src import console, datasets, reports
from src.cli.command import entry_point
from src.errors import ConfigError, DataError
from src.places import check_output_folder, local_path
from src.results import short_name
from src.schema import CheckDataConfig, DatasetConfig, PicturesConfig

MAX_ROWS = 20  # of a table in the terminal
MAX_CELL = 44  # characters
MANY = 20_000  # images; comparing more takes so long that a message says so


def check_data(config: CheckDataConfig) -> reports.DataCheck:
    """Look at the data set of the config, and write the report into `config.output`.

    Raises:
        DataError: the data is missing or wrong, or the report cannot be written.
    """
    datasets.check_dataset(config.dataset)
    dataset = datasets.load_dataset(
        without_refusing(config.dataset), lister=lambda table: f"{config.output}/{table} lists them"
    )
    count = len(dataset.train) + len(dataset.validation or ()) + len(dataset.test)
    if count > MANY:
        console.say(f"comparing {count:,} images, which may take a minute or more; a lower dataset.limit takes fewer")
    check = reports.check_dataset_contents(dataset, datasets.read_headers(config.dataset))
    reports.write_report(check.report, local_path(config.output))
    return check


def without_refusing(config: DatasetConfig) -> DatasetConfig:
    """Return the config of the same data set, in which bad files are skipped even if a training would refuse them."""
    if isinstance(config, PicturesConfig) and config.on_bad_image == "error":
        return replace(config, on_bad_image="skip")
    return config


def check_labels(config: CheckDataConfig) -> reports.DataReport:
    """Find the labels that the model of `config.run_id` contradicts, and write the report into `config.output`.

    Raises:
        ConfigError: the run has no validation split.
        DataError: the data cannot be found, is not what the run was trained on, or the report cannot be written.
        StoreError: the run does not exist, or keeps neither out-of-fold probabilities nor a model.
    """
    assert config.run_id is not None
    predicted = reports.read_predicted(config.tracking, config.run_id, config.data_dir)
    report = reports.check_labels(predicted, config.run_id)
    reports.write_report(report, local_path(config.output))
    return report


def check_output(config: CheckDataConfig) -> None:
    """Raise ConfigError for an output folder that cannot be written or is inside the data set."""
    check_output_folder(local_path(config.output), "output")
    if config.run_id is None:
        datasets.check_outside(config.dataset, config.output)


def say_report(report: reports.DataReport, folder: Path) -> None:
    """Print the title, the tables and the warnings of a report."""
    console.say(report.title)
    for section in report.sections:
        console.say(section.title + (f": {section.note}" if section.note else ""))
        if not section.columns:
            continue
        rows = [tuple(short_name(cell, MAX_CELL) for cell in row) for row in section.rows[:MAX_ROWS]]
        console.table("", section.columns, rows)
        if len(section.rows) > len(rows):
            console.say(f"{len(section.rows) - len(rows):,} more rows are in {folder / (section.file or report.page)}")
    console.warn(report.warnings)


@entry_point("check_data")
def main(config: CheckDataConfig, overrides: list[str]) -> None:
    """Look at the data, print what is in it, and fail with `strict=true` if a leak or a conflict was found."""
    check_output(config)
    if config.run_id is not None:
        if typed := [override for override in overrides if override.startswith("dataset")]:
            raise ConfigError(f"run_id={config.run_id}: the run has its own data set; remove `{typed[0]}`")
        report = check_labels(config)
        say_report(report, local_path(config.output))
        console.say(f"report: {local_path(config.output) / report.page}")
        return
    if typed := [override for override in overrides if override.startswith("data_dir=")]:
        raise ConfigError(f"{typed[0]}: it names the data of a run, and run_id is not set; use dataset.data_dir=FOLDER")
    check = check_data(config)
    page = local_path(config.output) / check.report.page
    say_report(check.report, page.parent)
    if config.strict and (check.leaks or check.conflicts):
        raise DataError(
            f"strict=true: pairs of equal or nearly equal images: {check.leaks:,} in two splits, "
            f"{check.conflicts:,} with two labels; {page} shows them"
        )
    console.say(f"report: {page}")


if __name__ == "__main__":
    main()
