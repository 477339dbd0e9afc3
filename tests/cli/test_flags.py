"""Command lines that Hydra does not read."""

import pytest

from src.cli.flags import Flags
from src.errors import ConfigError


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["--port"], "argument --port: expected one argument; --help lists the flags"),
        (["--prot", "5001"], "unrecognized arguments: --prot 5001; --help lists the flags"),
        (["--port", "many"], "argument --port: invalid int value: 'many'; --help lists the flags"),
    ],
)
def test_a_mistake_is_an_error_that_says_how_to_list_the_flags(
    typed: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = Flags(prog="sweep")
    parser.add_argument("--port", type=int)
    with pytest.raises(ConfigError) as caught:
        parser.parse_args(typed)
    assert str(caught.value) == sentence
    assert capsys.readouterr() == ("", "")  # what was typed may be a password
