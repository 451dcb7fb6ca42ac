"""What a private Ray leaves open: nothing but 127.0.0.1, a token that one user can read, no telemetry."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

SESSION = """
import json, os, subprocess, sys, time
from pathlib import Path
import psutil
import ray  # before the session, as a notebook might
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.settings import EngineSettings

session = RaySession(EngineSettings(slots=1, cpus_per_trial=0.5), lambda allotment: None)
session.start()
session.wait()

@ray.remote
def nothing():
    return 1

assert ray.get(nothing.remote()) == 1  # a worker is up too
me = psutil.Process()
family = [me, *me.children(recursive=True)]
listening = [
    (process.name(), connection.laddr.ip)
    for process in family
    for connection in process.net_connections("inet")
    if connection.status == psutil.CONN_LISTEN or connection.type.name == "SOCK_DGRAM"
]
# a stranger without the token, on this machine
environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
stranger = subprocess.run(
    [sys.executable, "-c", sys.argv[1], ray.get_runtime_context().gcs_address],
    env=environment | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 64, "RAY_USAGE_STATS_ENABLED": "0"},
    capture_output=True, text=True,
)
print(json.dumps({
    "listening": listening,
    "processes": len(family),
    "folder": [str(session._folder), session._folder.stat().st_mode & 0o777],
    "open_sockets": [str(path) for path in Path("/tmp/ray").glob("*/sockets/*")] if Path("/tmp/ray").exists() else [],
    "usage": [path.name for path in session._folder.rglob("usage_stats.json")],
    "stranger": [stranger.returncode, stranger.stdout, stranger.stderr[-500:]],
}))
session.close()
print(json.dumps(session._folder.exists()))
"""
STRANGER = """
import sys, threading, os
threading.Timer(10, lambda: os._exit(7)).start()
import ray
ray.init(address=sys.argv[1], logging_level="CRITICAL", log_to_driver=False)
print("inside", flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a session in a process of its own, with an empty home, says of itself."""
    home = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SESSION), textwrap.dedent(STRANGER)],
        env=environment, capture_output=True, text=True, timeout=180, umask=0o022,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, last = [line for line in done.stdout.splitlines() if line.strip()]
    return json.loads(first) | {"folder_stays": json.loads(last), "home": home}


def test_everything_listens_on_loopback_only(seen: dict[str, Any]) -> None:
    assert len(seen["listening"]) >= 4, "Ray's sockets were seen"
    assert {address.removeprefix("::ffff:") for _, address in seen["listening"]} == {"127.0.0.1"}


def test_token_and_session_are_for_this_user_alone(seen: dict[str, Any]) -> None:
    ray_folder = seen["home"] / ".ray"
    assert ray_folder.stat().st_mode & 0o777 == 0o700
    assert (ray_folder / "auth_token").stat().st_mode & 0o777 == 0o600
    assert len((ray_folder / "auth_token").read_text()) == 64
    # Ray opens its own folders to everybody; they stand in one that nobody else can enter
    assert seen["folder"][1] == 0o700
    assert seen["folder_stays"] is False


def test_who_has_another_token_stays_outside(seen: dict[str, Any]) -> None:
    code, said, errors = seen["stranger"]
    assert code != 0, errors
    assert "inside" not in said


def test_nothing_is_reported_to_ray(seen: dict[str, Any]) -> None:
    assert seen["usage"] == []


def test_a_token_that_others_can_read_is_closed(tmp_path: Path) -> None:
    from scalesearch.engine.ray_session import _own_token

    token = tmp_path / "auth_token"
    token.write_text("mine")
    token.chmod(0o644)
    _own_token(token)
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text() == "mine"
