"""Values as they are shown to people."""

MAX_NAME = 28  # characters of a name in a table or a title, which fit above a picture


def format_metric(value: float | None) -> str:
    """Return the value with four decimals, `-` when there is none."""
    return "-" if value is None else f"{value:.4f}"


def printable(text: str) -> str:
    """Return the text on one line, with a placeholder for each character that cannot be shown, such as a line break."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def short_name(name: str, length: int = MAX_NAME) -> str:
    """Return a name that fits on one line; of a long one only the end is shown, where the names of files differ."""
    shown = printable(name)
    return shown if len(shown) <= length else "\N{HORIZONTAL ELLIPSIS}" + shown[1 - length :]
