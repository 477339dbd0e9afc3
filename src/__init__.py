"""convlab: tracked, swept, reproducible convolutional networks."""

from src.process.failures import redact_failures

redact_failures()  # first: from here on Ctrl-C ends a command with a sentence

from src.process.environment import prepare_environment  # noqa: E402
from src.process.imports import OBJECTS_AT_START, collect_garbage_less_often  # noqa: E402

prepare_environment()  # before any library is imported
collect_garbage_less_often(OBJECTS_AT_START)
