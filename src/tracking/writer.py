"""Writing metrics in the background, so that training does not wait for the store."""

import queue
import threading
from collections.abc import Callable

from src.errors import StoreError
from src.tracking.store import explain_refusal


class Writer:
    """A background thread that makes calls in order. Its first error is raised at the next `put` or `flush`.

    Args:
        uri: the address of the store, for the error message.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._queue: queue.Queue[Callable[[], object]] = queue.Queue()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def put(self, write: Callable[[], object]) -> None:
        """Queue a call.

        Raises:
            StoreError: an earlier call failed.
        """
        self._raise_error()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tracking-writer", daemon=True)
            self._thread.start()
        self._queue.put(write)

    def flush(self) -> None:
        """Wait for all calls.

        Raises:
            StoreError: one of them failed.
        """
        self._queue.join()
        self._raise_error()

    def _work(self) -> None:
        while True:
            write = self._queue.get()
            try:
                if self._error is None:
                    write()
            except Exception as error:  # raised in the main thread
                self._error = error
            finally:
                self._queue.task_done()

    def _raise_error(self) -> None:
        if self._error is not None:
            reason = explain_refusal(self._uri, self._error) or str(self._error).splitlines()[0]
            raise StoreError(f"the tracking store no longer accepts metrics: {reason}") from self._error
