"""Who belongs to a Ray cluster now: nodes join, die and are cut off while a study runs."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from typing import Final

from scalesearch.engine.resources import Node
from scalesearch.errors import EngineError

__all__ = ["ClusterWatch", "answers", "cluster_nodes"]

# seconds between two looks
LOOK_SECONDS: Final = 2.0
# seconds the head may be silent; Ray itself ends the driver's process, without a word, after 60
HEAD_TIMEOUT: Final = 45.0
# seconds in which a node whose worker died may turn out to be dying too
NODE_GRACE: Final = 1.5
# seconds for which nothing is started on a node where no worker came up
AVOID_SECONDS: Final = 300.0
PROBE_TIMEOUT: Final = 1.0


class ClusterWatch:
    """Looks at the nodes of the cluster that this process is connected to.

    Args:
        address: "HOST:PORT" of the head.
    """

    def __init__(self, address: str):
        self._address = address
        # through Ray's client port only the head can be reached, not its nodes
        self._asks_nodes = not address.startswith("ray://")
        self._looked = self._heard = time.monotonic()
        self._avoided: dict[str, float] = {}
        self._gone: set[str] = set()

    @property
    def hears_head(self) -> bool:
        """Whether the head answers now."""
        return answers(self._address, PROBE_TIMEOUT)

    def look(self) -> list[Node] | None:
        """The nodes on which work may start or go on; None where the last look was a moment ago or the head is silent.

        Raises:
            EngineError: the head has been silent for too long.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return None
        self._looked = now
        if not self.hears_head:
            if now - self._heard > HEAD_TIMEOUT:
                raise EngineError(
                    f"the head of the Ray cluster at {self._address} has not answered for {HEAD_TIMEOUT:g} s; "
                    "start it again and resume"
                )
            return None  # asking Ray now would wait for the head
        self._heard = now
        nodes = cluster_nodes()
        self._gone -= {node.id for node in nodes if node.id in self._gone and answers(node.address, PROBE_TIMEOUT)}
        return [node for node in nodes if node.id not in self._gone]

    def is_gone(self, node_id: str) -> bool:
        """Whether a node whose worker gave no answer is dead, dying or cut off; takes up to `NODE_GRACE` seconds."""
        if node_id in self._gone:
            return True
        until = time.monotonic() + NODE_GRACE
        while self.hears_head:
            # Ray calls a node dead only after several silent seconds, so the node itself is asked too
            found = [node for node in cluster_nodes() if node.id == node_id]
            if not found or (self._asks_nodes and not answers(found[0].address, PROBE_TIMEOUT)):
                self._gone.add(node_id)
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(0.1)
        return False

    def avoid(self, node_id: str) -> None:
        """Start nothing on the node for a while."""
        self._avoided[node_id] = time.monotonic() + AVOID_SECONDS

    def usable(self, nodes: Iterable[Node]) -> list[Node]:
        """Nodes on which something may be started."""
        now = time.monotonic()
        return [node for node in nodes if self._avoided.get(node.id, 0.0) <= now]


def cluster_nodes() -> list[Node]:
    """The living nodes, as the head tells."""
    import ray

    return [
        Node(
            cpus=float(node["Resources"].get("CPU", 0)),
            gpus=float(node["Resources"].get("GPU", 0)),
            id=node["NodeID"],
            address=f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}",
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


def answers(address: str, seconds: float) -> bool:
    """Whether somebody takes a connection at "HOST:PORT" within `seconds`."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=seconds).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True
