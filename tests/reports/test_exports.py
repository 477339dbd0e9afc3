"""Exported files in a run, and their copies: an earlier export is replaced, and nothing else is."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from src.errors import ConfigError
from src.reports.exports import check_copies, copy_exports, record_exports
from src.results import ExportRow
from tests.support.runs import config_for, new_run


def folder_with(folder: Path, *names: str) -> Path:
    """A folder with these files, whose content is the name of the folder above it."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text(folder.parent.name)
    return folder


def test_an_earlier_export_is_replaced(tmp_path: Path) -> None:
    new, output = tmp_path / "new", tmp_path / "earlier"
    for parent in (new, output):
        folder_with(parent / "onnx", "model.onnx", "manifest.json")
    copy_exports(new, output)
    assert (output / "onnx/model.onnx").read_text() == "new"


@pytest.mark.parametrize(
    "names",
    [["README.md", "model.onnx", "manifest.json"], ["model.onnx"], [".git"], ["model.tflite", "manifest.json"]],
)
def test_a_folder_that_is_not_an_earlier_export_stays_as_it_is(names: list[str], tmp_path: Path) -> None:
    new, output = tmp_path / "new", tmp_path / "models"
    folder_with(new / "onnx", "model.onnx", "manifest.json")
    folder = folder_with(output / "onnx", *names)
    with pytest.raises(ConfigError, match=rf"^output: .*/models/onnx would be replaced, .* it contains {min(names)}"):
        copy_exports(new, output)
    assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(names, "models")


def test_an_empty_folder_may_be_there_and_a_folder_of_another_format_may_contain_anything(tmp_path: Path) -> None:
    folder_with(tmp_path / "onnx")
    folder_with(tmp_path / "litert", "notes.txt")
    check_copies(tmp_path, ["onnx", "litert_int8"])


@pytest.mark.parametrize("kind", ["file", "link", "broken link"])
def test_something_other_than_a_folder_is_not_replaced(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "out/onnx"
    place.parent.mkdir()
    if kind == "file":
        place.write_text("")
    else:
        target = tmp_path / "elsewhere"
        place.symlink_to(target if kind == "broken link" else folder_with(target, "model.onnx", "manifest.json"))
    with pytest.raises(ConfigError, match=r"^output: .*/out/onnx is a file or a link; move it away, or name another"):
        check_copies(place.parent, ["onnx"])


def test_sizes_are_recorded_in_megabytes_of_a_million_bytes(tmp_path: Path) -> None:
    folder_with(tmp_path / "new/onnx", "model.onnx", "manifest.json")
    rows = [ExportRow("keras", 400_000, 0.9, 0.0, 1.0, 2.0), ExportRow("onnx", 250_000, 0.9, 0.0, 1.0, 2.0)]
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with new_run(config_for(uri)) as run:
        record_exports(run, tmp_path / "new", rows, threads=2)
    metrics = MlflowClient(uri).get_run(str(run.run_id)).data.metrics
    assert (metrics["export/keras/size_mb"], metrics["export/onnx/size_mb"]) == (0.4, 0.25)
