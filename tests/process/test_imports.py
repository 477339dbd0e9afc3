"""Imports of what is large: quiet, and without a look for garbage."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from src.process import imports
from src.process.imports import OBJECTS, OBJECTS_AT_START, heavy_imports, one_thread_per_operation
from src.process.interrupt import Interrupted
from tests.support.workplace import ROOT


def greet(fail: bool = False) -> None:
    os.write(2, b"a page of notes\n")
    if fail:
        raise ImportError


def test_native_messages_are_hidden_inside_the_block_only(capfd: pytest.CaptureFixture[str]) -> None:
    with heavy_imports():
        greet()
    assert capfd.readouterr().err == ""
    greet()
    print("from Python", file=sys.stderr)
    assert capfd.readouterr().err == "a page of notes\nfrom Python\n"


def test_native_messages_are_shown_when_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError), heavy_imports():
        greet(fail=True)
    assert capfd.readouterr().err == "a page of notes\n"


@pytest.mark.usefixtures("signals_are_ours")
@pytest.mark.parametrize("is_imported", [True, False])
def test_a_signal_waits_for_the_end_of_an_import_once_tensorflow_is_imported(
    is_imported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    if is_imported:
        monkeypatch.setitem(sys.modules, "tensorflow", sys)
    reached = []

    def be_stopped() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("the end")

    with pytest.raises(Interrupted), heavy_imports():
        be_stopped()
    assert bool(reached) is is_imported


def fail_to_start_threads() -> None:
    os.write(2, b"OpenBLAS blas_thread_init: pthread_create failed for thread 1 of 2")
    raise KeyboardInterrupt


def test_a_library_that_cannot_start_its_threads_is_out_of_memory_and_was_not_interrupted() -> None:
    with pytest.raises(MemoryError), heavy_imports():
        fail_to_start_threads()
    with pytest.raises(KeyboardInterrupt), heavy_imports():
        raise KeyboardInterrupt


def test_native_messages_are_shown_if_tensorflow_is_asked_for_them(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with heavy_imports():
        greet()
    assert capfd.readouterr().err == "a page of notes\n"


def test_imports_need_no_folder_for_temporary_files(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as changed:  # pytest itself needs one
        changed.setattr("tempfile.tempdir", str(tmp_path / "missing"))
        with heavy_imports():
            greet()
    assert capfd.readouterr().err == "a page of notes\n"


def test_nothing_is_collected_inside_the_block_and_as_before_after_it() -> None:
    with heavy_imports():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), heavy_imports():
        raise ImportError
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("threshold", "later"), [(700, OBJECTS), (OBJECTS_AT_START, OBJECTS), (OBJECTS + 1, OBJECTS + 1), (0, 0)]
)
def test_garbage_is_looked_for_less_often_afterwards_and_never_more_often(threshold: int, later: int) -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(threshold)
        with heavy_imports():
            pass
        assert gc.get_threshold() == (later, *before[1:])
    finally:
        gc.set_threshold(*before)


def test_what_tensorflow_brings_is_never_looked_through_again_and_later_objects_are() -> None:
    script = """
import gc
from src.process.imports import heavy_imports, one_thread_per_operation
with heavy_imports():
    import tensorflow
first = gc.get_freeze_count()
later = [[] for _ in range(10_000)]
with heavy_imports():
    import tensorflow
print(first > 100_000, gc.get_freeze_count() == first)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


def test_keras_is_imported_without_the_extras_and_other_code_finds_them_afterwards() -> None:
    script = """
import sys
from src.process.imports import EXTRAS, heavy_imports
with heavy_imports():
    import keras
print([name for name in EXTRAS if name in sys.modules])
import matplotlib.pyplot, pandas, scipy.stats, sklearn.metrics
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_package_that_was_imported_before_keras_stays() -> None:
    script = """
import sys, matplotlib
from src.process.imports import heavy_imports
with heavy_imports():
    import keras
print(sys.modules["matplotlib"] is matplotlib)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("before", "is_imported", "after"), [(None, False, "1"), ("4", False, "4"), (None, True, None)]
)
def test_operations_get_one_thread_unless_somebody_has_decided_or_it_is_too_late(
    before: str | None, is_imported: bool, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", before or "")
    if before is None:
        monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    if is_imported:
        monkeypatch.setitem(sys.modules, "tensorflow", sys)
    one_thread_per_operation()
    assert os.environ.get("TF_NUM_INTRAOP_THREADS") == after


def test_devices_are_prepared_once_after_the_first_import_of_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[object] = []
    monkeypatch.setattr(imports, "_prepare_devices", prepared.append)
    monkeypatch.setattr(imports, "_leave_no_bytecode", lambda: None)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    with heavy_imports():
        pass
    assert prepared == []
    with heavy_imports(), heavy_imports():
        monkeypatch.setitem(sys.modules, "tensorflow", sys)
    with heavy_imports():
        pass
    assert prepared == [sys]


def test_every_command_that_computes_lets_a_gpu_take_memory_as_needed() -> None:
    script = """
from src.process import imports
prepared = []
imports._prepare_devices = lambda tensorflow: prepared.append(tensorflow.__name__)
from src import saving
saving.load_model
print(prepared)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "['tensorflow']\n"
