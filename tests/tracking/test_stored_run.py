"""What is read from a run, and what is said when it cannot be read."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from src.errors import NotKept, StoreError
from src.schema import Config
from src.tracking import Run, resume_run
from src.tracking.artifacts import Artifacts
from tests.support.runs import new_run


def test_a_missing_artifact_is_named(config: Config):
    with new_run(config) as run:
        pass
    with (
        resume_run(config.tracking, run_id=run.run_id) as resumed,
        pytest.raises(NotKept, match="keeps no model"),
        resumed.model_folder(),
    ):
        pass


@pytest.mark.parametrize("tag", ["convlab.sweep", "convlab.pipeline_key"])
def test_a_command_for_trainings_says_that_a_run_is_that_of_a_sweep_or_a_pipeline(tag: str, config: Config):
    with new_run(config) as run:
        pass
    with resume_run(config.tracking, run_id=run.run_id) as resumed:
        resumed.tags = {**resumed.tags, tag: "1"}
        assert resumed.folder is not None
        (resumed.folder / "config/config.yaml").unlink()
        with pytest.raises(
            StoreError, match="is the run of a sweep or a pipeline, which has no model of its own; name"
        ):
            resumed.read_config()


@pytest.mark.parametrize("path", ["config/config.yaml", "config"])
def test_a_file_that_could_not_be_fetched_does_not_count_as_missing(
    path: str, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with new_run(config) as run:
        pass
    monkeypatch.setattr(Artifacts, "folder", None)  # as if they were behind a server
    file = tmp_path / "no folder"
    file.write_text("where copies cannot go")
    monkeypatch.setattr(tempfile, "TemporaryDirectory", lambda: contextlib.nullcontext(str(file)))
    with (
        resume_run(config.tracking, run_id=run.run_id) as resumed,
        pytest.raises(StoreError, match=f"{path} could not be fetched: ") as caught,
        resumed.reading(path),
    ):
        pass
    assert not isinstance(caught.value, NotKept)


DAMAGED = (b"model:\n  name: [len", b"", b"lenot", b"\xff\xfe", b"a: 2026-99-99", b"[" * 5_000)


@pytest.mark.parametrize(
    ("path", "read", "other_kind"),
    [("config/config.yaml", Run.read_config, b"- a\n"), ("config/overrides.yaml", Run.read_overrides, b"a: b\n")],
)
def test_a_damaged_yaml_file_of_a_run_is_one_sentence(
    path: str, read: Callable[[Run], object], other_kind: bytes, config: Config
):
    with new_run(config, overrides=["seed=1"]) as run:
        file = Path(str(run.folder)) / path
    with resume_run(config.tracking, run_id=run.run_id) as resumed:
        for content in (*DAMAGED, other_kind):
            file.write_bytes(content)
            with pytest.raises(StoreError, match=rf"^run \w+: {path} is damaged \(.+\); restore the file") as error:
                read(resumed)
            assert "\n" not in str(error.value)
