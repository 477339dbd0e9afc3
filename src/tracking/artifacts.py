"""Files of runs, which appear under their names only when they are complete."""

import contextlib
import errno
import functools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import mlflow
from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from requests import RequestException

from src.errors import NotKept, StoreError, first_line
from src.places import literal_folder, local_folder, local_path, read_variable
from src.process.interrupt import deferred
from src.tracking.model_uri import model_location
from src.tracking.outage import is_cut_off, patiently
from src.tracking.probes import GONE
from src.tracking.undelivered import Undelivered
from src.writing import PART, remove_parts, replacing

RESERVED = 128 * 1024  # bytes: a status and an error take some pages of 4 KB, and as many in SQLite's journal
FULL = (errno.ENOSPC, errno.EDQUOT)


class Artifacts:
    """The artifacts of one run, on this disk or behind a server. Unfinished files have another name.

    Args:
        client: MLflow's client of the store.
        run_id: the id of the run.
        undelivered: keeps the files that a server does not take because it does not answer.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str, undelivered: Undelivered) -> None:
        self._client = client
        self._id = run_id
        self._undelivered = undelivered
        self._reserve: IO[bytes] | None = None

    @functools.cached_property
    def _uri(self) -> str:
        """The address of the artifacts."""
        return str(self._client.get_run(self._id).info.artifact_uri)

    @property
    def folder(self) -> Path | None:
        """The folder of the artifacts on this disk, None when they are behind a server."""
        return local_folder(self._uri)

    @contextlib.contextmanager
    def new_file(self, path: str) -> Iterator[Path]:
        """Yield a file to write, which replaces `path` of the run's artifacts when the block succeeds.

        Raises:
            StoreError: it could not be written.
        """
        with deferred(), self._part(path) as part:
            yield part

    @contextlib.contextmanager
    def new_folder(self, path: str) -> Iterator[Path]:
        """Yield a folder to make and fill, which replaces `path` of the run's artifacts when the block succeeds.

        A server that lets no files be deleted keeps the old files that no new file replaces.

        Raises:
            StoreError: it could not be written.
        """
        with deferred(), self.temporary_files(), self._part(path) as part:
            yield part

    @contextlib.contextmanager
    def reading(self, path: str) -> Iterator[Path]:
        """Yield the artifact at `path`: itself when it is on this disk, else a copy that is removed after the block.

        Raises:
            NotKept: the run has no such artifact.
            StoreError: the artifact could not be fetched.
        """
        if self.folder is not None:
            if not (self.folder / path).exists():
                raise self._not_kept(path)
            yield self.folder / path
            return
        with tempfile.TemporaryDirectory() as folder:
            yield self._download(path, folder)

    @contextlib.contextmanager
    def temporary_files(self) -> Iterator[None]:
        """Let `tempfile` make its files next to the artifacts inside the block, when those are on this disk.

        MLflow and Keras prepare files with `tempfile`. The usual folder for temporary files may be too small for a
        model and was not checked, unlike the disk of the store.
        """
        before, folder = tempfile.tempdir, None
        with contextlib.ExitStack() as stack:
            if self.folder is not None:
                with contextlib.suppress(OSError):
                    folder = tempfile.mkdtemp(prefix=PART, dir=self.folder)
                    tempfile.tempdir = str(stack.enter_context(literal_folder(Path(folder))))
            try:
                yield
            finally:
                tempfile.tempdir = before
                if folder is not None:
                    shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def scratch(self, what: str) -> Iterator[Path]:
        """Yield an empty folder on the disk of the artifacts, which is removed after the block.

        Raises:
            StoreError: what belongs there could not be written.
        """
        with (
            self.explain_disk_errors(what),
            tempfile.TemporaryDirectory(prefix=PART, dir=self.folder) as folder,
        ):
            yield Path(folder)

    def reserve(self) -> None:
        """Reserve a little disk space until `release`, so that a run on a full disk can still record how it ended."""
        if self.folder is not None:
            with contextlib.suppress(OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._reserve = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - no name: gone with the process
                self._reserve.write(os.urandom(RESERVED))  # zeros may take no space on some file systems
                self._reserve.flush()

    def release(self) -> None:
        """Free the disk space that `reserve` took."""
        if self._reserve is not None:
            with contextlib.suppress(OSError):
                self._reserve.close()
            self._reserve = None

    @contextlib.contextmanager
    def explain_disk_errors(self, name: str) -> Iterator[None]:
        """Turn disk errors inside the block into a StoreError with the file's name, the folder, and what to do."""
        try:
            yield
        except RequestException:  # an OSError by class, but about a server: the caller reports it
            raise
        except OSError as error:
            raise StoreError(f"run {self._id}: {name} could not be written: {self._reason(error)}") from error

    def _reason(self, error: OSError) -> str:
        folder, remedy = self.folder, "set tracking.uri to a place with more space"
        if folder is None:
            folder, remedy = temporary_folder(), "set TMPDIR to a folder with more space"
        if error.errno in FULL:
            return f"there is no space left in {folder}; free some, or {remedy}"
        return f"{error.strerror or error} ({error.filename or folder})"

    def _not_kept(self, path: str) -> NotKept:
        return NotKept(f"run {self._id} keeps no {path}; restore it from a copy, or train the run again")

    def _download(self, path: str, folder: str) -> Path:
        # Looked for first: a server whose files are in a bucket answers 500 for one that is missing, as in an outage.
        parent = str(PurePosixPath(path).parent)
        siblings = self._client.list_artifacts(self._id, None if parent == "." else parent)
        if path not in (artifact.path for artifact in siblings):
            raise self._not_kept(path)
        try:
            return Path(self._client.download_artifacts(self._id, path, folder))
        except (MlflowException, OSError) as error:
            raise StoreError(f"run {self._id}: {path} could not be fetched: {first_line(error)}") from error

    @contextlib.contextmanager
    def _part(self, path: str) -> Iterator[Path]:
        """Yield a temporary path, which is renamed to `path` when the block succeeds."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.explain_disk_errors(path))
            root = self.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            with replacing(root / path) as part:
                yield part
            if self.folder is None:
                try:
                    self._upload(root, path)
                except (StoreError, KeyboardInterrupt):
                    if is_cut_off(self._client):
                        with contextlib.suppress(OSError):
                            self._undelivered.add_artifact(root / path, path)
                    raise

    def _upload(self, root: Path, path: str) -> None:
        """Send the file or folder at `path` below `root` to the server, where it replaces the one of this path."""
        self._client.log_artifacts(self._id, str(root))
        if (root / path).is_dir():
            repository = get_artifact_repository(self._uri, tracking_uri=self._client.tracking_uri)
            try:
                patiently(self._client, lambda: _remove_others(repository, root / path, path))
            except StoreError:  # an outage
                raise
            except Exception:  # noqa: S110 - not every server lets files be listed or deleted, each says so in its way
                pass


@contextlib.contextmanager
def reading_model(client: mlflow.MlflowClient, model_uri: str) -> Iterator[Path]:
    """Yield the folder of an MLflow model, or a copy that is removed after the block if it is not on this disk.

    Raises:
        StoreError: the model was deleted, or its files are gone or cannot be fetched.
    """
    try:
        location = model_location(client, model_uri)
    except MlflowException as error:
        if error.error_code != GONE:
            raise
        raise StoreError(f"{model_uri} was deleted; name another model, or train its run again") from error
    if (folder := local_folder(location)) is not None:
        if not folder.is_dir():
            raise StoreError(f"the files of {model_uri} are gone: there is no folder {folder}; restore it from a copy")
        yield folder
        return
    with tempfile.TemporaryDirectory() as elsewhere:
        yield _download_model(client, model_uri, location, elsewhere)


def _download_model(client: mlflow.MlflowClient, model_uri: str, location: str, folder: str) -> Path:
    download = functools.partial(
        mlflow.artifacts.download_artifacts,
        location,
        dst_path=folder,
        tracking_uri=client.tracking_uri,
        registry_uri=client.tracking_uri,
    )
    try:
        return Path(patiently(client, download))
    except (MlflowException, OSError) as error:
        reason = first_line(error)
        raise StoreError(f"the files of {model_uri} could not be fetched: {reason}") from error


def _remove_others(repository: ArtifactRepository, folder: Path, path: str) -> None:
    """Remove the files at `path` of a repository that are not in this folder, which was uploaded there."""
    for artifact in repository.list_artifacts(path):
        name = PurePosixPath(artifact.path).name
        if not (folder / name).exists():
            repository.delete_artifacts(f"{path}/{name}")
        elif artifact.is_dir:
            _remove_others(repository, folder / name, f"{path}/{name}")


def temporary_folder() -> Path:
    """Return the folder in which `tempfile` makes its files, or would make them if it could write there."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # it can write to none of the folders that it tries
        return local_path(read_variable("TMPDIR") or "/tmp")  # noqa: S108 - for a message


def abandon_model(client: mlflow.MlflowClient, model_id: str) -> None:
    """Mark an unfinished logged model FAILED, and remove its files.

    The files are removed first: on a full disk the status can be written only after that.
    """
    model = client.get_logged_model(model_id)
    if model.status == LoggedModelStatus.READY:
        return
    location = str(model.artifact_location).rstrip("/")
    # The folder is deleted, so it must be one that MLflow made for this model, and not any path in the store.
    if re.fullmatch(r"m-[0-9a-f]{32}", model_id) and location.endswith(f"/models/{model_id}/artifacts"):
        if (folder := local_folder(location)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()  # of this model alone
        else:
            with contextlib.suppress(Exception):  # not every server lets files be deleted
                get_artifact_repository(location, tracking_uri=client.tracking_uri).delete_artifacts()
    client.finalize_logged_model(model_id, LoggedModelStatus.FAILED)


def abandon_models(client: mlflow.MlflowClient, experiment_id: str, run_id: str) -> None:
    """Mark the models FAILED that a run started to log and did not finish, and remove their files."""
    for model in client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'"):
        if model.status == LoggedModelStatus.PENDING:
            abandon_model(client, model.model_id)


def remove_unfinished(artifact_uri: str) -> None:
    """Remove half-written files from the artifacts of a killed run, when those are on this disk."""
    if (folder := local_folder(artifact_uri)) is not None:
        remove_parts(folder)
