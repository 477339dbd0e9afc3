"""Servers of the tests' own: PostgreSQL, MLflow, and both together as `compose.yaml` has them, without containers."""

import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import psutil
import pytest
import sqlalchemy
import yaml
from sqlalchemy.exc import OperationalError

ROOT = Path(__file__).resolve().parents[2]
SUPERUSER = "ada"
OUTSIDE = "/var/tmp"  # a contained process has a /tmp of its own


def missing(what: str) -> None:
    """Skips the test; in CI, where nothing may be missing, fails it."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


class PostgresProcess:
    """The process of a PostgreSQL server, which can be stopped and started again."""

    def __init__(self, url: str, command: Sequence[str | Path], folder: str, user: Mapping[str, Any]) -> None:
        self.url = url
        self.command = command
        self.folder = folder
        self.user = user

    def start(self) -> None:
        with (Path(self.folder) / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log, **self.user)
        _wait_for_postgres(self.url, self.process)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: clients are not waited for
        self.process.wait(60)

    def freeze(self, seconds: float) -> None:
        """Let the server answer nothing for this time, without closing a connection."""
        server = psutil.Process(self.process.pid)
        frozen = [server, *server.children()]
        for process in frozen:
            process.suspend()
        time.sleep(seconds)
        for process in frozen:
            process.resume()


class Postgres(NamedTuple):
    """A server that is up: the folder of its programs, its address, without a database's name, and its process."""

    programs: Path
    url: str
    process: PostgresProcess


@contextmanager
def postgres_server(contained: bool = False) -> Iterator[Postgres]:
    """A PostgreSQL server. Its superuser `ada` needs no password, everyone else does.

    Args:
        contained: whether it may write only where the container of `compose.yaml` may.
    """
    debian = sorted(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or next(reversed(debian), None)
    if found is None:
        missing("PostgreSQL is not installed: apt-get install postgresql")
    programs = Path(str(found)).resolve().parent
    place = OUTSIDE if contained else None
    with tempfile.TemporaryDirectory(
        prefix="convlab-postgres-", dir=place
    ) as folder:  # other users cannot read pytest's folders
        user: dict[str, Any] = {}
        if os.geteuid() == 0:  # a server refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
            user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        data = f"{folder}/data"
        subprocess.run(
            [programs / "initdb", "--auth=trust", f"--username={SUPERUSER}", "--encoding=UTF8", "--no-sync", data],
            cwd=folder, capture_output=True, check=True, **user,
        )  # fmt: skip
        rules = f"host all {SUPERUSER} 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        Path(data, "pg_hba.conf").write_text(rules)
        port = free_port()
        start: list[str] = []
        sockets = ""
        if contained:
            start = [*read_only("postgres", Path(data)), "setpriv", "--reuid=postgres", "--regid=postgres"]
            start += ["--clear-groups", "--no-new-privs"]
            user, sockets = {}, "/run/postgresql"
            Path(sockets).mkdir(exist_ok=True)
        options = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={sockets}", "fsync=off"]
        flags = itertools.chain(*(("-c", option) for option in options))
        command: list[str | Path] = [*start, programs / "postgres", "-D", data, *flags]
        server = PostgresProcess(f"postgresql://{SUPERUSER}@127.0.0.1:{port}", command, folder, user)
        try:
            server.start()
            yield Postgres(programs, server.url, server)
        finally:
            server.stop()


def _wait_for_postgres(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            execute(f"{url}/postgres", "select 1")
        except OperationalError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"PostgreSQL did not come up: {server.poll()}")


def execute(url: str, statement: str) -> None:
    """One statement outside of any transaction."""
    engine = sqlalchemy.create_engine(
        url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(statement))


def end_sessions(url: str, chosen: str) -> None:
    """End sessions of the database at the address, other than the caller's.

    Args:
        chosen: the rest of the statement's condition, such as `order by random() limit 1`.
    """
    pids = f"select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() {chosen}"
    execute(url, f"select pg_terminate_backend(pid) from ({pids}) as them")


# --- MLflow --------------------------------------------------------------------------------------------------------


Program = Callable[[Mapping[str, str]], Sequence[str]]  # how `mlflow server` is started, given its environment


def mlflow_of_the_tests(environment: Mapping[str, str]) -> Sequence[str]:
    return [sys.executable, "-m", "mlflow", "server"]


class MlflowServer:
    """`mlflow server` on 127.0.0.1, its files in a folder of its own.

    Attributes:
        uri: its address.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        program: Program = mlflow_of_the_tests,
    ) -> None:
        self.uri = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.command = [*program(environment), *arguments]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PG"))}
        self.environment = inherited | dict(environment)
        self.start()

    def start(self) -> None:
        """Start it, also after `kill`."""
        with (self.folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(f"{self.uri} did not come up:\n{(self.folder / 'server.log').read_text()[-2000:]}")

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def plain_server(folder: Path) -> Iterator[MlflowServer]:
    """An MLflow server without users, on SQLite, that is up."""
    port = free_port()
    arguments = ["--host=127.0.0.1", f"--port={port}", "--workers=1", f"--backend-store-uri=sqlite:///{folder}/it.db"]
    server = MlflowServer(folder, port, arguments, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    try:
        server.wait()
        yield server
    finally:
        server.kill()


# --- a container's file systems ----------------------------------------------------------------------------------

# Its arguments: the number of writable folders, those folders, the number of tmpfs, those, the command.
READ_ONLY = """
set -e
mount --make-rprivate /
count=$1; shift
while [ "$count" -gt 0 ]; do mount --bind "$1" "$1"; kept="$kept $1 "; shift; count=$((count - 1)); done
findmnt --raw --noheadings --output TARGET | while read -r place; do
    case "$place" in /proc*|/sys*|/dev*) continue ;; esac
    case "$kept" in *" $place "*) continue ;; esac
    mount -o remount,bind,ro "$place"
done
count=$1; shift
while [ "$count" -gt 0 ]; do
    mount -t tmpfs -o "noexec,nosuid,nodev,${1#*:}" tmpfs "${1%%:*}"; shift; count=$((count - 1))
done
if touch /read-only 2>/dev/null; then echo "not read-only" >&2; exit 1; fi
exec "$@"
"""


def read_only(service: str, *folders: Path) -> list[str]:
    """The beginning of a command line that restricts writing to where a service of `compose.yaml` may write.

    Args:
        service: whose tmpfs there are.
        folders: its volumes; not in /tmp.
    """
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("file systems of a process's own take root and util-linux")
    if str(ROOT).startswith("/tmp/") or sys.prefix.startswith("/tmp/"):
        pytest.skip("the project is in /tmp, and a container has another /tmp")
    mounts = compose_file(SECRETS)["services"][service]["tmpfs"]
    arguments = [str(len(folders)), *map(str, folders), str(len(mounts)), *mounts]
    return ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", *arguments]


# --- compose.yaml --------------------------------------------------------------------------------------------------

NEEDED = (
    "POSTGRES_PASSWORD",
    "MLFLOW_DATABASE_PASSWORD",
    "OPTUNA_DATABASE_PASSWORD",
    "MLFLOW_ADMIN_PASSWORD",
    "MLFLOW_TRAINER_PASSWORD",
    "MLFLOW_SECRET_KEY",
)
# Each is another one in every session: the text of this file is in what a run keeps of uncommitted code.
SECRETS = {name: f"{token_hex(8)}:/@%'$#" for name in NEEDED}


def compose_file(environment: Mapping[str, str]) -> Any:
    """`compose.yaml` as Compose reads it: variables filled in from the environment.

    Raises:
        KeyError: a variable that must be given is not.
    """
    text = (ROOT / "compose.yaml").read_text()
    return _filled(yaml.safe_load(text), environment)


def _filled(node: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, environment) for value in node]
    return _interpolated(node, environment) if isinstance(node, str) else node


def _interpolated(text: str, environment: Mapping[str, str]) -> str:
    """Compose's `${NAME:-default}` and `${NAME:?reason}`; a default may hold another one."""

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if not environment.get(name) and operator == "?":
            raise KeyError(name)
        return environment.get(name) or _interpolated(rest, environment)

    return re.sub(r"\$\{(\w+):([-?])((?:[^${}]|\$\{[^{}]*\})*)\}", value, text)


@dataclass(frozen=True)
class Team:
    """The services of `compose.yaml` that are up, started natively.

    Attributes:
        uri: MLflow's address.
        client: the environment of a command that uses MLflow.
        admin: the environment of the command that makes the user of `client`.
        worker: the environment of a worker of a sweep.
        artifacts: where the server keeps them.
        log: what the server says.
    """

    uri: str
    client: dict[str, str]
    admin: dict[str, str]
    worker: dict[str, str]
    artifacts: Path
    log: Path

    def make_trainer(self, *program: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run the command that makes the trainers' user, as the container `trainer-user` does.

        Args:
            program: the words before the command.
            changes: of its environment.
        """
        compose = compose_file(SECRETS)
        assert compose["services"]["trainer-user"]["entrypoint"] == ["python", "/trainer_user.py"]
        return subprocess.run(
            [*program, sys.executable, ROOT / compose["configs"]["trainer_user"]["file"]],
            env={"PATH": os.environ["PATH"]} | self.admin | changes,
            capture_output=True,
            text=True,
        )


def make_databases(postgres: Postgres) -> None:
    """Users and databases, as the container of PostgreSQL makes them when it is new."""
    compose = compose_file(SECRETS)
    subprocess.run(
        [postgres.programs / "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--quiet", f"{postgres.url}/postgres"],
        input=(ROOT / compose["configs"]["databases"]["file"]).read_text(),
        env=os.environ | compose["services"]["postgres"]["environment"],
        text=True,
        check=True,
    )


@contextmanager
def team_services(postgres: Postgres, folder: Path, program: Program = mlflow_of_the_tests) -> Iterator[Team]:
    """PostgreSQL with its two databases and the MLflow server, commands and settings taken from `compose.yaml`.

    Only what belongs to a container is changed: hosts, ports and the places of files.

    Args:
        postgres: a server in which nothing has been made yet.
        folder: where the server keeps its files.
        program: what stands for `mlflow server`.
    """
    port = free_port()
    changes = {
        "@postgres/": f"@127.0.0.1:{postgres.url.rpartition(':')[2]}/",
        "mlflow:5000": f"127.0.0.1:{port}",
        "0.0.0.0": "127.0.0.1",
        "--port=5000": f"--port={port}",
        "/runs/": f"{folder}/",
        "/auth.ini": f"{folder}/auth.ini",
    }

    def native(text: str) -> str:
        for old, new in changes.items():
            text = text.replace(old, new)
        return text

    def environment(service: str) -> dict[str, str]:
        return {name: native(value) for name, value in compose["services"][service]["environment"].items()}

    make_databases(postgres)
    compose = compose_file(SECRETS)
    (folder / "auth.ini").write_text(native((ROOT / compose["configs"]["auth"]["file"]).read_text()))
    mlflow = compose["services"]["mlflow"]
    assert mlflow["entrypoint"] == ["mlflow", "server"]
    arguments = [native(argument) for argument in mlflow["command"]]
    server = MlflowServer(folder, port, arguments, environment("mlflow"), program)
    try:
        server.wait()
        team = Team(
            uri=server.uri,
            client=environment("trainer"),
            admin=environment("trainer-user"),
            worker=environment("worker"),
            artifacts=folder / "artifacts",
            log=folder / "server.log",
        )
        made = team.make_trainer()
        assert made.returncode == 0, made.stderr
        yield team
    finally:
        server.kill()
