"""The image and the services, as far as they can be tested without an image registry.

The Dockerfile is built for real, by buildah, on a stand-in for its base image: a clean Debian of the same release with
Debian's own Python. What remains unproven is the base image itself, and Compose's own work: networks, volumes, order.
"""

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.cli.compose import compose_config
from src.redact import is_secret_name
from src.schema import Config
from tests.support.pictures import put_class
from tests.support.servers import (
    NEEDED,
    OUTSIDE,
    SECRETS,
    compose_file,
    mlflow_of_the_tests,
    plain_server,
    postgres_server,
    read_only,
    team_services,
)
from tests.support.workplace import ROOT, Workplace

TOOLS = Path(sys.executable).parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def test_the_linter_of_dockerfiles_has_nothing_to_say():
    done = subprocess.run([TOOLS / "hadolint", "--failure-threshold=style", ROOT / "Dockerfile"], capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


def test_the_compose_file_is_one_by_the_specification():
    schema = "--builtin-schema=vendor.compose-spec"
    done = subprocess.run([TOOLS / "check-jsonschema", schema, ROOT / "compose.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NEEDED)
def test_the_services_do_not_start_without_a_password(name: str):
    with pytest.raises(KeyError, match=name):
        compose_file({other: value for other, value in SECRETS.items() if other != name})


def test_the_compose_file_contains_no_password():
    given = {name: value for service in SERVICES.values() for name, value in service.get("environment", {}).items()}
    secrets = {name: value for name, value in given.items() if is_secret_name(name)}
    assert len(secrets) >= len(NEEDED)
    assert not [name for name, value in secrets.items() if not re.fullmatch(r"\$\{.*\}", value)]
    assert not re.search(r"://[^/\s]*:[^/\s]*@", (ROOT / "compose.yaml").read_text())


def test_the_example_of_settings_names_what_must_be_given_and_gives_nothing():
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if not line.startswith("#")]
    assert lines == [f"{name}=" for name in NEEDED]


def test_the_command_that_fills_in_the_settings_makes_a_password_for_each(tmp_path: Path):
    (command,) = re.findall(r"^#   (grep .*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    shutil.copy(ROOT / ".env.example", tmp_path)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    made = dict(line.split("=") for line in (tmp_path / ".env").read_text().splitlines())
    assert tuple(made) == NEEDED
    assert {len(value) for value in made.values()} == {48}
    assert len(set(made.values())) == len(NEEDED)


def test_the_guide_has_the_same_command_and_the_same_file_of_users():
    guide = (ROOT / "docs/deployment.md").read_text()
    (command,) = re.findall(r"^#   (grep .*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert f"\n{command}\n" in guide
    (shown,) = re.findall(r"```ini\n(.*?)```", guide, re.DOTALL)
    file = ROOT / COMPOSE["configs"]["auth"]["file"]
    users = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert shown.replace("@127.0.0.1/", "@postgres/").splitlines() == users


def test_git_ignores_the_settings_of_a_machine():
    assert subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=ROOT).returncode == 0


def test_ports_are_open_to_this_machine_only():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert not [port for port in ports if not port.startswith("127.0.0.1:")]


def test_the_server_wants_to_know_who_asks_and_runs_no_jobs():
    command, environment = SERVICES["mlflow"]["command"], SERVICES["mlflow"]["environment"]
    assert "--app-name=basic-auth" in command
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    (hosts,) = [argument.partition("=")[2] for argument in command if argument.startswith("--allowed-hosts=")]
    assert "*" not in hosts.split(",")


def test_mlflow_and_optuna_have_databases_and_users_of_their_own():
    addresses = [SERVICES["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"]]
    addresses.append(SERVICES["worker"]["environment"]["OPTUNA_STORAGE"])
    assert [address.partition("://")[2] for address in addresses] == [
        "mlflow@postgres/mlflow",
        "optuna@postgres/optuna",
    ]


def test_who_is_waited_for_says_when_it_is_ready():
    waits = [
        (name, other, how) for name, service in SERVICES.items() for other, how in service.get("depends_on", {}).items()
    ]
    commands = {"trainer", "worker", "trainer-gpu", "worker-gpu"}
    assert {name for name, _, _ in waits} == {"mlflow", "trainer-user", *commands}
    once = {"condition": "service_completed_successfully"}
    assert {(name, other) for name, other, how in waits if how == once} == {(name, "trainer-user") for name in commands}
    others = [wait for wait in waits if wait[2] != once]
    assert not [wait for wait in others if wait[2] != {"condition": "service_healthy"}]
    assert not [other for _, other, _ in others if "healthcheck" not in SERVICES[other]]


def test_a_service_that_must_complete_starts_with_its_dependents_and_never_restarts():
    once = SERVICES["trainer-user"]
    assert once["restart"] == "no"
    dependents = [service for service in SERVICES.values() if "trainer-user" in service.get("depends_on", {})]
    assert set(once["profiles"]) == {profile for service in dependents for profile in service["profiles"]}


def test_only_the_server_and_the_service_trainer_user_know_the_admin_s_password():
    def secrets_of(name: str) -> set[str]:
        environment = compose_file(SECRETS)["services"][name]["environment"]
        return {secret for secret in NEEDED if SECRETS[secret] in environment.values()}

    assert {name for name in SERVICES if "MLFLOW_ADMIN_PASSWORD" in secrets_of(name)} == {"mlflow", "trainer-user"}
    assert secrets_of("trainer") == {"MLFLOW_TRAINER_PASSWORD"}
    assert secrets_of("worker") == {"MLFLOW_TRAINER_PASSWORD", "OPTUNA_DATABASE_PASSWORD"}
    assert compose_file(SECRETS)["services"]["trainer"]["environment"]["MLFLOW_TRACKING_USERNAME"] == "trainer"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_limits_and_writes_to_its_volumes_and_memory_only(name: str):
    service = compose_file(SECRETS)["services"][name]
    assert service["read_only"] is True
    assert all(re.fullmatch(r"/[\w/]+:size=\d+[mg]", place) for place in service["tmpfs"])
    assert re.fullmatch(r"\d+g", str(service["mem_limit"]))
    assert 100 <= int(service["pids_limit"]) <= 2000
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_a_limit_can_be_set_for_the_machine():
    services = compose_file(SECRETS | {"TRAINER_MEMORY": "9g", "TMP_SIZE": "5g"})["services"]
    assert (services["worker"]["mem_limit"], services["trainer"]["tmpfs"]) == ("9g", ["/tmp:size=5g"])


def test_configs_of_a_read_only_container_are_files():
    assert all(config.keys() == {"file"} for config in COMPOSE["configs"].values())


def test_public_images_are_named_by_tag_and_digest():
    images = [*re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE), SERVICES["postgres"]["image"]]
    assert [image.partition("@")[0] for image in images] == ["python:3.11-slim-bookworm", "postgres:15-bookworm"]
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", image) for image in images)


def test_every_volume_and_file_that_a_service_names_is_declared():
    for service in SERVICES.values():
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= COMPOSE["volumes"].keys()
        assert {config["source"] for config in service.get("configs", [])} <= COMPOSE["configs"].keys()
    assert all((ROOT / config["file"]).is_file() for config in COMPOSE["configs"].values())


def test_the_search_of_a_worker_exists():
    command = compose_file(SECRETS)["services"]["worker"]["command"]
    assert command.startswith("hparams_search=")
    assert isinstance(compose_config(shlex.split(command)), Config)


def test_requirements_are_installed_before_the_source_is_copied():
    steps = [DOCKERFILE.index(step) for step in ("COPY requirements.lock", "RUN pip install", "COPY . ")]
    assert steps == sorted(steps)


def test_the_services_with_gpus_are_the_others_on_the_image_with_their_libraries():
    services = compose_file(SECRETS)["services"]
    for name in ("trainer", "worker"):
        with_gpus = dict(services[f"{name}-gpu"])
        [device] = with_gpus.pop("deploy")["resources"]["reservations"]["devices"]
        assert (device["driver"], {"gpu", "compute", "utility"} - set(device["capabilities"])) == ("nvidia", set())
        assert with_gpus.pop("build")["args"] == {"GPU": "1"}
        replaced = {"image": "convlab-gpu", "profiles": ["gpu"]}
        assert with_gpus == {key: value for key, value in services[name].items() if key != "build"} | replaced


def test_the_requirements_for_gpus_are_the_others_and_libraries_of_nvidia():
    plain, gpus = (packages_in(ROOT / f"requirements{suffix}.lock") for suffix in ("", "-gpu"))
    assert plain < gpus
    assert all(package.startswith("nvidia-") for package in gpus - plain)


def packages_in(lock: Path) -> set[str]:
    """The packages of a lock with their versions. Each has a hash, and none has an address."""
    text = lock.read_text()
    assert not re.search(r"://|^--", text, re.MULTILINE)
    packages = re.findall(r"^([a-z][\w.-]*==.*?) \\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z]", text, re.MULTILINE))
    return set(packages)


@pytest.mark.services
def test_the_writable_folders_are_enough_to_serve_train_search_and_register():
    with tempfile.TemporaryDirectory(dir=OUTSIDE) as place:
        folder = Path(place)
        volumes = {name: folder / name for name in ("artifacts", "data")}
        for volume in volumes.values():
            volume.mkdir()
        for name in ("cat", "dog"):
            put_class(folder / "data/pets", name, 8)

        def server(environment: Mapping[str, str]) -> list[str]:
            return [*read_only("mlflow", volumes["artifacts"]), *mlflow_of_the_tests(environment)]

        def run(service: str, *command: str, **environment: str) -> str:
            done = subprocess.run(
                [*read_only(service, volumes["data"]), sys.executable, "-m", *command],
                cwd=folder,
                env=Workplace(folder).environment(**environment),
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        with postgres_server(contained=True) as postgres, team_services(postgres, folder, server) as team:
            again = team.make_trainer(*read_only("trainer-user"))
            assert again.returncode == 0, again.stderr
            pets = ["dataset=image_folder", "dataset.folder=data/pets", "dataset.image_size=[12,12]", "model=dense"]
            said = run("trainer", "src.train", *pets, "training.epochs=1", **team.client)
            (run_id,) = re.findall(r"run (\w{32})", said)
            run("trainer", "src.register", f"run_id={run_id}", "alias=champion", **team.client)
            search = ["-m", "dataset=synthetic", "training.epochs=1", "model=dense", "seed=1,2"]
            assert "2 trials: 2 complete" in run("worker", "src.train", *search, **team.worker)
        assert list(volumes["artifacts"].rglob("*/artifacts/model/model.keras"))
        assert list(volumes["data"].glob(".cache/convlab/images/*"))
        assert not list(folder.rglob("mlflow.db"))


# --- the image -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Image:
    """What was built, and one container of it in which commands run.

    Attributes:
        folder: where buildah keeps both.
    """

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        places = ["--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run", "--storage-driver", "vfs"]
        return ["buildah", *places, *arguments]

    def buildah(self, *arguments: str) -> str:
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout.strip()

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.buildah("inspect", "--type=image", "convlab"))["Docker"]["config"]
        return found

    @functools.cached_property
    def container(self) -> str:
        return self.buildah("from", "--pull-never", "convlab")

    def running(self, *options: str) -> list[str]:
        """The beginning of a command that runs what follows in the container, as the image's user."""
        return self.command("run", "--isolation=chroot", *options, self.container, "--")

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = [f"--env={name}={value}" for name, value in environment.items()]
        return subprocess.run([*self.running(*given), *command], capture_output=True, text=True)


SOURCES = Path("/etc/apt/sources.list.d/debian.sources")


def debian(folder: Path, release: str) -> None:
    """A clean Debian with Python, pip and this machine's own way to package registries: what the base image has."""
    (mirror,) = re.findall(r"^URIs: (\S+)", SOURCES.read_text(), re.MULTILINE)[:1]
    packages = "--include=python3,python3-pip,python3-venv,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", packages, release, folder, mirror], check=True, capture_output=True
    )
    for config in ("/etc/apt/sources.list.d", "/etc/apt/apt.conf.d", "/etc/apt/auth.conf.d"):
        shutil.copytree(config, f"{folder}{config}", dirs_exist_ok=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", f"{folder}/etc/ssl/certs/")
    for settings in (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf"):
        if settings.exists():
            shutil.copy(settings, f"{folder}/etc/pip.conf")
    for marker in folder.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()  # the base image's Python is nobody else's
    (folder / "usr/local/bin/python").symlink_to("/usr/bin/python3")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image, built from a checkout in which a password, data and runs lie about."""
    if os.geteuid() != 0 or not SOURCES.exists() or not shutil.which("debootstrap") or not shutil.which("buildah"):
        pytest.skip("building the image takes root on Debian, and: apt-get install debootstrap buildah")
    (base, release, digest) = re.findall(r"^FROM (\S+-(\w+))(@sha256:\w+)$", DOCKERFILE, re.MULTILINE)[0]
    folder = tmp_path_factory.mktemp("image")
    context = folder / "context"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, context / name)
    for name in (".env", "mlflow.db", "data/mnist/train.gz", "conf/local/default.yaml", ".git/config"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text("# a secret")
    (context / "Dockerfile").write_text(DOCKERFILE.replace(digest, ""))  # the stand-in has another
    image = Image(folder)
    try:
        debian(folder / "debian", release)
        container = image.buildah("from", "scratch")
        image.buildah("add", "--quiet", container, f"{folder}/debian/")
        image.buildah("commit", "--quiet", "--rm", container, f"docker.io/library/{base}")
        image.buildah("bud", "--isolation=chroot", "--format=docker", "--pull-never", "--tag=convlab", str(context))
        yield image
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # several GB


@pytest.mark.slow
def test_the_image_trains_as_its_own_user_on_the_data_that_it_holds(image: Image):
    line = ["dataset=fashion_mnist", "dataset.source=full", "training.epochs=1", "training.max_batches=2"]
    done = image.run(*image.config["Entrypoint"], *line)
    assert done.returncode == 0, done.stderr
    assert "test_accuracy" in done.stdout
    assert image.run("id", "--user").stdout.strip() == "1000"


@pytest.mark.slow
def test_the_image_answers_a_mistake_as_the_command_does(image: Image):
    done = image.run(*image.config["Entrypoint"], "model=lennot")
    assert done.returncode == 2
    assert "did you mean 'lenot'?" in done.stderr


@pytest.mark.slow
def test_the_image_holds_the_source_and_nothing_else_of_the_checkout(image: Image):
    found = set(image.run("ls", "--almost-all", "/opt/convlab").stdout.split())
    assert found == {"requirements.lock", "requirements-gpu.lock", "conf", "hydra_plugins", "pipelines", "src"}
    assert image.run("ls", "/opt/convlab/conf/local").stdout.split() == ["README.md"]
    assert image.run("touch", "/opt/convlab/src/x.py").returncode != 0


@pytest.mark.slow
def test_the_image_holds_bytecode_of_source_and_requirements(image: Image):
    for module in ("src.train", "tensorflow", "mlflow"):
        where = f"import importlib.util as u, os; print(os.path.exists(u.find_spec('{module}').cached))"
        done = image.run("python", "-c", where)
        assert done.stdout == "True\n", done.stderr


@pytest.mark.services
def test_the_check_of_a_containers_health_needs_no_password(tmp_path: Path):
    check = json.loads(re.findall(r"^HEALTHCHECK .*? CMD (\[.*\])$", DOCKERFILE.replace("\\\n", ""), re.MULTILINE)[0])
    with plain_server(tmp_path) as server:
        named = server.uri.replace("//", "//ada:pw@") + "/"
        for uri, code in (("", 0), (server.uri, 0), (named, 0), ("http://ada:pw@127.0.0.1:9", 1)):
            done = subprocess.run([sys.executable, *check[1:]], env={"MLFLOW_TRACKING_URI": uri}, capture_output=True)
            assert done.returncode == code, done.stderr.decode()


@pytest.mark.slow
def test_a_container_is_well_when_its_server_is(image: Image):
    kind, *check = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert image.run(*check).returncode == 0
    assert image.run(*check, MLFLOW_TRACKING_URI="http://127.0.0.1:9").returncode != 0


@pytest.mark.slow
def test_the_image_is_the_server_of_the_compose_file(image: Image, tmp_path: Path, workplace: Workplace):
    folder = tmp_path / "server"
    folder.mkdir()
    os.chown(folder, 1000, 1000)

    def program(environment: Mapping[str, str]) -> list[str]:
        settings = [f"--env={name}={value}" for name, value in environment.items()]
        return [*image.running(f"--volume={folder}:{folder}", *settings), *SERVICES["mlflow"]["entrypoint"]]

    with postgres_server() as postgres, team_services(postgres, folder, program) as team:
        done = workplace.run("src.train", "dataset=synthetic", "training.epochs=1", **team.client)
        assert done.returncode == 0, done.stderr
        kept = list(team.artifacts.rglob("*/artifacts/model/model.keras"))
        assert [path.stat().st_uid for path in kept] == [1000]
