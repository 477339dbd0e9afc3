"""One study, worked on from this machine, from a Slurm cluster and from a Ray cluster at the same time."""

import pytest

from tests.support.ray import ray_cluster
from tests.support.shared import SharedStores
from tests.support.slurm import SlurmCluster
from tests.support.workplace import Workplace

N_TRIALS, EPOCHS = 16, 40
SWEEP = [
    *("-m", "hydra/sweeper=optuna", "dataset=synthetic", "model=dense", "model.dropout=interval(0,0.5)"),
    *(f"training.epochs={EPOCHS}", "training.checkpoint_minutes=0", "tracking.save_model=false"),
    *(f"hydra.sweeper.n_trials={N_TRIALS}", "hydra.sweeper.study_name=together"),
]


@pytest.mark.slow
def test_a_study_has_its_exact_total_when_three_engines_work_on_it(
    slurm: SlurmCluster, workplace: Workplace, postgres: str
) -> None:
    stores = SharedStores.make(postgres)
    with ray_cluster(1, token=True, **stores.variables) as ray:
        engines = {
            "slurm": (["hydra.sweeper.engine.partition=low"], slurm.variables),
            "ray": ([f"hydra.sweeper.engine.address={ray.address}"], ray.environment),
        }
        for name, (settings, variables) in engines.items():
            chosen = [f"hydra/sweeper/engine={name}", "hydra.sweeper.detach=true", *settings]
            done = workplace.run("src.train", *SWEEP, *chosen, **(dict(variables) | stores.variables))
            assert done.returncode == 0, done.stderr
        here = workplace.run("src.train", *SWEEP, **stores.variables)
        assert here.returncode == 0, here.stderr
        watched = workplace.run("src.sweep", "watch", "together", **stores.variables)
        assert f"{N_TRIALS} trials: {N_TRIALS} complete" in watched.stdout

    study = stores.study(workplace)
    study.assert_whole(N_TRIALS)
    assert len({trial.user_attrs["starter"] for trial in study.study.trials}) == 3
    for trial in study.study.trials:
        points = study.client.get_metric_history(study.children[trial.number].info.run_id, "val_accuracy")
        assert [point.step for point in points] == list(range(1, EPOCHS + 1))
    assert study.artifact("trials.csv").count("COMPLETE") == N_TRIALS
