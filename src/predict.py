"""What a tracked model says of images that nobody has labelled.

python -m src.predict run_id=RUN images=FOLDER output=predictions.csv
python -m src.predict model_uri=models:/NAME@champion images=FOLDER
python -m src.predict run_id=RUN images=pixels.csv
"""

from src import console, datasets, fitting, tracking
from src.cli.command import entry_point
from src.cli.compose import config_from_dict
from src.errors import ConfigError, DataError
from src.places import local_path
from src.results import PredictionResult
from src.schema import PredictConfig
from src.tables import csv_line
from src.tracked import load_tracked_model
from src.writing import replacing

SHOWN = 5  # bad files that are named in the terminal


def predict(config: PredictConfig) -> PredictionResult:
    """Writes a CSV file with the class of each image and all probabilities.

    Files are read as the model's training read its own: same size, same colours, cropped, padded or stretched alike.

    Raises:
        StoreError: no such run or model.
        ModelFileError: the model's files are missing or altered.
        DataError: no images, rows that are not pixels, or bad files with `on_bad_image=error`.
    """
    source, output = local_path(config.images), local_path(config.output)
    if output.exists() and source.is_file() and output.samefile(source):
        raise ConfigError(f"output: {output} is the file of the images, which would be lost; name another")
    if output.is_dir():
        raise ConfigError(f"output: {output} is a folder; give a file, such as {output / 'predictions.csv'}")
    with tracking.resume_run(config.tracking, run_id=config.run_id, model_uri=config.model_uri) as run:
        trained = config_from_dict(run.read_config()).dataset
        found = datasets.read_unlabeled(source, trained.input_shape, trained.resize_mode, config.batch_size)
        model = load_tracked_model(run, config.model_uri)
    classes, bad_files, counts = trained.class_names, [], dict.fromkeys(trained.class_names, 0)
    try:
        with (
            replacing(output) as part,
            part.open("w", newline="", encoding="utf-8") as file,
            console.progress("images", found.total) as advance,
        ):
            file.write(csv_line(("image", "predicted", "score", *classes)))
            for names, images, bad in found.batches:
                if bad and config.on_bad_image == "error":
                    raise DataError(f"{bad[0].path}: {bad[0].reason}; leave it out, or pass over it: on_bad_image=skip")
                bad_files += bad
                for name, answer in zip(names, fitting.probabilities(model, images), strict=True):
                    best = int(answer.argmax())
                    counts[classes[best]] += 1
                    scores = (f"{score:.6f}" for score in answer)
                    file.write(csv_line((name, classes[best], f"{answer[best]:.6f}", *scores)))
                advance(len(names) + len(bad))
            if not bad_files and not any(counts.values()):
                raise DataError(f"there is no row of pixels in {source}")
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror or error}; name another file: output=") from error
    return PredictionResult(output=str(output), counts=counts, bad_files=[(bad.path, bad.reason) for bad in bad_files])


@entry_point("predict")
def main(config: PredictConfig, overrides: list[str]) -> None:
    """Predicts, then says how many images are of which class, and what was passed over."""
    result = predict(config)

    total = sum(result.counts.values())
    rows = [(name, f"{count:,}") for name, count in result.counts.items() if count]
    console.table(f"{total:,} images", ("predicted", "images"), rows)
    if result.bad_files:
        first = "; ".join(f"{path}: {reason}" for path, reason in result.bad_files[:SHOWN])
        more = "; ..." if len(result.bad_files) > SHOWN else ""
        console.say(f"{len(result.bad_files)} files are no usable images and were passed over: {first}{more}")
    console.say(f"probabilities of each: {result.output}")


if __name__ == "__main__":
    main()
