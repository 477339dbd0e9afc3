"""Measuring the network of a trial before it is trained."""

import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from src.cli.compose import compose_config
from src.errors import UserError
from src.fitting import seed_everything
from src.models import build_model
from src.sweep import meter as meter_module
from src.sweep.meter import Meter
from src.train import train
from tests.support.training import SMALL

DATASET: Any = SimpleNamespace(input_shape=(28, 28, 1), class_names=["no", "yes"])


def config(*overrides: str) -> Any:
    return compose_config(["dataset=synthetic", *overrides])


def without_timer(monkeypatch: pytest.MonkeyPatch) -> Meter:
    """A meter that fails if it starts its second process."""

    def refuse() -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(meter_module, "start_timer", refuse)
    return Meter()


def test_what_can_be_counted_needs_no_second_process(monkeypatch: pytest.MonkeyPatch) -> None:
    model = config("model=lenot").model
    costs = without_timer(monkeypatch).measure(config("model=lenot"), DATASET, ["parameters"])
    assert costs == {"parameters": build_model(model, DATASET.input_shape, 2).count_params()}


def test_a_network_that_is_over_another_limit_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = without_timer(monkeypatch)
    costs = meter.measure(config("model=lenot"), DATASET, ["parameters", "latency_ms"], {"parameters": 10.0})
    assert list(costs) == ["parameters"]
    with pytest.raises(AssertionError, match="a process was started"):
        meter.measure(config("model=lenot"), DATASET, ["parameters", "latency_ms"], {"parameters": 1e9})


def test_measuring_before_a_training_does_not_change_its_result() -> None:
    small = compose_config([*SMALL, "model.dense=[8]", "model.dropout=0.3", "tracking=off", "evaluate_test=false"])

    def history() -> dict[str, list[float]]:
        found = train(small).history
        return {name: found[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}

    before = history()
    Meter().measure(small, DATASET, ["parameters", "model_mb"])
    assert history() == before


@pytest.mark.services
def test_a_time_is_measured_in_another_process_which_is_started_again_after_its_death() -> None:
    seed_everything(7)
    meter = Meter()
    try:
        first = meter.measure(config("model=dense"), DATASET, ["latency_ms"])["latency_ms"]
        assert first > 0
        assert meter._timer is not None
        with pytest.raises(UserError, match=r"could not be measured: .*too small for alexnet"):
            meter.measure(config("model=alexnet", "dataset.image_size=[64,64]"), DATASET, ["latency_ms"])
        os.kill(meter._timer.popen.pid, signal.SIGKILL)
        with pytest.raises(UserError, match=r"has ended; .* smaller hydra\.sweeper\.n_jobs"):
            meter.measure(config("model=dense"), DATASET, ["latency_ms"])
        assert meter.measure(config("model=dense"), DATASET, ["latency_ms"])["latency_ms"] > 0
    finally:
        meter.close()
    assert meter._timer is None
