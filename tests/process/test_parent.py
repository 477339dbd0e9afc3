"""A process that ends with its parent, even when it does not respond."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.support.workplace import ROOT

CHILD = """
import os, signal, sys, time
from src.process.parent import end_with_parent
end_with_parent(int(sys.argv[1]), 7)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
print(os.getpid(), flush=True)
time.sleep(600)
"""
PARENT = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())])
child.wait()
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no signal for it")


@pytest.mark.fault
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_does_not_respond_ends_with_its_parent(signum: int) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signum)
        parent.wait()
        child.wait(timeout=30)


@pytest.mark.parametrize(("is_parent", "code"), [(True, 0), (False, 7)])
def test_a_process_that_has_another_parent_than_it_expects_ends_at_once(is_parent: bool, code: int) -> None:
    pid = os.getpid() if is_parent else os.getppid()
    script = f"from src.process.parent import end_with_parent; end_with_parent({pid}, 7)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60).returncode == code
