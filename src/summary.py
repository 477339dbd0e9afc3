"""Print the layers of a network with their sizes and parameters, without training it.

python -m src.summary model=lenet5
"""

from src import console, datasets, fitting, models
from src.cli.command import entry_point
from src.schema import SummaryConfig


@entry_point("summary", only_prints=True)
def main(config: SummaryConfig, overrides: list[str]) -> None:
    """Print the layer arithmetic."""
    num_classes = len(datasets.class_names_of(config.dataset))
    with fitting.explain_out_of_memory(batch_size=1):
        model = models.build_model(config.model, config.dataset.input_shape, num_classes)
    rows = models.layer_table(model)
    height, width, channels = config.dataset.input_shape
    images = f"{height}x{width}x{channels} images, {num_classes} classes"
    console.say(f"{config.model.name} on {images}: {sum(row.parameters for row in rows):,} parameters")
    console.table("", models.LAYER_COLUMNS, [row.cells() for row in rows])


if __name__ == "__main__":
    main()
