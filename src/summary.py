"""The layers of a network, their sizes and parameters, without training it.

python -m src.summary model=lenet5
"""

from src.cli.command import entry_point
from src.process.imports import heavy_imports
from src.schema import SummaryConfig


@entry_point("summary")
def main(config: SummaryConfig, overrides: list[str]) -> None:
    """Prints the layer arithmetic."""
    from src import console

    with heavy_imports():
        from src import fitting
        from src.datasets import class_names_of
        from src.models import build_model
        from src.models.arithmetic import COLUMNS, layer_table

        fitting.prepare_devices()

    num_classes = len(class_names_of(config.dataset))
    with fitting.advice_when_full(batch_size=1):
        model = build_model(config.model, config.dataset.input_shape, num_classes)
    rows = layer_table(model)
    height, width, channels = config.dataset.input_shape
    console.table(
        f"{config.model.name} on {height}x{width}x{channels} images, {num_classes} classes",
        COLUMNS,
        [row.cells() for row in rows],
    )
    console.say(f"{sum(row.parameters for row in rows):,} parameters")


if __name__ == "__main__":
    main()
