"""convlab: tracked, swept, reproducible convolutional networks.

The libraries below read these switches once, when they are first imported, so they are set here, before any room
can import one. A value that is already in the environment wins, unless it is empty.
"""

import os

from src.places import tidy_environment
from src.process.interrupt import exit_on_ctrl_c

DEFAULTS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # its errors come as Python exceptions too
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the commands say themselves where to look
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own default stays silent for four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

exit_on_ctrl_c()
tidy_environment()
os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever else this machine uses Keras with

for name, value in DEFAULTS.items():
    os.environ.setdefault(name, value)
