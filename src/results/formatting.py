"""Values as they are shown to people."""

from collections.abc import Mapping

from src.results.commands import Calibration, Interval

MAX_NAME = 28  # characters of a name in a table or a title, which fit above a picture
MEGABYTE = 10**6  # bytes, of files and requests


def format_metric(value: float | None) -> str:
    """Return the value with four decimals, `-` when there is none."""
    return "-" if value is None else f"{value:.4f}"


def format_scores(metrics: Mapping[str, float], intervals: Mapping[str, Interval]) -> str:
    """Return test metrics on one line, each with its interval in parentheses if it has one."""
    shown = "  ".join(f"{name} {format_score(value, intervals.get(name))}" for name, value in metrics.items())
    return f"{shown}  in parentheses: 95 % intervals" if intervals else shown


def format_score(value: float, interval: Interval | None) -> str:
    """Return a metric, with its interval in parentheses if it has one: `0.9870 (0.9846-0.9890)`."""
    return f"{value:.4f}" if interval is None else f"{value:.4f} ({format_interval(interval)})"


def format_interval(interval: Interval | None) -> str:
    """Return the interval as `0.9846-0.9890`, `-` when there is none."""
    return "-" if interval is None else f"{interval.low:.4f}-{interval.high:.4f}"


def format_calibration(calibration: Calibration) -> str:
    """Return the calibration error of a model, and that with its temperature if it has one."""
    if calibration.temperature is None:
        return f"calibration error {calibration.error:.4f} (no temperature, because the run has no validation split)"
    return (
        f"calibration error {calibration.error:.4f}, with temperature {calibration.temperature:.2f}: "
        f"{format_metric(calibration.calibrated_error)}"
    )


def printable(text: str) -> str:
    """Return the text on one line, with a placeholder for each character that cannot be shown, such as a line break."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def short_name(name: str, length: int = MAX_NAME) -> str:
    """Return a name that fits on one line; of a long one only the end is shown, where the names of files differ."""
    shown = printable(name)
    return shown if len(shown) <= length else "\N{HORIZONTAL ELLIPSIS}" + shown[1 - length :]
