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

from scalesearch.engine.attempt import STOPS_THE_RUN, Crash, failed_record, on_drivers_time
from scalesearch.engine.base import Engine, Running, TrialFn
from scalesearch.engine.cluster_watch import ClusterWatch, cluster_nodes
from scalesearch.engine.data_shipping import pack
from scalesearch.engine.grouping import GroupFn, apart, group_fn_beside, group_limit
from scalesearch.engine.ray_errors import reason_of
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.ray_slots import Slot, SlotMaker, Work
from scalesearch.engine.resources import Allotment, Node, places
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import EngineError
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["RayEngine"]

# seconds a worker may take to appear and import torch; Ray itself waits for ever
WORKER_START_TIMEOUT: Final = 300.0
# seconds for which a run waits for nodes when none is left
NODES_TIMEOUT: Final = 120.0
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
        group_fn: what runs seeds as one; None is `run_group` beside `run_trial`, else there are no groups.

    Raises:
        MissingPackageError: Ray is not installed.
        ResourceError: the slots do not fit on this machine (a cluster is checked once it answers).
    """

    def __init__(
        self,
        settings: EngineSettings | None = None,
        *,
        trial_fn: TrialFn | None = None,
        group_fn: GroupFn | None = None,
    ):
        self._settings = settings or EngineSettings()
        self._group_fn = group_fn_beside(trial_fn, group_fn)
        self._trial_fn = trial_fn
        self._session = RaySession(self._settings, self._make_slots)
        self._maker: SlotMaker
        self._slots: list[Slot] = []
        self._watch: ClusterWatch | None = None
        # without a slot, because that of a lost node is gone or their group failed
        self._waiting: deque[Work] = deque()
        self._losses: Counter[str] = Counter()
        self._arrived: deque[TrialRecord] = deque()
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
        """Actors there are now; waits until Ray has answered, unless nothing was started and they are known."""
        if (planned := self._session.slots_before_start) is not None:
            return planned
        self.start()
        self._session.wait()
        return len(self._slots)

    @property
    def group(self) -> int:
        """As the settings say."""
        return group_limit(self._settings, self._group_fn)

    def submit(self, request: TrialRequest) -> None:
        """Give the trial to an idle actor; it waits for one where the last was lost with its node."""
        self.submit_group([request])

    def submit_group(self, requests: Sequence[TrialRequest]) -> None:
        """Give the trials to an idle actor, as `submit` does."""
        self._waiting.append(Work(tuple(requests)))
        self._feed()

    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        """The next finished record; replaces dead and hung workers and repeats their trials on the way."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self._arrived and (self._waiting or any(slot.requests for slot in self._slots)):
            self._follow_cluster()
            self._feed()
            left = 1.0 if until is None else max(0.0, min(1.0, until - time.monotonic()))
            self._arrived.extend(() if self._arrived else self._step(timeout=left, slots=self._slots))
            if not self._arrived and until is not None and time.monotonic() >= until:
                return None
        return self._arrived.popleft() if self._arrived else None

    def running(self) -> Sequence[Running]:
        """The trials on ready workers."""
        busy = [(slot.requests, slot) for slot in list(self._slots) if slot.ready and slot.requests]
        return [Running(requests[0], slot.worker, slot.since, len(requests)) for requests, slot in busy]

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
        self._maker = SlotMaker(self._trial_fn, self._group_fn, self._settings, allotment)
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
        elif time.monotonic() - self._empty_since > NODES_TIMEOUT:
            raise EngineError(f"no node of the cluster took trials for {NODES_TIMEOUT:g} s; add nodes and resume")

    def _give_up(self, slot: Slot) -> None:
        """Forget a slot; what it had waits for another one, without having used up an attempt for a few times."""
        slot.kill()
        self._slots.remove(slot)
        if not slot.requests:
            return
        self._losses.update(request.key for request in slot.requests)
        if self._losses[slot.requests[0].key] <= NODE_LOSSES:
            self._waiting.appendleft(Work(slot.requests, slot.attempt, slot.why_apart))
            return
        crash = Crash(f"its node was lost {NODE_LOSSES + 1} times", time.monotonic() - slot.since, slot.worker)
        records = [failed_record(request, crash, slot.attempt) for request in slot.requests]
        self._arrived.extend(apart(record, slot.why_apart) for record in records)

    def _feed(self) -> None:
        """Give waiting trials to idle actors, after those that were held back; who still starts gets one when ready."""
        for slot in sorted(self._slots, key=lambda slot: not slot.alone):
            if slot.requests and slot.ready and slot.pending is None:
                self._launch(slot)
        for slot in self._slots:
            if not self._waiting:
                break
            if slot.ready and not slot.requests:
                slot.requests, slot.attempt, slot.why_apart = self._waiting.popleft()
                self._launch(slot)

    def _launch(self, slot: Slot) -> None:
        """Start what the slot has on its ready actor; held back while a trial has to run alone."""
        assert slot.requests
        others = [other for other in self._slots if other is not slot]
        in_the_way = [other for other in others if (other.pending and other.ready if slot.alone else other.alone)]
        if in_the_way:
            return
        bundle = self._bundle(slot.requests[0])
        if len(slot.requests) > 1:
            slot.pending = slot.actor.run_group.remote(slot.requests, bundle)
        else:
            slot.pending = slot.actor.run.remote(slot.requests[0], slot.attempt, bundle)
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

    def _step(self, *, timeout: float, slots: list[Slot]) -> Sequence[TrialRecord]:
        """Wait for one thing to happen on `slots` and deal with it; the records that it gave."""
        import ray

        watched = {slot.pending: slot for slot in slots if slot.pending is not None}
        if not watched:  # every node is gone, or idle
            time.sleep(min(timeout, 0.2))
            return ()
        limit = self._settings.trial_timeout
        if limit is not None:  # wake up when the next trial counts as hung
            ends = [slot.since + limit * len(slot.requests) for slot in watched.values() if slot.ready]
            timeout = max(0.0, min([timeout, *(end - time.monotonic() for end in ends)]))
        done, _ = ray.wait(list(watched), num_returns=1, timeout=timeout)
        if done:
            return self._settle(watched[done[0]], done[0])
        for slot in watched.values():
            age = time.monotonic() - slot.since
            if not slot.ready and age > WORKER_START_TIMEOUT:
                self._late(slot)
                return ()
            if slot.ready and limit is not None and age >= (most := limit * len(slot.requests)):
                return self._crashed(slot, Crash(f"hung: no result within {most:g} s", age, slot.worker), lost=True)
        return ()

    def _settle(self, slot: Slot, pending: Any) -> Sequence[TrialRecord]:
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
                return ()
            if not slot.ready:
                self._start_failed(slot, error)
                return ()
            return self._crashed(slot, Crash(reason_of(error), seconds, slot.worker), lost=True)
        if not slot.ready:
            slot.ready, slot.worker, self._start_failures = True, answer, 0
            if slot.requests:
                self._launch(slot)
            return ()
        if isinstance(answer, Crash):
            # a CUDA error stays with its process, so with GPUs a crash costs the worker
            on_gpu = self._session.allotment is not None and self._session.allotment.gpus > 0
            return self._crashed(slot, answer, lost=on_gpu and not answer.final)
        slot.requests, slot.alone = (), False
        return on_drivers_time(answer if isinstance(answer, list) else [apart(answer, slot.why_apart)])

    def _crashed(self, slot: Slot, crash: Crash, *, lost: bool) -> Sequence[TrialRecord]:
        """Try the slot's trial again, or give its failed record; a lost worker is replaced.

        A group is not tried again but its members are run, one by one, each with all its attempts.
        """
        requests, attempt = slot.requests, slot.attempt
        group = len(requests) > 1
        again = not group and not crash.final and attempt < self._settings.max_attempts
        if lost:
            self._replace(slot)
        slot.requests, slot.attempt = (requests, attempt + 1) if again else ((), 0)
        slot.alone = again and crash.out_of_memory and len(self._slots) > 1
        if again and slot.ready:
            self._launch(slot)
        if group:
            self._waiting.extendleft(Work((request,), 1, crash.error) for request in reversed(requests))
        return () if again or group else [apart(failed_record(requests[0], crash, attempt), slot.why_apart)]

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
