"""convlab: tracked, swept, reproducible convolutional networks."""

from src.process.environment import prepare_environment
from src.process.failures import redact_failures
from src.process.imports import collect_garbage_less_often

prepare_environment()  # before any library is imported
redact_failures()
collect_garbage_less_often()
