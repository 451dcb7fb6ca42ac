"""engine=ray: long-lived Ray actors, one per slot, fed through `ray.wait`.

An actor imports torch once and then takes a trial in about a millisecond. One that dies, hangs or crashes is
replaced and its trial tried again; one that ran out of memory, when no other trial runs. On a cluster slots follow its
nodes: those of a node that is gone are given up, and their trials go on elsewhere without having used up an attempt; a
node that joins gets slots.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final

from scalesearch.engine.attempt import STOPS_THE_RUN, Crash, failed_record
from scalesearch.engine.base import Engine, Running, TrialFn
from scalesearch.engine.cluster_watch import ClusterWatch, cluster_nodes
from scalesearch.engine.data_shipping import pack
from scalesearch.engine.ray_errors import reason_of
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.ray_slots import Slot, SlotMaker
from scalesearch.engine.resources import Allotment, Node, places
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import EngineError
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["RayEngine"]

# seconds a worker may take to appear and import torch; Ray itself waits for ever
WORKER_START_TIMEOUT: Final = 120.0
# workers in a row that may die while starting
START_ATTEMPTS: Final = 3
# nodes a trial may lose; after them it is the trial that is to blame
NODE_LOSSES: Final = 3


class RayEngine(Engine):
    """Runs trials on Ray actors, on this machine or on a cluster.

    `start` returns at once: Ray starts, actors are made and torch is imported in them while the caller works
    (verification, calibration); `wait_ready` waits for the rest.

    Args:
        settings: see there.
        trial_fn: what to run; None is `scalesearch.trial.run_trial`.

    Raises:
        MissingPackageError: Ray is not installed.
        ResourceError: the slots do not fit on this machine (a cluster is checked once it answers).
    """

    def __init__(self, settings: EngineSettings | None = None, *, trial_fn: TrialFn | None = None):
        self._settings = settings or EngineSettings()
        self._trial_fn = trial_fn
        self._session = RaySession(self._settings, self._make_slots)
        self._maker: SlotMaker
        self._slots: list[Slot] = []
        self._watch: ClusterWatch | None = None
        # trials and their attempt that have no slot, because that of a lost node is gone
        self._waiting: deque[tuple[TrialRequest, int]] = deque()
        self._losses: Counter[str] = Counter()
        self._lost: deque[TrialRecord] = deque()
        self._empty_since = 0.0
        self._start_failures = 0
        self._bundles: dict[str, Any] = {}

    def start(self) -> None:
        """Begin to start Ray and the workers; further calls do nothing."""
        self._session.start()

    def wait_ready(self) -> None:
        """Return when every worker has imported what trials need."""
        self.start()
        self._session.wait()
        while not all(slot.ready for slot in self._slots):
            self._step(timeout=0.2, slots=[slot for slot in self._slots if not slot.ready])

    @property
    def slots(self) -> int:
        """Actors there are now; waits until Ray has answered."""
        self.start()
        self._session.wait()
        return len(self._slots)

    def submit(self, request: TrialRequest) -> None:
        """Give the trial to an idle actor; it waits for one where the last was lost with its node."""
        self._waiting.append((request, 1))
        self._feed()

    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        """The next finished record; replaces dead and hung workers and repeats their trials on the way."""
        until = None if timeout is None else time.monotonic() + timeout
        while self._lost or self._waiting or any(slot.request for slot in self._slots):
            self._follow_cluster()
            self._feed()
            left = 1.0 if until is None else max(0.0, min(1.0, until - time.monotonic()))
            record = self._lost.popleft() if self._lost else self._step(timeout=left, slots=self._slots)
            if record is not None:
                return record
            if until is not None and time.monotonic() >= until:
                return None
        return None

    def running(self) -> Sequence[Running]:
        """The trials on ready workers."""
        busy = [(slot.request, slot) for slot in list(self._slots) if slot.ready]
        return [Running(request, slot.worker, slot.since) for request, slot in busy if request is not None]

    def close(self) -> None:
        """Kill the actors and end the session; further calls do nothing."""
        if self._watch is None or self._watch.hears_head:  # else Ray would wait for it
            for slot in self._slots:
                slot.kill()
        self._slots = []
        self._waiting.clear()
        self._session.close()

    def _make_slots(self, allotment: Allotment) -> None:
        """Make the actors; called in the session's thread as soon as Ray answers."""
        self._maker = SlotMaker(self._trial_fn, self._settings, allotment)
        head = self._session.head
        if head is None:
            self._slots = [self._maker.new() for _ in range(allotment.slots)]
        else:
            self._watch = ClusterWatch(head)
            self._settle_on(cluster_nodes())

    def _settle_on(self, nodes: list[Node]) -> None:
        """Make slots where there is room and fewer than asked for."""
        assert self._session.allotment is not None
        taken = Counter(slot.node for slot in self._slots)
        for node in places(nodes, taken, self._session.allotment, most=self._settings.slots):
            self._slots.append(self._maker.new(node))

    def _follow_cluster(self) -> None:
        """Give up the slots of nodes that are gone and use those that joined."""
        nodes = None if self._watch is None else self._watch.look()
        if self._watch is None or nodes is None:
            return
        alive = {node.id for node in nodes}
        for slot in [slot for slot in self._slots if slot.node not in alive]:
            self._give_up(slot)
        self._settle_on(self._watch.usable(nodes))
        if self._slots:
            self._empty_since = 0.0
        elif self._empty_since == 0.0:
            self._empty_since = time.monotonic()
        elif time.monotonic() - self._empty_since > WORKER_START_TIMEOUT:
            raise EngineError(
                f"no node of the cluster took trials for {WORKER_START_TIMEOUT:g} s; add nodes and resume"
            )

    def _give_up(self, slot: Slot) -> None:
        """Forget a slot; its trial waits for another one, without having used up an attempt for a few times."""
        slot.kill()
        self._slots.remove(slot)
        request = slot.request
        if request is None:
            return
        self._losses[request.key] += 1
        if self._losses[request.key] <= NODE_LOSSES:
            self._waiting.appendleft((request, slot.attempt))
        else:
            crash = Crash(f"its node was lost {NODE_LOSSES + 1} times", time.monotonic() - slot.since, slot.worker)
            self._lost.append(failed_record(request, crash, slot.attempt))

    def _feed(self) -> None:
        """Give waiting trials to idle actors, after those that were held back; who still starts gets one when ready."""
        for slot in sorted(self._slots, key=lambda slot: not slot.alone):
            if slot.request is not None and slot.ready and slot.pending is None:
                self._launch(slot)
        for slot in self._slots:
            if not self._waiting:
                break
            if slot.ready and slot.request is None:
                slot.request, slot.attempt = self._waiting.popleft()
                self._launch(slot)

    def _launch(self, slot: Slot) -> None:
        """Start the slot's request on its ready actor; held back while a trial has to run alone."""
        assert slot.request is not None
        others = [other for other in self._slots if other is not slot]
        in_the_way = [other for other in others if (other.pending and other.ready if slot.alone else other.alone)]
        if in_the_way:
            return
        slot.pending = slot.actor.run.remote(slot.request, slot.attempt, self._bundle(slot.request))
        slot.since = time.monotonic()

    def _bundle(self, request: TrialRequest) -> list[Any]:
        """A reference to the packed data set, put into Ray's store once; empty on this machine alone."""
        if self._settings.address is None:
            return []
        if request.data.fingerprint not in self._bundles:
            import ray

            self._bundles[request.data.fingerprint] = ray.put(pack(request.data))
        # inside a list a reference is passed on as it is, so that only nodes that need the data fetch it
        return [self._bundles[request.data.fingerprint]]

    def _step(self, *, timeout: float, slots: list[Slot]) -> TrialRecord | None:
        """Wait for one thing to happen on `slots` and deal with it."""
        import ray

        watched = {slot.pending: slot for slot in slots if slot.pending is not None}
        if not watched:  # every node is gone, or idle
            time.sleep(min(timeout, 0.2))
            return None
        limit = self._settings.trial_timeout
        if limit is not None:  # wake up when the next trial counts as hung
            ends = [slot.since + limit for slot in watched.values() if slot.ready]
            timeout = max(0.0, min([timeout, *(end - time.monotonic() for end in ends)]))
        done, _ = ray.wait(list(watched), num_returns=1, timeout=timeout)
        if done:
            return self._settle(watched[done[0]], done[0])
        for slot in watched.values():
            age = time.monotonic() - slot.since
            if not slot.ready and age > WORKER_START_TIMEOUT:
                self._late(slot)
                return None
            if slot.ready and limit is not None and age >= limit:
                return self._crashed(slot, Crash(f"hung: no result within {limit:g} s", age, slot.worker), lost=True)
        return None

    def _settle(self, slot: Slot, pending: Any) -> TrialRecord | None:
        """Deal with an actor that answered or died."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        slot.pending = None
        seconds = time.monotonic() - slot.since
        try:
            answer = ray.get(pending)
        except RayError as error:
            if isinstance(error, RayTaskError) and isinstance(error.cause, STOPS_THE_RUN):
                raise error.cause from None
            if not isinstance(error, RayTaskError) and self._watch is not None and self._watch.is_gone(slot.node):
                self._give_up(slot)
                return None
            if not slot.ready:
                self._start_failed(slot, error)
                return None
            return self._crashed(slot, Crash(reason_of(error), seconds, slot.worker), lost=True)
        if not slot.ready:
            slot.ready, slot.worker, self._start_failures = True, answer, 0
            if slot.request is not None:
                self._launch(slot)
            return None
        if isinstance(answer, Crash):
            # a CUDA error stays with its process, so with GPUs a crash costs the worker
            on_gpu = self._session.allotment is not None and self._session.allotment.gpus > 0
            return self._crashed(slot, answer, lost=on_gpu and not answer.final)
        slot.request, slot.alone = None, False
        return answer  # type: ignore[no-any-return]

    def _crashed(self, slot: Slot, crash: Crash, *, lost: bool) -> TrialRecord | None:
        """Try the slot's trial again, or give its failed record; a lost worker is replaced."""
        request, attempt = slot.request, slot.attempt
        assert request is not None
        again = not crash.final and attempt < self._settings.max_attempts
        if lost:
            self._replace(slot)
        slot.request, slot.attempt = (request, attempt + 1) if again else (None, 0)
        slot.alone = again and crash.out_of_memory and len(self._slots) > 1
        if again and slot.ready:
            self._launch(slot)
        return None if again else failed_record(request, crash, attempt)

    def _late(self, slot: Slot) -> None:
        """A worker that does not come up ends the run, unless others work: then its node is left alone for a while."""
        if self._watch is None or not any(other.ready for other in self._slots):
            raise EngineError(f"a worker did not start within {WORKER_START_TIMEOUT:g} s; is the cluster busy?")
        self._watch.avoid(slot.node)
        self._give_up(slot)

    def _start_failed(self, slot: Slot, error: BaseException) -> None:
        self._start_failures += 1
        if self._start_failures < START_ATTEMPTS:
            self._replace(slot)
        elif self._watch is not None and any(other.ready for other in self._slots):
            self._watch.avoid(slot.node)
            self._give_up(slot)
        else:
            raise EngineError(f"workers cannot start ({reason_of(error)}); try engine=serial to see why") from error

    def _replace(self, slot: Slot) -> None:
        """Put a new actor into the slot; the request stays."""
        slot.kill()
        fresh = self._maker.new(slot.node)
        slot.actor, slot.pending, slot.since = fresh.actor, fresh.pending, fresh.since
        slot.ready, slot.worker = False, fresh.worker
