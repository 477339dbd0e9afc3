"""Ending a process when its parent ends."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(pid: int, exit_code: int) -> None:
    """Have Linux kill this process when its parent ends; end it now if that has happened already.

    It takes effect while Python is busy importing a library, and in a process that does not respond. Other systems do
    nothing here. For Linux the parent is the thread that started the process, so start it from the main thread.

    The signal is SIGKILL, so that no process survives. What must outlast the parent is on the disk already.

    Args:
        pid: the number of the parent's process, as the parent knows it.
        exit_code: that of a process whose parent has ended already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != pid:  # it ended before the call above
            os._exit(exit_code)
