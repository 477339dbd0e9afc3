"""`python -m src.style`: the run of a style transfer, stopped by a signal and continued."""

import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from src import fitting
from src.cli.compose import compose_config
from src.errors import ConfigError, DataError, NotEnoughMemory, StoreError
from src.style import style
from src.train import train
from tests.support.art import put_picture
from tests.support.workplace import RunHere, Workplace

LIGHT = "dataset=synthetic", "training.epochs=1", "training.max_batches=1", "tracking.detail=light"


@pytest.fixture
def pictures(workplace: Workplace) -> str:
    """Two pictures in the folder, and the id of a run of a convolutional network."""
    put_picture(workplace.folder / "content.png")
    put_picture(workplace.folder / "style.png", 24, 32, seed=3)
    return str(train(compose_config([*LIGHT, f"tracking.uri='{workplace.uri}'"])).run_id)


def made(workplace: Workplace, run_id: str, *typed: str) -> None:
    """Make a picture with the function that the command calls, of the pictures in the folder."""
    files = (f"{key}='{workplace.folder}/{key}.png'" for key in ("content", "style"))
    output = f"output='{workplace.folder}/made.png'"
    overrides = [f"run_id={run_id}", *files, "steps=1", output, *typed, f"tracking.uri='{workplace.uri}'"]
    style(compose_config(overrides, "style"), overrides)


def test_the_command_records_the_losses_and_a_picture_of_every_few_steps(
    workplace: Workplace, pictures: str, run_here: RunHere
) -> None:
    typed = "content=content.png", "style=style.png", "steps=4", "picture_steps=2", "output=s.jpg"
    printed = run_here(workplace, "src.style", f"run_id={pictures}", *typed)
    assert "picture: s.jpg (30x40)" in printed
    with Image.open(workplace.folder / "s.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (40, 30))
    client = MlflowClient(workplace.uri)
    (run,) = client.search_runs(["1"], f"tags.made_with = '{pictures}'")
    for name in ("loss", "content_loss", "style_loss", "total_variation"):
        assert len(client.get_metric_history(run.info.run_id, name)) == 4
    assert len([item for item in client.list_artifacts(run.info.run_id, "images") if item.path.endswith(".png")]) == 2


def test_a_layer_that_does_not_exist_and_too_little_memory_are_reported_before_a_run_begins(
    workplace: Workplace, pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"^lenot has no layer 'cnv_1' .* did you mean 'conv_1'\? known: conv_0, "):
        made(workplace, pictures, "content_layer=cnv_1")
    monkeypatch.setattr(fitting, "free_memory", lambda: 1_000)
    with pytest.raises(NotEnoughMemory, match=r"^a picture of 30x40 pixels needs .* are free; use a smaller size=$"):
        made(workplace, pictures)
    (source,) = MlflowClient(workplace.uri).search_runs(["1"])
    assert source.info.run_id == pictures


def test_a_run_without_a_model_is_refused(workplace: Workplace) -> None:
    for name in ("content", "style"):
        put_picture(workplace.folder / f"{name}.png")
    run_id = train(compose_config([*LIGHT, "tracking.save_model=false", f"tracking.uri='{workplace.uri}'"])).run_id
    with pytest.raises(StoreError, match=f"run {run_id} keeps no model"):
        made(workplace, str(run_id))


@pytest.mark.parametrize("missing", ["content", "style"])
def test_a_missing_picture_is_named_before_the_run_is_looked_for(missing: str, workplace: Workplace) -> None:
    (there,) = {"content", "style"} - {missing}
    put_picture(workplace.folder / f"{there}.png")
    with pytest.raises(DataError, match=rf"^there is no image file .*{missing}\.png; give .*: {missing}=FILE$"):
        made(workplace, "nobody")


@pytest.mark.fault
@pytest.mark.parametrize("signum", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_style_transfer_that_was_stopped_continues_to_the_same_picture(
    signum: signal.Signals, workplace: Workplace, pictures: str
) -> None:
    typed = [f"run_id={pictures}", "content=content.png", "style=style.png", "steps=100", "picture_steps=20"]
    typed += [f"tracking.uri={workplace.uri}", "checkpoint_minutes=0"]
    process = workplace.start("src.style", *typed, "output=stopped.png", PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("step 20 of 100")
    process.send_signal(signum)
    printed, _ = process.communicate(timeout=60)
    if signum != signal.SIGKILL:
        assert process.returncode == 128 + signum
        assert "resume with: python -m src.style resume=" in printed
    done = workplace.run("src.style", *typed, "output=stopped.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert "resuming after step " in done.stdout
    whole = workplace.run("src.style", *typed, "output=whole.png")
    assert "resuming" not in whole.stdout
    assert Path(workplace.folder / "stopped.png").read_bytes() == (workplace.folder / "whole.png").read_bytes()
