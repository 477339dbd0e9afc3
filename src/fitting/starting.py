"""Starting TensorFlow. This module does not import it, because some settings must come first."""

from __future__ import annotations

import os
import sys

from src import fitting
from src.fitting.dividing import divides_batches
from src.process.gpus import check_cluster, check_count
from src.process.imports import one_thread_per_operation
from src.process.lazy import import_now
from src.schema import Config


def check_devices(config: Config) -> None:
    """Check what is known of the devices before TensorFlow is imported; TensorFlow itself may find fewer.

    Raises:
        ConfigError: there are fewer GPUs than `training.devices`, CUDA_VISIBLE_DEVICES is not a list of GPUs, or the
            environment asks for a training on several machines.
    """
    check_cluster(os.environ)
    if "tensorflow" not in sys.modules:
        check_count(config.training.num_devices, os.environ)


def start_tensorflow(*configs: Config) -> None:
    """Start TensorFlow with the number of threads that suits these trainings, unless it has been imported already.

    If all trainings divide their batches among the cores (see `src.fitting.parts`), each operation gets one thread.
    TensorFlow reads that number once, so a process that trains several networks passes all their configs at first.
    """
    if all(divides_batches(config) for config in configs):
        one_thread_per_operation()
    import_now(fitting)
