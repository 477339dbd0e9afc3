"""The HTTP interface of a model: pictures or raw pixels come in, classes and probabilities go out."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from src.classifier import Classifier
from src.datasets import ImageBytes, read_image
from src.errors import DataError, ModelFileError
from src.results import MEGABYTE

FIELD = "image"
EXAMPLE = "curl -F image=@cat.png http://HOST:PORT/predict"
ROUTES = "POST /predict takes pictures, POST /invocations takes pixels, GET / describes the model"
PIXELS = ("inputs", "instances")  # the keys that MLflow's scoring server takes

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


class Refused(Exception):
    """A request that cannot be answered: the status code, and a sentence that says what was expected."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Answer(NamedTuple):
    """The prediction for one picture."""

    file: str
    predicted: str
    probabilities: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return it as the server sends it."""
        return {
            "file": self.file,
            "class": self.predicted,
            "probability": self.probabilities[self.predicted],
            "probabilities": self.probabilities,
        }


@dataclass(frozen=True)
class ServedModel:
    """A model that answers one request at a time, because each uses all cores.

    Attributes:
        classifier: the model.
        compute: its function, which was loaded.
        max_bytes: of a request.
    """

    classifier: Classifier
    compute: Callable[[Pixels], Probabilities]
    max_bytes: int
    lock: Lock = field(default_factory=Lock)

    def probabilities(self, images: Pixels) -> Probabilities:
        """Return the probabilities of images, float32, (n, classes)."""
        with self.lock:
            return self.classifier.calibrated(self.compute(images))

    def classify(self, pictures: Sequence[ImageBytes]) -> list[Answer]:
        """Return the prediction for each picture; raises DataError for one that cannot be read."""
        model = self.classifier
        with self.lock:  # reading changes the warning filters of the process
            read = [read_image(one, *model.input_shape, model.resize_mode, model.converts).pixels for one in pictures]
        answers = []
        for picture, scores in zip(pictures, self.probabilities(np.stack(read)), strict=True):
            named = dict(zip(model.class_names, map(float, scores), strict=True))
            answers.append(Answer(picture.name, model.class_names[int(scores.argmax())], named))
        return answers

    def warm_up(self) -> None:
        """Compute once, because the first call takes longer."""
        self.compute(np.zeros((1, *self.classifier.input_shape), np.uint8))

    def as_json(self) -> dict[str, Any]:
        """Return what the model is and takes, as the server describes it."""
        height, width, channels = self.classifier.input_shape
        return {
            "model": self.classifier.name,
            "classes": list(self.classifier.class_names),
            "input": {"height": height, "width": width, "channels": channels, "type": "uint8"},
            "pictures": EXAMPLE,
        }


def make_app(served: ServedModel, is_local: bool) -> Starlette:
    """Return the application that answers requests to a model.

    - `POST /predict` takes pictures: a form with one or more files in the field `image`, or one file as the body.
    - `POST /invocations` takes raw pixels as MLflow's scoring server does.
    - `GET /` describes the model; `GET /health` and `GET /ping` answer when it is ready.

    Args:
        served: the model.
        is_local: whether only this machine may use it: then requests under another name of the host are refused.
    """

    shape = served.classifier.input_shape

    async def predict(request: Request) -> Response:
        pictures = await _read_pictures(request, served.max_bytes)
        answers = await run_in_threadpool(served.classify, pictures)
        return JSONResponse({"model": served.classifier.name, "predictions": [answer.as_json() for answer in answers]})

    async def invocations(request: Request) -> Response:
        images = await run_in_threadpool(_pixels_in, await _read_body(request, served.max_bytes), shape)
        scores = await run_in_threadpool(served.probabilities, images)
        return JSONResponse({"predictions": scores.tolist()})

    async def describe(request: Request) -> Response:
        return JSONResponse(served.as_json())

    async def ready(request: Request) -> Response:
        return Response("\n", media_type="application/json")

    async def refuse(request: Request, error: Exception) -> Response:
        return _refusal(error.status if isinstance(error, Refused) else 400, str(error))

    async def fail(request: Request, error: Exception) -> Response:
        return _refusal(500, str(error))

    async def refuse_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _refusal(error.status_code, f"there is no {request.method} {request.url.path}: {ROUTES}", error.headers)

    return Starlette(
        routes=[
            Route("/", describe),
            Route("/predict", predict, methods=["POST"]),
            Route("/invocations", invocations, methods=["POST"]),
            Route("/health", ready),
            Route("/ping", ready),
        ],
        middleware=[Middleware(LocalOnly)] if is_local else [],
        exception_handlers={
            Refused: refuse,
            DataError: refuse,
            HTTPException: refuse_route,
            ModelFileError: fail,
            ClientDisconnect: refuse,  # nobody reads the answer, but without one the server prints a traceback
        },
    )


class LocalOnly:
    """Refuses requests whose Host header is neither `localhost` nor a loopback address.

    This stops DNS rebinding: a page of another site cannot use the model by giving this machine a name of that site.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "") if scope["type"] == "http" else "localhost"
        if _is_local(host):
            await self.app(scope, receive, send)
        else:
            sentence = f"the request names the host {host!r}, expected localhost or a loopback address"
            await _refusal(400, sentence)(scope, receive, send)


def _is_local(host: str) -> bool:
    """Return True if a Host header is `localhost` or a loopback address, with or without a port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:  # another name, or no name at all
        return False


def _refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    code = "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR"
    return JSONResponse({"error_code": code, "message": sentence}, status, headers)


async def _read_pictures(request: Request, limit: int) -> list[ImageBytes]:
    """Return the pictures of a request.

    Raises:
        Refused: it contains none, or is too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data" and not kind.startswith("image/"):
        raise Refused(415, f"content type: got {kind or 'none'}, expected a form with a picture: {EXAMPLE}")
    body = await _read_body(request, limit)
    if kind.startswith("image/"):
        return [ImageBytes("the picture", body)]
    try:
        form = await MultiPartParser(request.headers, _once(body)).parse()
    except (MultiPartException, KeyError) as error:
        raise Refused(400, f"the form cannot be read ({error}); send it like this: {EXAMPLE}") from error
    try:
        return await _pictures_in(form)
    finally:
        await form.close()


async def _pictures_in(form: FormData) -> list[ImageBytes]:
    parts = form.getlist(FIELD)
    if not parts:
        raise Refused(400, f"the form has no field {FIELD!r}, only {sorted(set(form))}; send it like this: {EXAMPLE}")
    pictures = []
    for part in parts:
        if isinstance(part, str):
            raise Refused(400, f"the field {FIELD!r} has text in it; put @ before the name of the file: {EXAMPLE}")
        pictures.append(ImageBytes(part.filename or "the picture", await part.read()))
    return pictures


async def _read_body(request: Request, limit: int) -> bytes:
    """Return the body of a request; raises Refused as soon as it is larger than the limit."""
    body = bytearray()
    stated = request.headers.get("content-length", "0")
    if stated.isdecimal() and int(stated) <= limit:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                break
        else:
            return bytes(body)
    raise Refused(
        413,
        f"the request is larger than {limit / MEGABYTE:g} MB; send fewer or smaller pictures, or serve with max_mb=",
    )


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def _pixels_in(body: bytes, input_shape: tuple[int, int, int]) -> Pixels:
    """Return the raw pixels in a request to MLflow's scoring server: uint8, (n, height, width, channels).

    Raises:
        Refused: it contains something else.
    """
    expected = "expected {} with n images of {}x{}x{} integers from 0 to 255".format('{"inputs": [...]}', *input_shape)
    try:
        content = json.loads(body)
        values = next(content[name] for name in PIXELS if name in content)
    except (ValueError, TypeError, StopIteration, RecursionError) as error:
        raise Refused(400, f"the request is not JSON with the key inputs; {expected}") from error
    try:
        images = np.asarray(values)
    except ValueError as error:
        raise Refused(400, f"inputs: the images differ in shape; {expected}") from error
    if images.shape[1:] != input_shape or not len(images):
        raise Refused(400, f"inputs: got an array of shape {images.shape}; {expected}")
    if images.dtype.kind not in "iu" or images.min() < 0 or images.max() > 255:
        raise Refused(400, f"inputs: got values other than integers from 0 to 255; {expected}")
    return images.astype(np.uint8)
