"""The image and the four nodes of compose.yaml: linted always, built where an engine answers."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
NODES = [name for name in COMPOSE["services"] if name.startswith("node-")]


def instruction(name: str) -> str:
    """The last instruction of that name in the Dockerfile, its continued lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} (.+)$", joined, flags=re.MULTILINE)[-1]


def test_dockerfile_passes_hadolint() -> None:
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts")) or shutil.which(
        "hadolint"
    )
    if hadolint is None:
        pytest.skip("hadolint has no wheel for this platform")
    result = subprocess.run(
        [hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_image_runs_a_python_that_has_a_wheel_for_every_package() -> None:
    minor = re.search(r"^ARG PYTHON_TAG=3\.(\d+)\.\d+-slim-\w+$", DOCKERFILE, flags=re.MULTILINE)
    assert minor is not None
    assert 11 <= int(minor[1]) <= 12, "plyvel has no wheel past CPython 3.12"


def test_node_is_process_one_and_nobody() -> None:
    assert json.loads(instruction("ENTRYPOINT")) == ["evidence-ledger"]
    assert json.loads(instruction("CMD")) == ["node", "run", "--home", "/home/ledger/data"]
    assert instruction("USER") == "10001:10001"
    assert f'image.version="{VERSION}"' in DOCKERFILE


class Health(http.server.BaseHTTPRequestHandler):
    """Answers every request with the status of its server's choice."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def health_server() -> Iterator[http.server.HTTPServer]:
    handler = type("Health", (Health,), {})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_health_check_follows_the_answer(
    health_server: http.server.HTTPServer, status: int, is_healthy: bool
) -> None:
    assert issubclass(health_server.RequestHandlerClass, Health)
    health_server.RequestHandlerClass.status = status
    command = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    url = f"http://127.0.0.1:{health_server.server_port}/healthz"
    result = subprocess.run(
        [sys.executable, *command[1:]],
        env={"LEDGER_HEALTH_URL": url},
        capture_output=True,
        check=False,
    )
    assert (result.returncode == 0) is is_healthy, result.stderr


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_service_is_locked_down(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["image"] == f"evidence-ledger:{VERSION}"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == instruction("USER")
    assert not {"privileged", "cap_add", "pid", "ipc", "environment", "env_file"} & set(service)


def test_four_nodes_share_nothing_but_the_network() -> None:
    assert NODES == ["node-0", "node-1", "node-2", "node-3"]
    ports: list[str] = []
    for name in NODES:
        service = COMPOSE["services"][name]
        assert service["command"] == json.loads(instruction("CMD"))
        (volume,) = service["volumes"]
        assert volume["target"] == "/home/ledger/data"
        assert volume["volume"] == {"subpath": name}
        ports += service["ports"]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len(set(ports)) == len(NODES)
    assert COMPOSE["networks"]["peers"] == {"internal": True}
    assert COMPOSE["services"]["homes"]["network_mode"] == "none"


@pytest.mark.slow
def test_image_builds_and_shows_help() -> None:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("docker is not installed")
    if subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no container engine answers here")
    subprocess.run([docker, "build", "--tag", "evidence-ledger:test", ROOT], check=True)
    run = [docker, "run", "--rm", "--read-only", "--cap-drop=ALL", "--network=none"]
    shown = subprocess.run(
        [*run, "evidence-ledger:test", "--help"], capture_output=True, text=True, check=True
    )
    assert "node" in shown.stdout
