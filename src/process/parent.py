"""The end of a process whose parent has ended."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(pid: int, exit_code: int) -> None:
    """Have Linux kill this process when its parent ends; end it now if that has happened already.

    It takes effect while Python is busy importing a library, and in a process that does not respond. Other systems do
    nothing here. Linux means the parent's thread, so start such a process from the main thread.

    SIGKILL, because nothing that a process could do after SIGTERM is worth a survivor: what must outlast the parent is
    on the disk before.

    Args:
        pid: the number of the parent's process, as the parent knows it.
        exit_code: that of a process whose parent has ended already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != pid:  # it ended before the call above
            os._exit(exit_code)
