"""Make a picture with the content of one picture and the style of another (neural style transfer).

python -m src.style run_id=RUN content=FILE style=FILE
python -m src.style run_id=RUN content=FILE style=FILE style_weight=10 method=lbfgs
python -m src.style resume=RUN
"""

from __future__ import annotations

from collections.abc import Sequence

from src import art, console
from src.cli.command import entry_point
from src.places import local_path
from src.results import ArtResult
from src.schema import StyleConfig


def style(config: StyleConfig, overrides: Sequence[str] = ()) -> ArtResult:
    """Make the picture in a run of its own, and write it into the file `config.output`.

    Raises:
        UserError: the run, its network or the pictures cannot be used; the message says what to do.
    """
    return art.make_picture(config, lambda model, settings: art.StyleTransfer(model, settings), "style", overrides)


@entry_point("style")
def main(config: StyleConfig, overrides: list[str]) -> None:
    """Make the picture, then print where it is."""
    result = style(config, overrides)

    console.say(f"picture: {local_path(result.output)} ({result.height}x{result.width})")
    if result.run_id:
        console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
