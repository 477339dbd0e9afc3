"""The search with KerasTuner, each trial in a run of its own with `mlflow.tensorflow.autolog()`.

python -m benchmarks.peers.with_keras_tuner TRIALS EPOCHS     in three terminals

The guide "Distributed hyperparameter tuning" has a chief and any number of workers. KERASTUNER_TUNER_ID names each
process. KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT are the chief's address. A trial that fails is tried again,
as in the guide "Handling failed trials".
"""

import sys
from typing import Any

import keras_tuner
import mlflow

from benchmarks.peers import lenot

TRIALS, EPOCHS = int(sys.argv[1]), int(sys.argv[2])


def build(hp: keras_tuner.HyperParameters) -> Any:
    hp.Int("filters_0", *lenot.FILTERS_0)
    hp.Int("filters_1", *lenot.FILTERS_1)
    hp.Choice("kernel_size_0", list(lenot.KERNEL_SIZES))
    hp.Choice("kernel_size_1", list(lenot.KERNEL_SIZES))
    hp.Float("dropout", *lenot.DROPOUT)
    hp.Float("learning_rate", *lenot.LEARNING_RATE, sampling="log")
    return lenot.build(hp.values)


class TrackedSearch(keras_tuner.RandomSearch):
    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        values = trial.hyperparameters.values
        with lenot.noted(values), mlflow.start_run(run_name=trial.trial_id):
            mlflow.log_params(values)
            return super().run_trial(trial, *args, **kwargs)


mlflow.set_tracking_uri(lenot.TRACKING)
mlflow.set_experiment(lenot.NAME)
mlflow.tensorflow.autolog(log_models=False, checkpoint=False)  # the tuner keeps the weights of each trial itself
tuner = TrackedSearch(
    build,
    objective="val_accuracy",
    max_trials=TRIALS,
    max_retries_per_trial=3,
    directory=lenot.FOLDER / "tuner",
    project_name=lenot.NAME,
)
tuner.search(**lenot.load_images(), epochs=EPOCHS, verbose=0)
print(tuner.get_best_hyperparameters()[0].values)
