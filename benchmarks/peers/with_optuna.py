"""The search in a plain Optuna script with the MLflowCallback of optuna-integration.

python -m benchmarks.peers.with_optuna TRIALS EPOCHS [heartbeat]     in two terminals

Two processes share a study in SQLite, as in "Easy Parallelization" of Optuna's documentation, and MaxTrialsCallback
ends both. `heartbeat` lets Optuna find trials of dead processes and try them again, as in its page on RDBStorage. The
documented minute between two heartbeats is longer than such a trial, so it is a second here.
"""

import sys
from typing import Any

import keras
import mlflow
import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState
from optuna_integration.mlflow import MLflowCallback

from benchmarks.peers import lenot

TRIALS, EPOCHS = int(sys.argv[1]), int(sys.argv[2])


def objective(trial: optuna.Trial) -> float:
    values: dict[str, Any] = {
        "filters_0": trial.suggest_int("filters_0", *lenot.FILTERS_0),
        "filters_1": trial.suggest_int("filters_1", *lenot.FILTERS_1),
        "kernel_size_0": trial.suggest_categorical("kernel_size_0", lenot.KERNEL_SIZES),
        "kernel_size_1": trial.suggest_categorical("kernel_size_1", lenot.KERNEL_SIZES),
        "dropout": trial.suggest_float("dropout", *lenot.DROPOUT),
        "learning_rate": trial.suggest_float("learning_rate", *lenot.LEARNING_RATE, log=True),
    }
    with lenot.noted(values):
        keras.backend.clear_session()
        epochs = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: mlflow.log_metrics(logs, step=epoch))
        history = lenot.build(values).fit(**images, epochs=EPOCHS, verbose=0, callbacks=[epochs])
    return max(history.history["val_accuracy"])


images = lenot.load_images()
mlflow.set_tracking_uri(lenot.TRACKING)
mlflow.set_experiment(lenot.NAME)
if "heartbeat" in sys.argv:
    retry = RetryHeartbeatStaleTrialCallback(max_retry=3)
    storage = RDBStorage(lenot.STORAGE, heartbeat_interval=1, grace_period=10, heartbeat_stale_trial_callback=retry)
else:
    storage = RDBStorage(lenot.STORAGE)
study = optuna.load_study(study_name=lenot.NAME, storage=storage, sampler=optuna.samplers.RandomSampler())
enough = MaxTrialsCallback(TRIALS, states=(TrialState.COMPLETE,))
callback = MLflowCallback(lenot.TRACKING, "val_accuracy", create_experiment=False)
study.optimize(callback.track_in_mlflow()(objective), callbacks=[callback, enough])
print(study.best_value, study.best_params)
