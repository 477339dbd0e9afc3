"""`python -m src.dream`: a picture, its run, and that an interrupted one continues to the same picture."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from src import fitting
from src.art import making
from src.cli.changes import split_changes
from src.cli.compose import compose_config
from src.dream import dream
from src.errors import CheckpointError, ConfigError, DataError, NotEnoughMemory, StoreError, UserError
from src.explain import explain
from src.process.interrupt import Interrupted
from src.results import ArtResult
from src.train import train
from tests.support.art import put_picture
from tests.support.workplace import RunHere, Workplace

QUICK = ("size=32", "steps=2", "octaves=2", "octave_scale=1.2")
pytestmark = pytest.mark.services  # whole trainings, and a picture from each
LIGHT = ("dataset=synthetic", "training.epochs=1", "training.max_batches=1", "tracking.detail=light")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A store with a run of a convolutional network, and a picture."""
    workplace = Workplace(tmp_path_factory.mktemp("art"))
    train(compose_config([*LIGHT, f"tracking.uri='{workplace.uri}'", "tracking.run_name=source"]))
    put_picture(workplace.folder / "photo.png")
    return workplace


def named(workplace: Workplace, name: str) -> str:
    """The id of the newest run with this name."""
    (found, *_) = MlflowClient(workplace.uri).search_runs(["1"], f"attributes.run_name = '{name}'")
    return str(found.info.run_id)


def made(workplace: Workplace, *typed: str, source: str | None = None) -> ArtResult:
    """A picture of the function that the command calls, with everything that is typed."""
    named_run = (
        [] if any(word.startswith("resume=") for word in typed) else [f"run_id={source or named(workplace, 'source')}"]
    )
    overrides = [*named_run, *typed]
    store = f"tracking.uri='{workplace.uri}'"
    composed, _ = split_changes([*overrides, store])
    return dream(compose_config(composed, "dream"), overrides)


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Asks the process to stop after this many steps, as Ctrl-C would."""

    def stop(steps: int) -> None:
        left = iter(range(steps - 1))

        def release() -> None:
            if next(left, None) is None:
                monkeypatch.undo()
                raise Interrupted(signal.SIGINT)

        monkeypatch.setattr(making, "release", release)

    return stop


def test_the_command_writes_the_picture_into_the_file_and_into_a_run_of_its_own(
    shared: Workplace, run_here: RunHere
) -> None:
    source = named(shared, "source")
    printed = run_here(shared, "src.dream", f"run_id={source}", "image=photo.png", "output=out/d.png", *QUICK)
    assert "step 2 of 4 (20x27)" in printed
    assert "step 4 of 4 (24x32)" in printed
    assert "picture: out/d.png (24x32)" in printed
    client, run_id = MlflowClient(shared.uri), named(shared, "dream of source")
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags["made_with"], run.data.tags["model"]) == ("FINISHED", source, "lenot")
    assert (run.data.params["steps"], run.data.params["resolved.octaves"]) == ("2", "[[20, 27], [24, 32]]")
    assert [point.step for point in client.get_metric_history(run_id, "loss")] == [1, 2, 3, 4]
    kept = Path(client.download_artifacts(run_id, "picture.png")).read_bytes()
    assert kept == (shared.folder / "out/d.png").read_bytes()
    images = [item.path for item in client.list_artifacts(run_id, "images") if item.path.endswith(".png")]
    assert [path.split("+")[:3] for path in sorted(images)] == [
        ["images/dream", "step", "2"],
        ["images/dream", "step", "4"],
    ]
    assert not (shared.folder / "checkpoints").exists()


def test_an_interrupted_picture_is_continued_by_the_same_command_or_by_its_run_and_is_the_same(
    shared: Workplace, tmp_path: Path, stop_after: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    common = f"image='{shared.folder}/photo.png'", "seed=7", *QUICK
    made(shared, *common, f"output='{tmp_path}/whole.png'")
    for steps in (1, 2):
        stop_after(steps)
        with pytest.raises(Interrupted):
            made(shared, *common, f"output='{tmp_path}/{steps}.png'")
        run_id = named(shared, "dream of source")
        printed = capsys.readouterr().out
        assert f"stopped after step {steps} of 4" in printed
        assert f"resume with: python -m src.dream resume={run_id}" in printed
        assert not (tmp_path / f"{steps}.png").exists()
        again = common if steps == 1 else (f"resume={run_id}",)
        result = made(shared, *again, f"output='{tmp_path}/{steps}.png'")
        assert f"resuming after step {steps} of 4" in capsys.readouterr().out
        assert result.run_id == run_id
        assert (tmp_path / f"{steps}.png").read_bytes() == (tmp_path / "whole.png").read_bytes()
        client = MlflowClient(shared.uri)
        assert [point.step for point in client.get_metric_history(run_id, "loss")] == [1, 2, 3, 4]
        assert len([item for item in client.list_artifacts(run_id, "images") if item.path.endswith(".png")]) == 2


def test_a_picture_whose_image_was_changed_is_not_resumed(
    shared: Workplace, tmp_path: Path, stop_after: Callable[[int], None]
) -> None:
    image = put_picture(tmp_path / "a.png")
    stop_after(1)
    with pytest.raises(Interrupted):
        made(shared, f"image='{image}'", f"output='{tmp_path}/b.png'", *QUICK)
    run_id = named(shared, "dream of source")
    put_picture(image, seed=5)
    with pytest.raises(CheckpointError, match=rf"^run {run_id} cannot be resumed, because these have .*: pictures;"):
        made(shared, f"resume={run_id}")
    with pytest.raises(ConfigError, match=r"^steps=9: a resumed run keeps its own settings; remove `steps=9`"):
        made(shared, f"resume={run_id}", "steps=9")


def test_a_run_of_another_kind_is_refused_with_what_to_do(shared: Workplace, tmp_path: Path) -> None:
    done = str(made(shared, f"output='{tmp_path}/a.png'", "octaves=1", *QUICK[:2]).run_id)
    with pytest.raises(
        StoreError, match=r"is finished, so nothing is left to resume; its picture is picture.png there"
    ):
        made(shared, f"resume={done}")
    source = named(shared, "source")
    with pytest.raises(StoreError, match=rf"{source} is that of another command; resume it with python -m src\.train"):
        made(shared, f"resume={source}")
    with pytest.raises(StoreError, match=r"made a picture \(dream\), so it has no model; name the run of a training"):
        explain(compose_config([f"run_id={done}", f"tracking.uri='{shared.uri}'"], "explain"))


def test_a_network_without_convolutions_is_refused(shared: Workplace, tmp_path: Path) -> None:
    run_id = train(compose_config([*LIGHT, "model=dense", f"tracking.uri='{shared.uri}'"])).run_id
    with pytest.raises(UserError, match=r"^dense has no convolutions"):
        made(shared, f"output='{tmp_path}/a.png'", source=run_id)


def test_a_run_without_a_model_is_refused(shared: Workplace, tmp_path: Path) -> None:
    run_id = train(compose_config([*LIGHT, "tracking.save_model=false", f"tracking.uri='{shared.uri}'"])).run_id
    with pytest.raises(StoreError, match=f"run {run_id} keeps no model"):
        made(shared, f"output='{tmp_path}/a.png'", source=run_id)


def test_a_picture_that_needs_more_memory_than_there_is_leaves_no_run(
    shared: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(MlflowClient(shared.uri).search_runs(["1"]))
    monkeypatch.setattr(fitting, "free_memory", lambda: 1_000)
    with pytest.raises(NotEnoughMemory, match=r"use a smaller size=, or smaller tiles such as tile=128$"):
        made(shared, f"output='{tmp_path}/a.png'", *QUICK)
    assert len(MlflowClient(shared.uri).search_runs(["1"])) == before


def refused(typed: str, error: type[Exception], message: str) -> Any:
    return pytest.param(typed, error, message, id=message)


@pytest.mark.parametrize(
    ("typed", "error", "message"),
    [
        refused("image=gone.png", DataError, r"there is no image file gone\.png; give the path of one: image=FILE"),
        refused("image='{folder}/notes.png'", DataError, r"notes\.png is not an image that can be read"),
        refused("image='{folder}/large.png'", DataError, r"large\.png has more than 89,478,485 pixels"),
        refused("output='{folder}/old.png'", ConfigError, r"output: .*old\.png is a folder; give the name of a file"),
        refused("output='{folder}/notes.png/a.png'", ConfigError, r"output: .*notes\.png is a file, not a folder"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_before_the_run_is_looked_for(
    typed: str, error: type[Exception], message: str, shared: Workplace, tmp_path: Path
) -> None:
    (tmp_path / "notes.png").write_text("no image")
    (tmp_path / "old.png").mkdir()
    Image.fromarray(np.zeros((9_460, 9_460), np.uint8)).save(tmp_path / "large.png")
    with pytest.raises(error, match=message):
        made(shared, typed.format(folder=tmp_path), source="nobody")


def test_the_picture_does_not_replace_the_image(shared: Workplace) -> None:
    photo = f"'{shared.folder}/photo.png'"
    with pytest.raises(ConfigError, match=r"output: .*photo\.png is also image=, which would be replaced"):
        made(shared, f"image={photo}", f"output={photo}", source="nobody")
