"""Servers on this machine to download from."""

import http.server
import threading
from collections.abc import Callable
from typing import Any

Answer = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: "Mirror"

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        answers = self.server.answers
        answers[min(len(self.server.requests), len(answers)) - 1](self)

    def begin(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: pytest's output is for failures."""


class Mirror(http.server.ThreadingHTTPServer):
    """A server on this machine that gives each answer once, in turn, and the last one ever after."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.requests: list[str] = []
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data/"

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


def gives(content: bytes, handler: Handler) -> None:
    handler.begin(len(content))
    handler.wfile.write(content)
