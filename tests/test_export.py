"""`python -m src.export`: files that are as accurate as the model are stored in its run, and others are refused."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from PIL import Image

from src import exporting, tracking
from src.cli.compose import compose_config
from src.datasets import load_dataset
from src.errors import ConfigError, ModelFileError, NotKept
from src.export import check_drop, export, store_files, update_cards
from src.predict import predict
from src.register import register
from src.reports.exports import measured_exports
from src.results import ExportResult, ExportRow
from src.tables import read_table
from src.tracked import open_tracked_model
from src.train import train
from tests.support.exports import need, some_images, write_file
from tests.support.pictures import put_class
from tests.support.runs import config_for
from tests.support.workplace import ROOT, RunHere, TrainedRun, Workplace, copy_of

RUNS_ALONE = """
import json, sys
from src.predict import main
sys.argv = ["predict", *sys.argv[1:]]
main()
names = ("tensorflow", "keras", "mlflow", "tf2onnx", "onnx", "onnxruntime", "ai_edge_litert")
print(json.dumps([name for name in names if name in sys.modules]))
"""


def exported(workplace: Workplace, *overrides: str) -> ExportResult:
    return export(compose_config([f"tracking.uri='{workplace.uri}'", "data_dir=null", *overrides], "export"))


def row(name: str, accuracy: float) -> ExportRow:
    return ExportRow(name, 1000, accuracy, 0.0, 1.0, 2.0)


@pytest.mark.parametrize(
    ("name", "accuracy", "max_drop", "is_allowed"),
    [
        ("onnx", 0.948, None, True),
        ("onnx", 0.947, None, False),
        ("onnx", 0.96, None, True),  # more accurate
        ("onnx", float("nan"), None, False),
        ("onnx", 0.95, 0.0, True),
        ("onnx", 0.9499, 0.0, False),
        ("litert_int8", 0.94, None, True),
        ("litert_int8", 0.939, None, False),
        ("litert_int8", 0.939, 0.02, True),
    ],
)
def test_a_file_that_is_less_accurate_by_more_than_max_drop_is_refused(
    name: str, accuracy: float, max_drop: float | None, is_allowed: bool
):
    if is_allowed:
        check_drop(row("keras", 0.95), row(name, accuracy), max_drop, 1000)
    else:
        with pytest.raises(ModelFileError, match=rf"^{name} is less accurate .* of 0.9500\), .*; nothing was stored; "):
            check_drop(row("keras", 0.95), row(name, accuracy), max_drop, 1000)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ([], "name one model"),
        (["run_id=a", "formats=[]"], r"formats: got \[\], expected some of onnx, litert"),
        (["run_id=a", "formats=[coreml]"], "formats: got 'coreml', expected one of onnx, litert, litert_int8"),
        (["run_id=a", "formats=[onnx,onnx]"], "formats: got .*, expected each format once"),
        (["run_id=a", "max_drop=-0.1"], "max_drop: got -0.1, expected a fraction"),
        (["run_id=a", "max_drop=nan"], "max_drop: got nan"),
    ],
)
def test_a_wrong_setting_is_a_sentence(overrides: list[str], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        compose_config(overrides, "export")


def test_a_missing_package_is_reported_before_the_store_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(ConfigError, match=r"formats=\[litert\]: the package ai_edge_litert .*make setup EXPORT=1"):
        exported(Workplace(tmp_path), "run_id=a", "formats=[litert]")


def test_a_folder_that_a_copy_would_replace_is_looked_at_before_the_store(tmp_path: Path):
    need("onnx")
    (tmp_path / "out/onnx/.git").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"^output: .*/out/onnx would be replaced, but it is not an earlier export"):
        exported(Workplace(tmp_path), "run_id=a", "formats=[onnx]", f"output='{tmp_path / 'out'}'")
    assert (tmp_path / "out/onnx/.git").is_dir()


def test_a_run_without_a_model_is_refused(workplace: Workplace):
    need("onnx", "litert")
    config = config_for(workplace.uri, "model=dense", "training.epochs=1", "tracking.detail=light")
    config.tracking.save_model = False
    with pytest.raises(NotKept, match="keeps no model"):
        exported(workplace, f"run_id={train(config).run_id}")


# --- the whole command ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """The first test images of the sample: uint8, (20, 28, 28, 1)."""
    return load_dataset(compose_config(["dataset.source=sample"]).dataset).test.images[:20]


@pytest.mark.services
def test_files_are_stored_with_their_proof_and_label_images_without_tensorflow(
    trained: TrainedRun, digits: np.ndarray, run_here: RunHere, tmp_path: Path
):
    need("onnx", "litert")
    workplace = copy_of(trained.workplace, tmp_path / "copy")
    folder = workplace.folder / "mlartifacts" / trained.run_id / "artifacts"
    line = [f"run_id={trained.run_id}", f"output='{tmp_path / 'out'}'"]
    run_here(workplace, "src.export", *line, "formats=[litert_int8]", "max_drop=1")
    printed = run_here(workplace, "src.export", *line, "formats=[onnx,litert]")
    assert "1,000 test images; latency on the CPU with " in printed
    assert "files: exports/onnx/model.onnx, exports/litert/model.tflite\n" in printed

    rows = {row["format"]: row for row in read_table(folder / "tables/exports.csv")}
    assert list(rows) == ["keras", "onnx", "litert", "litert_int8"]  # the earlier export is still there
    metrics = MlflowClient(workplace.uri).get_run(trained.run_id).data.metrics
    for name, file in (("onnx", "model.onnx"), ("litert", "model.tflite")):
        manifest = json.loads((folder / f"exports/{name}/manifest.json").read_text())
        assert (manifest["run_id"], manifest["class_names"]) == (trained.run_id, list("0123456789"))
        assert manifest["size"] == (folder / f"exports/{name}/{file}").stat().st_size
        assert (tmp_path / "out" / name / file).read_bytes() == (folder / f"exports/{name}/{file}").read_bytes()
        assert float(rows[name]["max_difference"]) < 1e-5
        assert metrics[f"export/{name}/test_accuracy"] == pytest.approx(metrics["test_accuracy"], abs=0.0011)
        assert metrics[f"export/{name}/latency_ms"] > 0
    assert not list(folder.rglob(".part-*"))

    (tmp_path / "pixels.csv").write_text("".join(",".join(map(str, digit.ravel())) + "\n" for digit in digits))
    images = f"images='{tmp_path / 'pixels.csv'}'"
    tables = {}
    files = [("onnx", "model.onnx", "onnxruntime"), ("litert", "model.tflite", "ai_edge_litert")]
    for name, file, package in files:
        output = tmp_path / f"{name}.csv"
        typed = [f"model_file='{tmp_path / 'out' / name / file}'", images, f"output='{output}'"]
        done = subprocess.run([sys.executable, "-c", RUNS_ALONE, *typed], cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout.splitlines()[-1]) == [package]
        tables[name] = read_table(output)
    output = tmp_path / "keras.csv"
    config = [f"tracking.uri='{workplace.uri}'", f"run_id={trained.run_id}", images, f"output='{output}'"]
    predict(compose_config(config, "predict"))
    for found in tables.values():
        for ours, expected in zip(found, read_table(output), strict=True):
            assert (ours["image"], ours["predicted"]) == (expected["image"], expected["predicted"])
            assert float(ours["score"]) == pytest.approx(float(expected["score"]), abs=2e-5)


def test_nothing_is_stored_if_one_of_the_files_is_not_accurate_enough(
    trained: TrainedRun, monkeypatch: pytest.MonkeyPatch
):
    need("onnx")
    before = MlflowClient(trained.workplace.uri).get_run(trained.run_id).data.metrics
    folder = trained.workplace.folder / "mlartifacts" / trained.run_id / "artifacts"
    listed = sorted(folder.rglob("*"))
    found = exporting.ExportedModel.probabilities
    monkeypatch.setattr(exporting.ExportedModel, "probabilities", lambda self, images: found(self, images)[:, ::-1])
    with pytest.raises(ModelFileError, match="onnx is less accurate than the model by 0"):
        exported(trained.workplace, f"run_id={trained.run_id}", "formats=[onnx]")
    assert sorted(folder.rglob("*")) == listed
    assert MlflowClient(trained.workplace.uri).get_run(trained.run_id).data.metrics == before


def test_two_exports_of_a_run_at_once_are_both_recorded(
    trained: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    workplace = copy_of(trained.workplace, tmp_path / "copy")
    config = compose_config([f"tracking.uri='{workplace.uri}'", "data_dir=null", f"run_id={trained.run_id}"], "export")
    found = measured_exports

    def find_slowly(run: tracking.Run) -> list[dict[str, str]]:
        rows = found(run)
        time.sleep(0.5)
        return rows

    monkeypatch.setattr("src.reports.exports.measured_exports", find_slowly)

    def store(name: str) -> None:
        (tmp_path / name / name).mkdir(parents=True)
        with open_tracked_model(config) as tracked:
            store_files(config, tracked, tmp_path / name, [row("keras", 0.95), row(name, 0.95)], threads=2)

    threads = [threading.Thread(target=store, args=(name,)) for name in ("onnx", "litert")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table = workplace.folder / "mlartifacts" / trained.run_id / "artifacts/tables/exports.csv"
    assert {row["format"] for row in read_table(table)} == {"keras", "onnx", "litert"}


# --- the card of a registered model --------------------------------------------------------------------------------


def registered(workplace: Workplace, run_id: str, name: str) -> None:
    register(compose_config([f"tracking.uri='{workplace.uri}'", f"run_id={run_id}", f"name={name}"], "register"))


def description(workplace: Workplace, name: str) -> str:
    return str(MlflowClient(workplace.uri).get_model_version(name, "1").description)


@pytest.mark.services
def test_the_cards_of_a_registered_model_list_its_files_except_where_a_user_has_edited_the_description(
    trained: TrainedRun, tmp_path: Path
):
    need("onnx")
    workplace = copy_of(trained.workplace, tmp_path / "copy")
    for name in ("edited", "digits"):
        registered(workplace, trained.run_id, name)
    edited = description(workplace, "edited") + "\n\nFor the web site."
    MlflowClient(workplace.uri).update_model_version("edited", "1", edited)
    assert "model.onnx" not in description(workplace, "digits")
    warnings = exported(workplace, f"run_id={trained.run_id}", "formats=[onnx]").warnings
    assert [warning for warning in warnings if "card" in warning] == [
        "the description of version 1 of edited was edited and does not list the files; the page model_card.html of "
        "the run does"
    ]
    assert "exports/onnx/model.onnx" in description(workplace, "digits")
    assert description(workplace, "edited") == edited
    page = workplace.folder / "mlartifacts" / trained.run_id / "artifacts/model_card.html"
    assert "exports/onnx/model.onnx" in page.read_text()


@pytest.mark.services
def test_the_python_lines_of_a_card_give_the_probabilities_of_the_model(
    trained: TrainedRun, digits: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    need("onnx", "litert")
    workplace = copy_of(trained.workplace, tmp_path / "copy")
    exported(workplace, f"run_id={trained.run_id}", "formats=[onnx,litert]")
    registered(workplace, trained.run_id, "digits")
    folder = workplace.folder / "mlartifacts" / trained.run_id / "artifacts"
    blocks = re.findall(r"<pre>(.*?)</pre>", (folder / "model_card.html").read_text(), re.DOTALL)
    lines = [html.unescape(part) for block in blocks for part in block.split("\n\n") if "python -m" not in part]
    assert len(lines) == 6  # the registry, three formats, two exported files
    monkeypatch.chdir(folder)
    expected = exporting.open_export(folder / "exports/onnx/model.onnx").probabilities(digits)
    for each in lines:
        names: dict[str, Any] = {"images": digits}
        exec(each, names)
        np.testing.assert_allclose(np.asarray(names["probabilities"]), expected, atol=1e-5, err_msg=each)


@pytest.mark.services
def test_a_registry_that_does_not_allow_it_costs_no_exported_files(
    trained: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    workplace = copy_of(trained.workplace, tmp_path / "copy")
    registered(workplace, trained.run_id, "digits")

    def refuse(*arguments: object) -> None:
        raise MlflowException("permission denied")

    monkeypatch.setattr(tracking.Registry, "describe", refuse)
    typed = [f"tracking.uri='{workplace.uri}'", "data_dir=null", f"run_id={trained.run_id}"]
    config = compose_config(typed, "export")
    with open_tracked_model(config) as tracked:
        (warning,) = update_cards(config, tracked, row("keras", 0.95))
    assert warning.startswith("the files are stored, but the model card does not list them: ")
    assert warning.endswith("permission denied")


# --- src.predict model_file= ---------------------------------------------------------------------------------------


def classified(file: Path, images: Path, *overrides: str) -> list[dict[str, str]]:
    output = images.parent / "answers.csv"
    typed = [f"model_file='{file}'", f"images='{images}'", f"output='{output}'", *overrides]
    predict(compose_config(typed, "predict"))
    return read_table(output)


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_pictures_of_another_size_and_mode_are_converted_as_the_manifest_says(name: str, tmp_path: Path):
    file = write_file(tmp_path / name, name)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.fromarray(some_images(1)[0, ..., 0]).save(pictures / "a.png")
    for mode in ("RGB", "RGBA", "1"):
        Image.new(mode, (50, 31), "white").save(pictures / f"{mode}.png")
    rows = classified(file, pictures, "on_bad_image=error")
    assert [row["image"] for row in rows] == ["1.png", "RGB.png", "RGBA.png", "a.png"]
    assert list(rows[0]) == ["image", "predicted", "score", "cat", "dög", "=owl"]
    expected = exporting.open_export(file).probabilities(some_images(1))[0]
    assert [float(rows[3][label]) for label in ("cat", "dög", "=owl")] == pytest.approx(expected.tolist(), abs=2e-6)


def test_an_edited_file_classifies_nothing(tmp_path: Path):
    file = write_file(tmp_path / "onnx", "onnx")
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    put_class(tmp_path / "pets", "cat", 2)
    with pytest.raises(ModelFileError, match=r"model.onnx differs from its manifest.json"):
        classified(file, tmp_path / "pets")
    assert not (tmp_path / "answers.csv").exists()


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["run_id=a"], "name one model: run_id=RUN, model_uri=.*, or model_file=FILE"),
        (["tta=true"], "tta=true with model_file=a.onnx: .*remove `tta=true`"),
        (["calibrated=true"], "calibrated=true with model_file=a.onnx: "),
    ],
)
def test_what_an_exported_file_cannot_do_is_a_sentence(overrides: list[str], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        compose_config(["model_file=a.onnx", "images=b", *overrides], "predict")
