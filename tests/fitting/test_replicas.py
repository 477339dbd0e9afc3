"""A training on two devices is the training on one device, apart from rounding."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.fitting.starting import check_devices
from tests.support.gpus import install_nvidia_smi, listing
from tests.support.replicas import CASES, RESUMED
from tests.support.workplace import ROOT, Workplace

NAMES = [*CASES, "transfer learning"]
ROUNDING = 1e-3  # the order of additions differs, and each step carries its errors on
HALF_PRECISION = 2e-2


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("replicas")
    command = [sys.executable, "-m", "tests.support.replicas", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads((folder / "results.json").read_text()))


def tolerance(name: str) -> float:
    return HALF_PRECISION if name == "mixed precision" else ROUNDING


@pytest.mark.services
@pytest.mark.parametrize("name", NAMES)
def test_every_epoch_has_the_same_losses_and_scores(name: str, compared: dict[str, Any]) -> None:
    one, two = compared[name]["histories"]
    assert one.keys() == two.keys()
    # A last batch of fewer images than devices counts once for each device in the mean of the epoch's training loss.
    rel = 1 / 301 if name == "a last batch of one image" else tolerance(name)
    for metric in one.keys() & {"loss", "val_loss", "val_brier", "learning_rate"}:
        assert two[metric] == pytest.approx(one[metric], rel=rel), metric


@pytest.mark.services
@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_the_same(name: str, compared: dict[str, Any]) -> None:
    """Those of batch normalization too: mean and variance of the whole batch, and their moving averages."""
    one, two = compared[name]["weights"]
    for first, second in zip(one, two, strict=True):
        np.testing.assert_allclose(second, first, atol=tolerance(name))


@pytest.mark.services
def test_a_resumed_training_on_two_devices_is_equal_to_one_that_was_not_interrupted(compared: dict[str, Any]) -> None:
    assert compared[RESUMED]["resumed"]


@pytest.mark.services
def test_a_checkpoint_of_two_devices_is_one_of_one_device(compared: dict[str, Any]) -> None:
    for first, second in zip(compared[RESUMED]["weights"][0], compared[RESUMED]["resumed on one"], strict=True):
        np.testing.assert_allclose(second, first, atol=ROUNDING)


@pytest.mark.services
def test_the_phases_of_transfer_learning_are_the_same(compared: dict[str, Any]) -> None:
    one, two = compared["transfer learning"]["phases"]
    assert one == two
    assert len(one) == 2
    losses = compared["transfer learning"]["histories"][0]["loss"]
    assert losses[-1] < losses[0] - 0.1  # something was learned


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            ["training.devices=4", "training.batch_size=2"],
            r"training\.devices=4: .*batch_size=2 .*batch_size=4, or",
        ),
        (["training.devices=3"], r"training\.batch_size=128 cannot be divided evenly among 3.*=126 or 129"),
        (["training.devices=2", "optimizer.clipnorm=1"], r"devices=2: .*clip.*remove `optimizer\.clipnorm`"),
        (["training.devices=0"], r"training\.devices: got '0', expected an integer above 0, or all"),
        (["training.devices=some"], r"training\.devices: got 'some'"),
        (["training.devices=1.5"], r"training\.devices: got '1\.5'"),
    ],
)
def test_settings_that_several_devices_do_not_allow_are_refused(typed: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose_config(typed)


@pytest.mark.parametrize(
    ("typed", "environment", "message"),
    [
        (["training.devices=2"], {}, "no GPU can be used, and the CPU counts as 1 device"),
        (["training.devices=8"], {"gpus": "2"}, "training.devices=8: there are 2 GPUs to use"),
        ([], {"CUDA_VISIBLE_DEVICES": "gpu"}, "CUDA_VISIBLE_DEVICES=gpu: got 'gpu'"),
        ([], {"TF_CONFIG": json.dumps({"cluster": {"worker": ["a:1", "b:1"]}})}, "TF_CONFIG names 2 processes"),
        ([], {"TF_CONFIG": "workers"}, "TF_CONFIG: got 'workers', expected JSON"),
    ],
)
def test_devices_that_cannot_be_used_end_the_command_before_a_run_begins(
    typed: list[str],
    environment: dict[str, str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install_nvidia_smi(tmp_path / "bin", listing(int(environment.pop("gpus", "0"))), monkeypatch)
    done = Workplace(tmp_path).run("src.train", "dataset=synthetic", *typed, **environment)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.glob("*.db"))


def test_a_cluster_of_one_process_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Managed services set the variable for every job."""
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}}))
    check_devices(compose_config(["dataset=synthetic"]))
