"""`python -m src.style`: the run of a style transfer, stopped by a signal and continued."""

import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from src.cli.compose import compose_config
from src.train import train
from tests.support.art import put_picture
from tests.support.workplace import RunHere, Workplace


@pytest.fixture
def pictures(workplace: Workplace) -> str:
    """Two pictures in the folder, and the id of a run of a convolutional network."""
    put_picture(workplace.folder / "content.png")
    put_picture(workplace.folder / "style.png", 24, 32, seed=3)
    light = "dataset=synthetic", "training.epochs=1", "training.max_batches=1", "tracking.detail=light"
    return str(train(compose_config([*light, f"tracking.uri='{workplace.uri}'"])).run_id)


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


@pytest.mark.fault
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
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
