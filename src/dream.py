"""Change a picture until layers of a trained network are strongly active (DeepDream).

python -m src.dream run_id=RUN image=FILE
python -m src.dream run_id=RUN image=FILE 'layers={conv_1: 1}' steps=40
python -m src.dream resume=RUN

Without an image it begins with noise.
"""

from __future__ import annotations

from collections.abc import Sequence

from src import art, console
from src.cli.command import entry_point
from src.places import local_path
from src.results import ArtResult
from src.schema import DreamConfig


def dream(config: DreamConfig, overrides: Sequence[str] = ()) -> ArtResult:
    """Make the picture in a run of its own, and write it into the file `config.output`.

    Raises:
        UserError: the run, its network or the picture cannot be used; the message says what to do.
    """
    return art.make_picture(config, lambda model, settings: art.Dream(model, settings), "dream", overrides)


@entry_point("dream")
def main(config: DreamConfig, overrides: list[str]) -> None:
    """Make the picture, then print where it is."""
    result = dream(config, overrides)

    console.say(f"picture: {local_path(result.output)} ({result.height}x{result.width})")
    if result.run_id:
        console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
