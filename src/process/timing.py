"""The time that a call takes."""

import statistics
import time
from collections.abc import Callable

WARM_UPS = 3  # calls before the clock starts: the first ones compile and allocate memory
CALLS = 30


def median_seconds(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes: the median of 30, after a few that are not counted.

    Args:
        call: returns when its result can be read; a result on a device has to be converted to an array.
    """
    seconds = []
    for _ in range(WARM_UPS + CALLS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[WARM_UPS:])
