"""A private Ray cluster of several nodes on this machine, for tests and benchmarks; a node is a raylet of its own."""

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import psutil

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray replaces 127.0.0.1 by the machine's public address
    "RAY_AUTH_MODE": "token",
}
_STORE_BYTES = 80 * 2**20


class SmallCluster:
    """A head without cores for trials, and nodes of one core each, all on 127.0.0.1; use it in a `with` statement.

    Args:
        nodes: how many besides the head.
    """

    def __init__(self, nodes: int):
        self._count = nodes
        self.nodes: list[Any] = []

    def __enter__(self) -> "SmallCluster":
        os.environ.update(_ENVIRONMENT)
        from ray._raylet import AuthenticationTokenLoader, Config

        token = Path.home() / ".ray" / "auth_token"
        if not token.exists():
            token.parent.mkdir(mode=0o700, exist_ok=True)
            token.touch(mode=0o600)
            token.write_text(os.urandom(32).hex())
        # Ray may have been imported, and have read the environment, before
        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()
        from ray.cluster_utils import Cluster

        # short, because the paths of Ray's sockets may have 107 characters
        self._folder = tempfile.mkdtemp(prefix="ssc-", dir="/tmp")
        self._cluster = Cluster(initialize_head=False)
        self._add(num_cpus=0)
        for _ in range(self._count):
            self.add()
        return self

    def __exit__(self, *raised: object) -> None:
        self._cluster.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def address(self) -> str:
        """ "HOST:PORT" of the head."""
        return str(self._cluster.address)

    def add(self, *, wait: bool = True) -> Any:
        """One more node of one core; in the main thread only, because Ray sets signal handlers."""
        self.nodes.append(self._add(num_cpus=1, wait=wait))
        return self.nodes[-1]

    def kill(self, node: Any) -> None:
        """SIGKILL to the node's raylet and everything it started, as when the machine loses power."""
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        for process in [raylet, *raylet.children(recursive=True)]:
            process.send_signal(signal.SIGKILL)
        self._cluster.worker_nodes.discard(node)
        self.nodes.remove(node)

    def kill_all(self) -> None:
        """The same to every node but the head."""
        for node in list(self.nodes):
            self.kill(node)

    def _add(self, **options: Any) -> Any:
        return self._cluster.add_node(
            node_ip_address="127.0.0.1",
            object_store_memory=_STORE_BYTES,
            temp_dir=self._folder,
            include_dashboard=False,
            **options,
        )
