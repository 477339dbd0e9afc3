"""Downloads: a file appears only when it is complete and verified, no matter what the servers do."""

import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from src.datasets import download
from src.datasets.download import fetch
from src.errors import DataError
from src.writing import PART
from tests.support.mirror import Answer, Handler, Mirror, gives

NAME = "digits.gz"
CONTENT = bytes(range(256)) * 40
OTHER = b"what a captive portal says"


def breaks_off(handler: Handler) -> None:
    handler.begin(len(CONTENT))
    handler.wfile.write(CONTENT[: len(CONTENT) // 2])


def breaks_off_in_a_chunk(handler: Handler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n" % len(CONTENT) + CONTENT[: len(CONTENT) // 2])
    handler.close_connection = True


def hangs_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def falls_silent(handler: Handler) -> None:
    breaks_off(handler)
    handler.wfile.flush()
    handler.server.closing.wait(10)  # then sends the rest, so that a client without a time limit takes it
    handler.wfile.write(CONTENT[len(CONTENT) // 2 :])


def has_no_such_file(handler: Handler) -> None:
    handler.send_error(404)


gives_the_file, gives_another = partial(gives, CONTENT), partial(gives, OTHER)


@pytest.fixture
def refusing_url() -> Iterator[str]:
    """An address where nobody listens: the port is bound, so that no other program gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"


def problem_with(path: Path) -> str | None:
    return None if path.read_bytes() == CONTENT else "it is another file"


def get(folder: Path, *urls: str) -> Path:
    return fetch(NAME, list(urls), folder, problem_with)


def files_in(folder: Path) -> dict[str, bytes]:
    """What a user would see there: the lock is hidden."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def test_only_the_complete_file_is_in_the_folder(tmp_path: Path, mirror: Callable[..., Mirror]) -> None:
    path = get(tmp_path, mirror(gives_the_file).url)
    assert path == tmp_path / NAME
    assert files_in(tmp_path) == {NAME: CONTENT}


def test_the_folder_is_created_with_its_parents(tmp_path: Path, mirror: Callable[..., Mirror]) -> None:
    assert get(tmp_path / "data" / "mnist", mirror(gives_the_file).url).read_bytes() == CONTENT


@pytest.mark.parametrize("ending", ["", "/"])
def test_the_name_is_appended_to_the_mirror_with_one_slash(
    tmp_path: Path, mirror: Callable[..., Mirror], ending: str
) -> None:
    server = mirror(gives_the_file)
    get(tmp_path, server.url.rstrip("/") + ending)
    assert server.requests == [f"/data/{NAME}"]


def test_the_final_name_does_not_exist_during_the_download(tmp_path: Path, mirror: Callable[..., Mirror]) -> None:
    seen = []

    def looks_half_way(handler: Handler) -> None:
        handler.begin(len(CONTENT))
        handler.wfile.write(CONTENT[:100])
        seen.append((tmp_path / NAME).exists())
        handler.wfile.write(CONTENT[100:])

    get(tmp_path, mirror(looks_half_way).url)
    assert seen == [False]


def test_the_remains_of_a_killed_download_are_replaced(tmp_path: Path, mirror: Callable[..., Mirror]) -> None:
    left_behind = tmp_path / f"{PART}{NAME}"
    left_behind.write_bytes(OTHER + CONTENT)
    get(tmp_path, mirror(gives_the_file).url)
    assert files_in(tmp_path) == {NAME: CONTENT}
    assert not left_behind.exists()


def test_a_verified_file_is_not_downloaded_again(tmp_path: Path, mirror: Callable[..., Mirror]) -> None:
    server = mirror(gives_the_file)
    assert get(tmp_path, server.url) == get(tmp_path, server.url)
    assert len(server.requests) == 1


def test_a_file_with_other_content_is_replaced(tmp_path: Path, mirror: Callable[..., Mirror]) -> None:
    (tmp_path / NAME).write_bytes(OTHER)
    get(tmp_path, mirror(gives_the_file).url)
    assert files_in(tmp_path) == {NAME: CONTENT}


@pytest.mark.parametrize("fault", [breaks_off, breaks_off_in_a_chunk, hangs_up, falls_silent])
def test_a_connection_that_breaks_off_is_tried_again(
    tmp_path: Path, mirror: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch, fault: Answer
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 1)
    server = mirror(fault, gives_the_file)
    get(tmp_path, server.url)
    assert files_in(tmp_path) == {NAME: CONTENT}
    assert len(server.requests) == 2


@pytest.mark.parametrize("answer", [gives_another, has_no_such_file])
def test_a_server_that_answers_without_the_file_is_asked_only_once(
    tmp_path: Path, mirror: Callable[..., Mirror], answer: Answer
) -> None:
    server = mirror(answer, gives_the_file)
    with pytest.raises(DataError):
        get(tmp_path, server.url)
    assert len(server.requests) == 1


FAULTS = pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(breaks_off, f"{len(CONTENT) // 2} of {len(CONTENT)} bytes", id="always breaks off"),
        pytest.param(gives_another, "it is another file", id="other content"),
        pytest.param(has_no_such_file, "404", id="not there"),
        pytest.param(None, "no connection", id="refused"),
    ],
)


@FAULTS
def test_a_mirror_without_the_file_is_named_with_the_reason_and_leaves_no_file(
    tmp_path: Path, mirror: Callable[..., Mirror], refusing_url: str, fault: Answer | None, reason: str
) -> None:
    url = mirror(fault).url if fault else refusing_url
    with pytest.raises(DataError) as raised:
        get(tmp_path, url)
    assert f"{url}{NAME}: " in str(raised.value)
    assert reason in str(raised.value)
    assert files_in(tmp_path) == {}


@FAULTS
def test_the_next_mirror_is_tried(
    tmp_path: Path, mirror: Callable[..., Mirror], refusing_url: str, fault: Answer | None, reason: str
) -> None:
    good = mirror(gives_the_file)
    get(tmp_path, mirror(fault).url if fault else refusing_url, good.url)
    assert files_in(tmp_path) == {NAME: CONTENT}
    assert len(good.requests) == 1


def test_when_every_mirror_fails_each_is_named(tmp_path: Path, mirror: Callable[..., Mirror]) -> None:
    first, second = mirror(has_no_such_file), mirror(gives_another)
    with pytest.raises(DataError) as raised:
        get(tmp_path, first.url, second.url)
    assert first.url in str(raised.value)
    assert second.url in str(raised.value)


def test_without_a_mirror_the_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"no mirror is set for {NAME}"):
        get(tmp_path)


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(
    tmp_path: Path, mirror: Callable[..., Mirror]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "mnist"
    with pytest.raises(DataError) as raised:
        get(folder, mirror(gives_the_file).url)
    assert f"{folder / NAME} cannot be written: Not a directory" in str(raised.value)
    assert "set dataset.data_dir to a writable folder" in str(raised.value)


def ask_together(barrier: Any, folder: Path, url: str) -> None:
    barrier.wait(60)
    get(folder, url)


SPAWN = multiprocessing.get_context("spawn")


@pytest.mark.parametrize("worker", [threading.Thread, SPAWN.Process], ids=["threads", "processes"])
def test_several_processes_share_one_download(
    tmp_path: Path, mirror: Callable[..., Mirror], worker: Callable[..., Any]
) -> None:
    def takes_a_moment(handler: Handler) -> None:
        handler.server.closing.wait(0.3)  # so that the other one arrives before the file is there
        gives_the_file(handler)

    server, barrier = mirror(takes_a_moment), SPAWN.Barrier(2)
    workers = [worker(target=ask_together, args=(barrier, tmp_path, server.url)) for _ in range(2)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert [getattr(one, "exitcode", 0) for one in workers] == [0, 0]
    assert files_in(tmp_path) == {NAME: CONTENT}
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["http://[x/", "http://127.0.0.1/dä/"])
def test_after_an_invalid_address_the_next_is_tried(tmp_path: Path, mirror: Callable[..., Mirror], url: str) -> None:
    get(tmp_path, url, mirror(gives_the_file).url)
    assert files_in(tmp_path) == {NAME: CONTENT}


def has_no_sensible_length(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "many")
    handler.end_headers()
    handler.wfile.write(CONTENT)


def test_after_an_invalid_length_the_next_mirror_is_tried(tmp_path: Path, mirror: Callable[..., Mirror]) -> None:
    get(tmp_path, mirror(has_no_sensible_length).url, mirror(gives_the_file).url)
    assert files_in(tmp_path) == {NAME: CONTENT}
