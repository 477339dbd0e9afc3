"""A run's files: whole under their names, or not there at all."""

import contextlib
import os
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import mlflow
from mlflow.exceptions import MlflowException

from src.errors import NotKept, StoreError
from src.interrupt import deferred


class Artifacts:
    """The artifacts of one run, on this disk or behind a server; what is half-written has another name.

    Args:
        client: of the store.
        run_id: whose files.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        self._client = client
        self._id = run_id
        self._known: Path | None = None
        self._is_known = False

    @contextlib.contextmanager
    def new_file(self, path: str) -> Iterator[Path]:
        """A file to write, which stands at `path` of the run's artifacts when the block ends well.

        Raises:
            StoreError: it could not be written.
        """
        with deferred(), self._place(path) as part:
            yield part

    def keep_folder(self, folder: Path, path: str) -> None:
        """Copies a folder to `path` of the run's artifacts, in place of what stands there.

        Raises:
            StoreError: it could not be written.
        """
        with deferred(), self._place(path) as part:
            shutil.copytree(folder, part)

    def download(self, path: str, folder: str) -> Path:
        """A copy of the artifact at `path`, below `folder`.

        Raises:
            NotKept: the run keeps no such artifact.
            StoreError: it keeps one, which could not be fetched.
        """
        try:
            return Path(self._client.download_artifacts(self._id, path, folder))
        except (MlflowException, OSError) as error:
            parent = str(PurePosixPath(path).parent)
            beside = self._client.list_artifacts(self._id, None if parent == "." else parent)
            if path not in (kept.path for kept in beside):
                raise NotKept(f"run {self._id} keeps no {path}") from error
            reason = str(error).splitlines()[0]
            raise StoreError(f"run {self._id}: {path} could not be fetched: {reason}") from error

    @contextlib.contextmanager
    def _place(self, path: str) -> Iterator[Path]:
        root = self._folder()
        with tempfile.TemporaryDirectory() as elsewhere:
            target = (root or Path(elsewhere)) / path
            part = target.with_name(f".part-{target.name}")
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                yield part
                if target.is_dir():
                    shutil.rmtree(target)
                os.replace(part, target)
            except OSError as error:
                raise StoreError(f"run {self._id}: {path} could not be written: {error.strerror or error}") from error
            finally:
                if part.is_dir():
                    shutil.rmtree(part, ignore_errors=True)
                part.unlink(missing_ok=True)
            if root is None:
                self._client.log_artifacts(self._id, elsewhere)

    def _folder(self) -> Path | None:
        """Where the artifacts are on this disk, None when they are behind a server."""
        if not self._is_known:
            uri = urllib.parse.urlsplit(str(self._client.get_run(self._id).info.artifact_uri))
            if uri.scheme == "file":
                self._known = Path(urllib.request.url2pathname(uri.path))
            self._is_known = True
        return self._known
