"""Errors that nothing handles: their tracebacks show no secret, and some are one sentence."""

import signal
import subprocess
import sys

import pytest

from src.process.failures import describe_memory_error
from tests.support.workplace import ROOT, Workplace

SECRET = "hunter2-XYZ"
GIVEN = {"DB_PASSWORD": SECRET}
URL = f"postgresql://ada:{SECRET}@db.example/x"
AWKWARD_URL = f"postgresql://ada:{SECRET}/a@db.example/x"  # SQLAlchemy reads a password up to the @
PLACES = {  # where an error may come up
    "main thread": "raise RuntimeError(text)",
    "another thread": "import threading; thread = threading.Thread(target=fail); thread.start(); thread.join()",
    "freed object": "Failing()",
    "cause": "\ntry:\n    fail()\nexcept RuntimeError as error:\n    raise KeyError('outer') from error",
}
SCRIPT = """
import os, sys
import src
sys.argv = ["src.train", *{arguments!r}]
text = {text!r}
def fail():
    raise RuntimeError(text)
class Failing:
    def __del__(self):
        fail()
{place}
"""


def python(script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    start = [sys.executable, "-c", script]
    environment = {"PATH": "/usr/bin:/bin", **variables}
    return subprocess.run(start, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], f"cannot connect to {URL}"),
        ([f"tracking.uri={AWKWARD_URL}"], f"cannot connect to {AWKWARD_URL}"),
        ([f"tags.api_key={SECRET}"], f"the tag is {SECRET}"),
        ([], f"the variable is {SECRET}"),
        (["tags.note=${oc.env:NOTE}"], "the note is from-the-environment"),
    ],
)
def test_no_traceback_shows_a_secret(place: str, arguments: list[str], text: str) -> None:
    done = python(
        SCRIPT.format(arguments=arguments, text=text, place=PLACES[place]), NOTE="from-the-environment", **GIVEN
    )
    assert "RuntimeError" in done.stderr
    assert "***" in done.stderr
    assert SECRET not in done.stderr
    assert "from-the-environment" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [f"--sotrage={URL}"],
        ["--cfg", URL],
        ["--cfg", "job", "--info", f"{AWKWARD_URL}"],
    ],
)
@pytest.mark.parametrize("module", ["src.train", "src.summary", "src.sweep"])
def test_a_flag_that_cannot_be_read_is_answered_in_one_line_without_secrets(
    module: str, arguments: list[str], workplace: Workplace
) -> None:
    done = workplace.run(module, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith("; --help lists the flags\n")
    assert SECRET not in done.stderr


def test_the_traceback_that_a_user_asks_for_shows_no_secret(workplace: Workplace) -> None:
    typed = ["model=lennot", f"tracking.uri='{URL}'", f"tags.password={SECRET}", "tags.note=${oc.env:NOTE}"]
    done = workplace.run("src.train", *typed, HYDRA_FULL_ERROR="1", NOTE=SECRET)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert SECRET not in done.stderr


# --- one sentence --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 3 GiB"),
        OSError(12, "Cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        SystemError("error return without exception set"),
    ],
)
def test_too_little_memory_is_one_sentence(error: Exception) -> None:
    sentence = describe_memory_error(error)
    assert sentence is not None
    assert sentence.startswith("error: out of memory (")
    wrapped = ImportError("tensorflow")
    wrapped.__cause__ = error
    assert describe_memory_error(wrapped) == sentence


def test_the_tensor_that_tensorflow_has_no_memory_for_is_named_and_not_where_in_the_graph_it_is() -> None:
    import tensorflow as tf

    text = "Graph execution error:\n\nOOM when allocating tensor with shape[2,3] and type float on /job:localhost"
    assert describe_memory_error(tf.errors.ResourceExhaustedError(None, None, text)) == (
        "error: out of memory (OOM when allocating tensor with shape[2,3] and type float); free memory, raise the "
        "limit (ulimit -v), or use smaller or fewer images"
    )


@pytest.mark.parametrize(
    "error", [ImportError("no module"), OSError(2, "no such file"), RuntimeError("other"), KeyError()]
)
def test_other_errors_are_not_taken_for_too_little_memory(error: Exception) -> None:
    assert describe_memory_error(error) is None


def test_a_process_whose_imports_find_no_memory_ends_with_one_sentence() -> None:
    done = python("import src\nraise ImportError('libx.so: cannot allocate memory in static TLS block')")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: out of memory (libx.so: cannot allocate memory")


IN_A_CLASS = """
class Slow:
    def __set_name__(self, owner, name):
        signal.raise_signal(signal.SIGINT)
class Imported:
    value = Slow()
"""


@pytest.mark.parametrize("script", ["signal.raise_signal(signal.SIGINT)", "raise KeyboardInterrupt", IN_A_CLASS])
def test_ctrl_c_while_python_still_imports_ends_with_one_sentence(script: str) -> None:
    done = python(f"import signal, src\n{script}")
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "stopped by SIGINT\n")


WORKER = """
import os, sys
import src
from src.sweep import worker
sys.argv = ["src.train", "tags.api_key=hunter2-XYZ"]
class Broken:
    def recv_bytes(self):
        import time
        time.sleep(60)
def fail():
    raise RuntimeError("the tag is hunter2-XYZ")
worker._import_early = fail
worker.work(Broken())
"""


def test_what_a_worker_process_says_of_its_end_shows_no_secret() -> None:
    done = python(WORKER)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "a worker ended: the tag is ***")
    assert done.stderr.startswith("Traceback")
    assert SECRET not in done.stderr
