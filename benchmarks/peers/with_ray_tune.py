"""The search with Ray Tune: OptunaSearch proposes the trials, MLflowLoggerCallback records them.

python -m benchmarks.peers.with_ray_tune TRIALS EPOCHS

Two trials run at a time, in processes that Ray starts. A trial that fails is tried again, as in the guide "How to
Enable Fault Tolerance in Ray Tune".
"""

import sys
from typing import Any

import optuna
import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch

from benchmarks.peers import lenot

TRIALS, EPOCHS = int(sys.argv[1]), int(sys.argv[2])

SPACE = {
    "filters_0": tune.randint(lenot.FILTERS_0[0], lenot.FILTERS_0[1] + 1),
    "filters_1": tune.randint(lenot.FILTERS_1[0], lenot.FILTERS_1[1] + 1),
    "kernel_size_0": tune.choice(lenot.KERNEL_SIZES),
    "kernel_size_1": tune.choice(lenot.KERNEL_SIZES),
    "dropout": tune.uniform(*lenot.DROPOUT),
    "learning_rate": tune.loguniform(*lenot.LEARNING_RATE),
}


def train(config: dict[str, Any], images: dict[str, Any], epochs: int) -> None:
    import keras

    with lenot.noted(config):
        keras.backend.clear_session()
        report = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: tune.report(dict(logs)))
        lenot.build(config).fit(**images, epochs=epochs, verbose=0, callbacks=[report])


if __name__ == "__main__":
    ray.init("local", num_cpus=2, include_dashboard=False)
    tuner = tune.Tuner(
        tune.with_parameters(train, images=lenot.load_images(), epochs=EPOCHS),
        param_space=SPACE,
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            search_alg=OptunaSearch(sampler=optuna.samplers.RandomSampler()),
            num_samples=TRIALS,
            max_concurrent_trials=2,
        ),
        run_config=tune.RunConfig(
            name=lenot.NAME,
            storage_path=str(lenot.FOLDER / "ray_results"),
            failure_config=tune.FailureConfig(max_failures=3),
            callbacks=[MLflowLoggerCallback(lenot.TRACKING, experiment_name=lenot.NAME)],
        ),
    )
    best = tuner.fit().get_best_result()
    print(best.metrics["val_accuracy"], best.config)
