"""Ray nodes in network namespaces of their own, joined by a bridge, so that a cable can be pulled.

Each node is a real `ray start` in its namespace; the head and the driver stay in the machine's own. Needs root and
iproute2.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

_BRIDGE = f"ss{os.getpid() % 100_000}"
_STORE_BYTES = 80 * 2**20
# gRPC would ask a proxy for the way to other namespaces
PROXIES = ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
# a node counts as dead after 5 to 10 s instead of about a minute
QUICK = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}


def can_make_networks() -> bool:
    """Whether this user may make namespaces and bridges here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    probe = f"sp{os.getpid() % 100_000}"
    made = subprocess.run(["ip", "link", "add", probe, "type", "bridge"], capture_output=True).returncode == 0
    subprocess.run(["ip", "link", "del", probe], capture_output=True)
    made = made and subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode == 0
    subprocess.run(["ip", "netns", "del", probe], capture_output=True)
    return made


class NetnsCluster:
    """Use it in a `with` statement; nodes are numbered from 1, the head has no cores for trials.

    Args:
        nodes: of one core each.
        environment: for every process of Ray.
    """

    def __init__(self, nodes: int, environment: dict[str, str] = QUICK):
        self._count = nodes
        self._environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"} | environment
        for name in PROXIES:
            self._environment.pop(name, None)
        # by it tests/conftest.py keeps other tests' Ray on 127.0.0.1
        self._environment.pop("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", None)
        self._net = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}
        self._spaces: list[str] = []
        self._head: subprocess.Popen[bytes] | None = None
        self.address = f"{self._net}.1:6397"

    def __enter__(self) -> "NetnsCluster":
        token = Path.home() / ".ray" / "auth_token"
        if not token.exists():
            token.parent.mkdir(mode=0o700, exist_ok=True)
            token.touch(mode=0o600)
            token.write_text(os.urandom(32).hex())
        self._folder = tempfile.mkdtemp(prefix="ssn-", dir="/tmp")
        try:
            _ip("link", "add", _BRIDGE, "type", "bridge")
            _ip("addr", "add", f"{self._net}.1/24", "dev", _BRIDGE)
            _ip("link", "set", _BRIDGE, "up")
            self.start_head()
            for _ in range(self._count):
                self.add()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        for process in [*self._nodes.values(), *([self._head] if self._head else [])]:
            _kill_tree(process)
        for space in self._spaces:
            for pid in subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True).stdout.split():
                with suppress(OSError):
                    os.kill(int(pid), 9)
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def start_head(self) -> None:
        """Start the head, or start it again."""
        self._head = self._ray(
            [],
            ["--head", f"--node-ip-address={self._net}.1", f"--port={self.address.rpartition(':')[2]}", "--num-cpus=0",
             f"--temp-dir={self._folder}", "--include-dashboard=false"],
        )  # fmt: skip
        _wait(lambda: _answers(self.address), "the head")

    def kill_head(self) -> None:
        """SIGKILL to the head's processes."""
        assert self._head is not None
        _kill_tree(self._head)

    def add(self) -> int:
        """A node in a namespace of its own."""
        number = len(self._spaces) + 1
        space = f"{_BRIDGE}n{number}"
        _ip("netns", "add", space)
        self._spaces.append(space)
        _ip("link", "add", self._cable(number), "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", self._cable(number), "master", _BRIDGE, "up")
        for words in (
            ("addr", "add", f"{self._net}.{10 + number}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", space, *words)
        self.start(number)
        return number

    def start(self, number: int) -> None:
        """Start a node's Ray, or start it again."""
        # a folder of its own, as on a machine of its own: two that start at once choose the same names for sockets
        folder = f"{self._folder}/{number}"
        self._nodes[number] = self._ray(
            ["ip", "netns", "exec", f"{_BRIDGE}n{number}"],
            [f"--address={self.address}", f"--node-ip-address={self._net}.{10 + number}", "--num-cpus=1",
             f"--temp-dir={folder}"],
        )  # fmt: skip

    def kill(self, number: int) -> None:
        """SIGKILL to everything on a node."""
        _kill_tree(self._nodes[number])

    def cut(self, number: int) -> None:
        """Pull the node's cable."""
        _ip("link", "set", self._cable(number), "down")

    def mend(self, number: int) -> None:
        """Plug it in again."""
        _ip("link", "set", self._cable(number), "up")

    def _cable(self, number: int) -> str:
        return f"{_BRIDGE}c{number}"

    def _ray(self, before: list[str], options: list[str]) -> "subprocess.Popen[bytes]":
        ray = str(Path(sys.executable).with_name("ray"))
        command = [*before, ray, "start", *options, "--num-gpus=0", f"--object-store-memory={_STORE_BYTES}", "--block"]
        return subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _kill_tree(process: "subprocess.Popen[bytes]") -> None:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        for one in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def _answers(address: str) -> bool:
    from scalesearch.engine.cluster_watch import answers

    return answers(address, 1.0)


def _wait(condition, what: str, seconds: float = 90.0) -> None:  # type: ignore[no-untyped-def]
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come up within {seconds:g} s")
        time.sleep(0.2)
