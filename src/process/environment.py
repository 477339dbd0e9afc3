"""Environment variables that the libraries read when they are first imported."""

import logging
import os
import re
import sys
import warnings

from src.places import tidy_environment

DEFAULTS = {  # a value that is already in the environment wins, unless it is empty
    "TF_CPP_MIN_LOG_LEVEL": "3",  # its errors come as Python exceptions too
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the commands print addresses themselves
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own default stays silent for four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

OTHERS = (  # settings that programs leave behind for their own runs; here they end a command or change what is stored
    "MLFLOW_ACTIVE_MODEL_ID",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_RUN_ID",
    "TF_USE_LEGACY_KERAS",  # Keras 2 is another package
)


def prepare_environment() -> None:
    """Set the variables that the libraries read, so that the settings of other programs do not matter."""
    tidy_environment()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    for name in OTHERS:
        os.environ.pop(name, None)
    if os.environ.get("MLFLOW_LOGGING_LEVEL", "INFO").upper() not in logging.getLevelNamesMapping():
        del os.environ["MLFLOW_LOGGING_LEVEL"]  # MLflow cannot be imported with another value
    for name in ("COLUMNS", "LINES"):  # the size of the terminal; 0 lets rich print nothing
        if not re.fullmatch("0*[1-9][0-9]*", os.environ.get(name, "1")):
            del os.environ[name]
    if "IPython" not in sys.modules:  # a notebook draws in its own window; a command that it starts writes files
        os.environ["MPLBACKEND"] = "agg"
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if "error" in os.environ.get("PYTHONWARNINGS", ""):  # the libraries' own warnings would end every command
        del os.environ["PYTHONWARNINGS"]
        warnings.filters[:] = [entry for entry in warnings.filters if entry[0] != "error"]  # type: ignore[index]
        warnings.simplefilter("default", append=True)
