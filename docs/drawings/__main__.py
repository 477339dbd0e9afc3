"""Draw the pictures of the documents that need no training.

python -m docs.drawings
"""

from pathlib import Path

from docs.drawings.copies import draw_copies, texts_of
from docs.drawings.edges import Edges, edges_data, edges_text, plot_edges
from src.datasets.digits import load_digits

IMAGES = Path(__file__).resolve().parents[2] / "docs/images"
EDGES = IMAGES / "edges.png"
COPIES = IMAGES / "data_check.png"
DIGIT = 4  # of the test split of the bundled digits


def edges_of_a_digit() -> Edges:
    """Return the example of docs/models.md."""
    return edges_data(load_digits([]).test_images[DIGIT])


def main() -> None:
    """Write `docs/images/edges.png` and `docs/images/data_check.png`."""
    data = edges_of_a_digit()
    plot_edges(data).savefig(EDGES, metadata={"Description": "\n".join(edges_text(data))})
    figure = draw_copies()
    figure.savefig(COPIES, metadata={"Description": texts_of(figure)})


if __name__ == "__main__":
    main()
