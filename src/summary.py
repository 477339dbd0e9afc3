"""The layers of a network, their sizes and parameters, without training it.

python -m src.summary model=lenet5
"""

from src import console, datasets, fitting, models
from src.cli.command import entry_point
from src.schema import SummaryConfig


@entry_point("summary")
def main(config: SummaryConfig, overrides: list[str]) -> None:
    """Prints the layer arithmetic."""
    num_classes = len(datasets.class_names_of(config.dataset))
    with fitting.advice_when_full(batch_size=1):
        model = models.build_model(config.model, config.dataset.input_shape, num_classes)
    rows = models.layer_table(model)
    height, width, channels = config.dataset.input_shape
    console.table(
        f"{config.model.name} on {height}x{width}x{channels} images, {num_classes} classes",
        models.LAYER_COLUMNS,
        [row.cells() for row in rows],
    )
    console.say(f"{sum(row.parameters for row in rows):,} parameters")


if __name__ == "__main__":
    main()
