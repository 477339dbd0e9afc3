"""Importing MLflow and TensorFlow, which takes most of a command's start."""

import contextlib
import gc
import importlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from src.process.interrupt import deferred

# New objects between two garbage collections. Python's 700 are few when there are a million objects.
OBJECTS = 10_000
OBJECTS_AT_START = 100_000  # more than a command creates before it imports a large library, and most of them stay


def collect_garbage_less_often(objects: int = OBJECTS) -> None:
    """Let Python collect garbage after this many new objects, unless the user has chosen another number."""
    if 0 < gc.get_threshold()[0] < OBJECTS or gc.get_threshold()[0] == OBJECTS_AT_START:
        gc.set_threshold(objects)


KERAS = ("keras", "tensorflow")  # TensorFlow imports Keras, or Keras TensorFlow
# A third of what Keras and TensorFlow take to import, for features that nothing here uses.
EXTRAS = ("matplotlib", "pandas", "scipy", "sklearn")

_nested = False  # whether the process is inside `heavy_imports`


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Import MLflow or TensorFlow inside: without their messages and with garbage collection paused.

    `src.process.lazy` imports inside this block, and does nothing else there.

    The libraries create a million objects, all of which stay. Python would go through them again and again meanwhile,
    at each collection afterwards, and once more at the very end. Work with them, such as creating a store or saving a
    model, creates hundreds of thousands more, so from here on Python collects less often.

    Once TensorFlow is imported, a signal waits until the block ends: a library that is interrupted while it is imported
    may hide that from its caller behind an error of its own, and a training that is stopped would then have failed.

    TensorFlow and Keras do not find the packages in `EXTRAS`, unless they have been imported before. After the first
    import of TensorFlow its devices are prepared.
    """
    global _nested
    if _nested:
        yield
        return
    collect_garbage_less_often()
    is_first = "tensorflow" not in sys.modules
    was_enabled = gc.isenabled()
    gc.disable()
    _nested = True
    try:
        with (
            _extras_hidden_from_keras() if is_first else deferred(),
            _native_messages_hidden(),
            _own_matplotlib_settings(),
        ):
            yield
            if is_first and "tensorflow" in sys.modules:
                _prepare_devices(sys.modules["tensorflow"])
                _leave_no_bytecode()
    finally:
        _nested = False
        if was_enabled:
            gc.enable()
        if is_first and "tensorflow" in sys.modules:
            gc.freeze()


@contextmanager
def _extras_hidden_from_keras() -> Iterator[None]:
    finder = _KerasFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _KerasFinder:
    """Finds TensorFlow and Keras where Python does, and hides the extras while their own code runs."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name in KERAS else None
        if spec is not None:
            loader: Any = spec.loader
            execute = loader.exec_module
            loader.exec_module = lambda module: _execute_without_extras(execute, module)
        return spec


def _execute_without_extras(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    hidden: dict[str, Any] = {name: None for name in EXTRAS if name not in sys.modules}
    sys.modules.update(hidden)  # None makes `import` raise ModuleNotFoundError
    try:
        execute(module)
    finally:
        for name in hidden:
            del sys.modules[name]


def _leave_no_bytecode() -> None:
    """Keep Python from compiling, among the temporary files, the modules that TensorFlow generates from functions.

    TensorFlow removes its modules when the process ends, but not what was compiled from them.
    """
    loader: Any = importlib.import_module("tensorflow.python.autograph.pyct.loader")
    load = loader.load_source

    def load_source(*arguments: Any, **named: Any) -> Any:
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            return load(*arguments, **named)
        finally:
            sys.dont_write_bytecode = before

    loader.load_source = load_source


def _prepare_devices(tensorflow: Any) -> None:
    """Let each visible GPU take memory as it needs it; by default TensorFlow takes all of it at once."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns when many networks are trained in one process
    for gpu in tensorflow.config.list_physical_devices("GPU"):
        tensorflow.config.experimental.set_memory_growth(gpu, True)
    tensorflow.config.list_logical_devices()  # the driver prints its messages when it is first asked


def one_thread_per_operation() -> None:
    """Have TensorFlow compute each operation in one thread, unless it is imported or the environment decides."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


@contextmanager
def _native_messages_hidden() -> Iterator[None]:
    """Hide what native libraries write to the error stream during an import; show it when the import fails.

    TensorFlow prints a page of notes before its own log level is in force. TF_CPP_MIN_LOG_LEVEL=0 shows them.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0" or (file := _temporary_file()) is None:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with file as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except Exception:
            messages.seek(0)
            os.write(kept, messages.read())
            raise
        except KeyboardInterrupt:
            messages.seek(0)
            if b"pthread_create failed" in messages.read():  # OpenBLAS then sends the process SIGINT
                raise MemoryError("OpenBLAS cannot start its threads") from None
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def _own_matplotlib_settings() -> Iterator[None]:
    """Keep Matplotlib from reading a `matplotlibrc` of the user when it is imported, which changes pictures or fails.

    It looks for one in the working folder first; no setting prevents that.
    """
    if "matplotlib" in sys.modules or "IPython" in sys.modules:
        yield
        return
    spec = importlib.util.find_spec("matplotlib")
    for folder in (spec.submodule_search_locations if spec else None) or []:
        os.environ["MATPLOTLIBRC"] = str(Path(folder, "mpl-data", "matplotlibrc"))
    exists = os.path.exists
    setattr(os.path, "exists", lambda path: path != "matplotlibrc" and exists(path))  # noqa: B010 - mypy forbids it
    try:
        yield
    finally:
        setattr(os.path, "exists", exists)  # noqa: B010


def _temporary_file() -> IO[bytes] | None:
    """Return a temporary file, None when none can be made."""
    with contextlib.suppress(OSError):
        return tempfile.TemporaryFile()
    return None
