"""The HTTP interface of a model: pictures and raw pixels in, classes and probabilities or one sentence out."""

import contextlib
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
import uvicorn
from PIL import ExifTags, Image

from src.classifier import Classifier
from src.errors import ModelFileError
from src.serving import ServedModel, make_app
from tests.support.servers import free_port

CLASSES = ["dark", "light"]
LIMIT = 200_000  # bytes
SIDE = 4
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def brightness(images: np.ndarray) -> np.ndarray:
    """The probabilities of a model for which an image is as light as its mean pixel."""
    light = images.mean(axis=(1, 2, 3), dtype=np.float32) / 255
    return np.stack([1 - light, light], axis=1)


@contextlib.contextmanager
def running(app: Any, host: str = "127.0.0.1") -> Iterator[str]:
    """The address of the application, served by a thread for as long as the block lasts."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def served(**changes: Any) -> ServedModel:
    settings: dict[str, Any] = {
        "name": "models:/pets@champion",
        "class_names": CLASSES,
        "input_shape": (SIDE, SIDE, 1),
        "resize_mode": "stretch",
        "converts": False,
        "load": lambda: brightness,
    }
    return ServedModel(Classifier(**settings | changes), brightness, LIMIT)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(make_app(served(), is_local=True)) as found:
        yield found


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(brightness: int, size: tuple[int, int] = (SIDE, SIDE), mode: str = "L", kind: str = "PNG") -> bytes:
    return encoded(Image.new(mode, size, brightness if mode == "L" else (brightness,) * len(mode)), kind)


def refused(answer: requests.Response, status: int = 400) -> str:
    """The sentence of a refusal."""
    assert answer.status_code == status
    found = answer.json()
    assert found["error_code"] == "BAD_REQUEST"
    message: str = found["message"]
    assert len(message) < 250
    assert "\n" not in message
    return message


# --- pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [png(255), png(255, (30, 7)), png(255, mode="RGB"), png(255, mode="RGBA"), png(255, mode="RGB", kind="JPEG")],
    ids=["size of the model", "another size", "colors", "transparency", "another format"],
)
def test_a_picture_gets_its_class_and_all_probabilities(address: str, content: bytes) -> None:
    answer = requests.post(f"{address}/predict", files={"image": content}).json()
    (prediction,) = answer["predictions"]
    assert (answer["model"], prediction["class"]) == ("models:/pets@champion", "light")
    assert prediction["probabilities"] == pytest.approx({"dark": 0, "light": 1}, abs=0.01)
    assert prediction["probability"] == prediction["probabilities"]["light"]


def test_several_pictures_are_answered_in_their_order_by_their_names(address: str) -> None:
    pictures = [("image", (f"{level}.png", png(level))) for level in (255, 51, 0)]
    found = requests.post(f"{address}/predict", files=pictures).json()["predictions"]
    assert [(each["file"], each["class"]) for each in found] == [
        ("255.png", "light"),
        ("51.png", "dark"),
        ("0.png", "dark"),
    ]
    assert found[1]["probability"] == pytest.approx(0.8)


def test_a_picture_may_be_the_body_of_the_request(address: str) -> None:
    answer = requests.post(f"{address}/predict", data=png(255), headers={"Content-Type": "image/png"})
    assert answer.json()["predictions"][0]["class"] == "light"


@pytest.mark.parametrize(("resize", "expected"), [("stretch", 0.5), ("crop", 0.95), ("pad", 0.25)])
def test_pictures_are_resized_as_in_the_training(resize: str, expected: float) -> None:
    picture = Image.new("L", (16, 8))
    picture.paste(255, (4, 0, 12, 8))
    with running(make_app(served(resize_mode=resize), is_local=True)) as address:
        answer = requests.post(f"{address}/predict", files={"image": encoded(picture)}).json()
    assert answer["predictions"][0]["probabilities"]["light"] == pytest.approx(expected, abs=0.05)


UNUSUAL = {
    "16 bits per channel": encoded(Image.new("I;16", (SIDE, SIDE), 65_535)),
    "CMYK": encoded(Image.new("CMYK", (SIDE, SIDE)), "JPEG"),  # no ink: white
}


@pytest.mark.parametrize("reason", UNUSUAL)
def test_an_unusual_picture_is_converted_if_the_training_converted_such_pictures_and_else_refused(reason: str) -> None:
    with running(make_app(served(converts=True), is_local=True)) as address:
        answer = requests.post(f"{address}/predict", files={"image": UNUSUAL[reason]}).json()
    assert answer["predictions"][0]["probabilities"]["light"] == pytest.approx(1, abs=0.01)
    with running(make_app(served(converts=False), is_local=True)) as address:
        assert reason in refused(requests.post(f"{address}/predict", files={"image": UNUSUAL[reason]}))


def test_the_colors_of_a_palette_are_looked_up(address: str) -> None:
    picture = Image.new("P", (SIDE, SIDE), 1)
    picture.putpalette([0, 0, 0, 255, 255, 255])
    answer = requests.post(f"{address}/predict", files={"image": encoded(picture)}).json()
    assert answer["predictions"][0]["probabilities"]["light"] == pytest.approx(1)


@pytest.mark.parametrize(("orientation", "expected"), [(1, 0.5), (6, 1.0)])
def test_a_photo_is_turned_as_its_camera_says(orientation: int, expected: float) -> None:
    photo = Image.new("L", (16, 8))
    photo.paste(255, (4, 0, 12, 8))  # upright, its middle rows are light
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = encoded(photo, "JPEG", exif=exif)
    with running(make_app(served(input_shape=(SIDE, 2 * SIDE, 1), resize_mode="crop"), is_local=True)) as address:
        answer = requests.post(f"{address}/predict", files={"image": content}).json()
    assert answer["predictions"][0]["probabilities"]["light"] == pytest.approx(expected, abs=0.05)


def test_probabilities_are_corrected_with_a_temperature() -> None:
    with running(make_app(served(temperature=2.0), is_local=True)) as address:
        (found,) = requests.post(f"{address}/predict", files={"image": png(51)}).json()["predictions"]
    assert found["probabilities"] == pytest.approx({"dark": 2 / 3, "light": 1 / 3})  # of square roots


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        ({"files": {"image": ("cat.png", b"no picture at all")}}, 400, "cat.png is not an image that can be read"),
        ({"files": {"image": ("cat.png", png(9)[:45])}}, 400, "cat.png is not an image that can be read"),
        ({"files": {"image": ("cat.png", b"")}}, 400, "cat.png is not an image that can be read (empty file)"),
        ({"files": {"image": ("cat.jpg", png(9))}}, 400, "cat.jpg is not an image that can be read (suffix of another"),
        ({"files": {"picture": png(9)}}, 400, "the form has no field 'image', only ['picture']; send it like this:"),
        ({"files": {"other": b""}, "data": {"image": "cat.png"}}, 400, "the field 'image' has text in it; put @"),
        ({"data": {"image": "cat.png"}}, 415, "content type: got application/x-www-form-urlencoded, expected a form"),
        ({"data": b"x"}, 415, "content type: got none, expected a form with a picture: curl -F image=@cat.png"),
        ({"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "the form cannot be read"),
        ({"data": b"--x\r\nnon", "headers": FORM}, 400, "the form has no field 'image', only []"),
        ({"data": b"--x\r\n\r\n", "headers": FORM}, 400, "the form cannot be read"),
        ({"data": b"--y--", "headers": FORM}, 400, "the form cannot be read"),
        ({"files": {"image": b"0" * LIMIT}}, 413, "the request is larger than 0.2 MB; send fewer or smaller pictures"),
        ({"files": {"image": png(9, (10_000, 10_000))}}, 400, "image has more than"),
    ],
)
def test_something_else_than_a_picture_is_answered_by_a_sentence(
    address: str, request_: dict[str, Any], status: int, sentence: str
) -> None:
    assert refused(requests.post(f"{address}/predict", **request_), status).startswith(sentence)


def test_a_request_without_a_stated_length_is_limited_too(address: str) -> None:
    chunks = (b"0" * 10_000 for _ in range(30))
    answer = requests.post(f"{address}/predict", data=chunks, headers={"Content-Type": "image/png"})
    assert refused(answer, 413).startswith("the request is larger than 0.2 MB")


# --- raw pixels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_raw_pixels_are_answered_as_by_mlflow(address: str, key: str) -> None:
    images = np.full((2, SIDE, SIDE, 1), 51).tolist()
    answer = requests.post(f"{address}/invocations", json={key: images}).json()
    assert answer == {"predictions": [pytest.approx([0.8, 0.2])] * 2}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"inputs": [[[[0]] * 5] * 5]}, "inputs: got an array of shape (1, 5, 5, 1); expected"),
        ({"inputs": [[0] * 4] * 4}, "inputs: got an array of shape (4, 4); expected"),
        ({"inputs": []}, "inputs: got an array of shape (0,); expected"),
        ({"inputs": [[[[0]] * 4] * 4, [[[0]] * 3] * 4]}, "inputs: the images differ in shape; expected"),
        ({"inputs": [[[[256]] * 4] * 4]}, "inputs: got values other than integers from 0 to 255; expected"),
        ({"inputs": [[[[0.5]] * 4] * 4]}, "inputs: got values other than integers from 0 to 255; expected"),
        ({"inputs": [[[["a"]] * 4] * 4]}, "inputs: got values other than integers from 0 to 255; expected"),
        ({"image": []}, "the request is not JSON with the key inputs; expected"),
        ([1], "the request is not JSON with the key inputs; expected"),
    ],
)
def test_something_else_than_images_of_the_model_is_answered_by_a_sentence(
    address: str, body: Any, sentence: str
) -> None:
    answer = refused(requests.post(f"{address}/invocations", json=body))
    assert answer.startswith(sentence)
    assert answer.endswith('expected {"inputs": [...]} with n images of 4x4x1 integers from 0 to 255')


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_something_else_than_json_is_answered_by_a_sentence(address: str, body: bytes) -> None:
    assert refused(requests.post(f"{address}/invocations", data=body)).startswith(
        "the request is not JSON with the key"
    )


# --- the server --------------------------------------------------------------------------------------------------


def test_the_model_describes_itself(address: str) -> None:
    found = requests.get(address).json()
    assert (found["classes"], found["input"]["height"]) == (CLASSES, SIDE)


@pytest.mark.parametrize("path", ["health", "ping"])
def test_it_answers_when_it_is_ready(address: str, path: str) -> None:
    assert requests.get(f"{address}/{path}").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5001", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "[::1", ""]
)
def test_a_host_header_of_another_machine_is_refused(address: str, host: str) -> None:
    answer = requests.get(address, headers={"Host": host})
    assert refused(answer) == f"the request names the host {host!r}, expected localhost or a loopback address"


def test_a_model_for_other_machines_is_served_under_any_name() -> None:
    with running(make_app(served(), is_local=False)) as address:
        assert requests.get(address, headers={"Host": "models.example"}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_every_address_of_this_machine_alone_can_be_served_on(host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("this machine has no ::1")
    with running(make_app(served(), is_local=True), host) as address:
        assert requests.post(f"{address}/predict", files={"image": png(255)}).status_code == 200
        name = address.replace(f"[{host}]", "localhost").replace(host, "localhost").removeprefix("http://")
        assert requests.get(address, headers={"Host": name}).status_code == 200


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/predict", 405), ("POST", "/health", 405)]
)
def test_another_address_or_method_is_answered_by_a_sentence(address: str, method: str, path: str, status: int) -> None:
    answer = refused(requests.request(method, f"{address}{path}"), status)
    assert answer.startswith(f"there is no {method} {path}: POST /predict takes pictures")


def test_a_model_that_cannot_be_run_is_answered_by_a_sentence() -> None:
    def exhaust(images: np.ndarray) -> np.ndarray:
        raise ModelFileError("model.onnx cannot be run on images of 4x4x1: out of memory")

    model = ServedModel(served().classifier, exhaust, LIMIT)
    with running(make_app(model, is_local=True)) as address:
        answer = requests.post(f"{address}/predict", files={"image": png(255)})
    assert answer.status_code == 500
    assert answer.json() == {
        "error_code": "INTERNAL_ERROR",
        "message": "model.onnx cannot be run on images of 4x4x1: out of memory",
    }


def test_an_upload_that_ends_in_the_middle_prints_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with running(make_app(served(), is_local=True)) as address:
        logging.getLogger("uvicorn.error").addHandler(caplog.handler)
        try:
            host, _, port = address.removeprefix("http://").partition(":")
            with socket.create_connection((host, int(port))) as upload:
                head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\n"
                upload.sendall(f"{head}Content-Length: 9000\r\n\r\n".encode() + png(255)[:40])
                time.sleep(0.2)  # until the server waits for the rest
            assert requests.get(f"{address}/health").ok
        finally:
            logging.getLogger("uvicorn.error").removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_requests_at_the_same_time_are_all_answered(address: str) -> None:
    found: list[float] = []

    def ask(level: int) -> None:
        images = np.full((1, SIDE, SIDE, 1), level).tolist()
        answer = requests.post(f"{address}/invocations", data=json.dumps({"inputs": images})).json()
        found.append(round(255 * answer["predictions"][0][1]))

    threads = [threading.Thread(target=ask, args=(level,)) for level in range(0, 250, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(0, 250, 10))
