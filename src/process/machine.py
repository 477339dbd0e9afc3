"""The machine that the process runs on."""

import math
import os
from pathlib import Path

THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")  # read when TensorFlow is imported
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: the microseconds that it gets of each period, or max


def cores() -> int:
    """Return how many cores this process may use, of the machine's and of its container's share."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text().split()
    except OSError:
        return count
    return count if quota == "max" else min(count, math.ceil(int(quota) / int(period)))
