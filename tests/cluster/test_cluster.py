"""Studies on clusters whose nodes die, are cut off, join and lose their head: nothing is lost or repeated."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_study import Study
from netns_cluster import PROXIES, NetnsCluster, can_make_networks
from small_cluster import SmallCluster

from scalesearch.engine import ray_engine
from scalesearch.engine.resources import Allotment, Node, places
from scalesearch.engine.tune_engine import TuneEngine
from scalesearch.errors import EngineError

needs_networks = pytest.mark.skipif(not can_make_networks(), reason="needs root, iproute2 and network namespaces")


class EnoughSeen(Exception):
    """Ends a study early."""


@pytest.fixture(autouse=True)
def disconnected(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Not connected to another module's Ray before, nor to ours after, and no proxy in between."""
    import ray

    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    ray.shutdown()
    yield
    ray.shutdown()


def check_nothing_lost(study: Study) -> None:
    """One record for each trial, all good, none of them blamed for what its node did."""
    records = study.committed()
    assert Counter(record.seed for record in records) == Counter(range(study.trials))
    assert {record.status for record in records} == {"done"}
    assert {record.attempt for record in records} == {1}


def test_slots_fill_the_emptiest_nodes_first_and_stop_where_told() -> None:
    nodes = [Node(2, 0, "a"), Node(4, 0, "b"), Node(0, 0, "head")]
    share = Allotment(0, 1.0, 0.0)
    assert Counter(places(nodes, {}, share, most=None)) == {"a": 2, "b": 4}
    assert Counter(places(nodes, {}, share, most=4)) == {"a": 2, "b": 2}
    assert places(nodes, {"a": 2, "b": 3}, share, most=None) == ["b"]
    assert places(nodes, {"a": 2, "b": 3}, share, most=5) == []
    assert places(nodes, {"gone": 4, "a": 2}, share, most=3) == ["b"], "a node that is gone takes no slot"


def test_a_node_dies_its_trial_goes_on_elsewhere_and_a_node_that_joins_is_used(tmp_path: Path) -> None:
    with SmallCluster(2) as cluster:
        study = Study(tmp_path, cluster.address, seconds=0.25, trials=150)
        early: set[str | None] = set()

        def on_record(study: Study) -> None:
            count, workers = len(study.records), {record.worker for record in study.records}
            if count == 8:
                early.update(workers)
                cluster.kill(cluster.nodes[0])
            elif count == 16:
                cluster.add(wait=False)
            elif count > 16 and len(workers) == 3:
                raise EnoughSeen

        with pytest.raises(EnoughSeen):
            study.run(on_record)
        assert len(early) == 2, "trials spread over the nodes"
        assert {record.attempt for record in study.committed()} == {1}, "a lost node is no attempt"
        told = {record.seed for record in study.records}
        assert {record.seed for record in study.committed()} == told
        assert max(study.times_run()[seed] for seed in told) == 1
        # what was started goes on to the end from the ledger
        study.trials = len(told) + 4
        study.requests = [asked for asked in study.requests if asked.seed in told][: len(told)] + [
            asked for asked in study.requests if asked.seed not in told
        ][:4]
        study.run()
        assert len(study.committed()) == study.trials
        assert max(study.times_run()[seed] for seed in told) == 1, "committed work is not repeated"


@pytest.mark.slow
def test_with_tune_a_node_dies_and_its_trial_is_tried_again_elsewhere(tmp_path: Path) -> None:
    with SmallCluster(3) as cluster:
        study = Study(tmp_path, cluster.address, seconds=0.5, trials=60, engine_class=TuneEngine)

        def on_record(study: Study) -> None:
            if len(study.records) == 10:
                cluster.kill(cluster.nodes[0])

        study.run(on_record)
        records = study.committed()
        assert Counter(record.seed for record in records) == Counter(range(study.trials))
        assert {record.status for record in records} == {"done"}
        assert max(record.attempt for record in records) <= 2
        late = {record.worker for record in study.records[-20:]}
        assert len(late) == 2, "the two nodes that are left work on"


@pytest.mark.slow
def test_every_node_dies_and_a_new_one_takes_over(tmp_path: Path) -> None:
    with SmallCluster(2) as cluster:
        study = Study(tmp_path, cluster.address, seconds=0.25, trials=40)

        def on_record(study: Study) -> None:
            if len(study.records) == 10:
                cluster.kill_all()
                cluster.add(wait=False)

        study.run(on_record)
        check_nothing_lost(study)


@pytest.mark.slow
def test_every_node_dies_and_the_study_ends_until_there_are_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "NODES_TIMEOUT", 5.0)
    with SmallCluster(2) as cluster:
        study = Study(tmp_path, cluster.address, seconds=0.25, trials=40)

        def on_record(study: Study) -> None:
            if len(study.records) == 10:
                cluster.kill_all()

        with pytest.raises(EngineError, match=r"no node of the cluster took trials for 5 s; add nodes and resume"):
            study.run(on_record)
        told = {record.seed for record in study.records}
        assert 10 <= len(told) < study.trials
        cluster.add()
        study.run()
        check_nothing_lost(study)
        assert max(study.times_run()[seed] for seed in told) == 1, "committed work is not repeated"


@pytest.mark.slow
@needs_networks
@pytest.mark.parametrize(("cut_seconds", "counts_as_dead"), [(1.5, False), (20.0, True)])
def test_a_cable_is_pulled(tmp_path: Path, cut_seconds: float, counts_as_dead: bool) -> None:
    with NetnsCluster(2) as cluster:
        wait_for_nodes(cluster, 2)
        study = Study(tmp_path, cluster.address, seconds=0.5, trials=120)
        cut_at: list[float] = []
        back_at: list[float] = []

        def on_record(study: Study) -> None:
            now = time.monotonic()
            if len(study.records) == 10:
                cluster.cut(1)
                cut_at.append(now)
            elif cut_at and not back_at and now - cut_at[0] > cut_seconds:
                cluster.mend(1)
                back_at.append(now)
                if counts_as_dead:  # its Ray ends itself when it learns that it was given up
                    cluster.kill(1)
                    cluster.start(1)

        study.run(on_record)
        assert back_at, "the study outlasted the cut"
        check_nothing_lost(study)
        # the trial that ran on the far side of the cut may have ended there too
        assert sum(study.times_run().values()) <= study.trials + 1
        if counts_as_dead:
            after = {
                record.worker for record, when in zip(study.records, study.times, strict=True) if when > back_at[0]
            }
            assert len(after) == 2, "the node is used again"


@pytest.mark.slow
@needs_networks
def test_the_network_is_cut_for_a_minute_with_rays_own_patience(tmp_path: Path) -> None:
    with NetnsCluster(2, environment={}) as cluster:
        wait_for_nodes(cluster, 2)
        study = Study(tmp_path, cluster.address, seconds=1.0, trials=120)
        cut_at: list[float] = []
        mended: list[float] = []

        def on_record(study: Study) -> None:
            now = time.monotonic()
            if len(study.records) == 8:
                cluster.cut(1)
                cut_at.append(now)
            elif cut_at and not mended and now - cut_at[0] > 60:
                cluster.mend(1)
                mended.append(now)

        study.run(on_record)
        assert mended
        check_nothing_lost(study)
        assert sum(study.times_run().values()) <= study.trials + 1


@pytest.mark.slow
@needs_networks
def test_the_head_dies_and_the_study_resumes_from_its_ledger(tmp_path: Path) -> None:
    with NetnsCluster(2) as cluster:
        wait_for_nodes(cluster, 2)
        # Ray's workers go on without a head for a minute; the study is longer than that
        with driver(tmp_path, cluster.address, 1.0, 240) as process:
            told = [int(next(process.stdout).split()[1]) for _ in range(12)]  # type: ignore[arg-type]
            cluster.kill_head()
            told += [int(line.split()[1]) for line in process.stdout]  # type: ignore[union-attr]
            code = process.wait(120)
        study = Study(tmp_path, cluster.address, seconds=0.1, trials=240)
        kept = {record.seed for record in study.committed()}
        assert kept >= set(told)
        assert code == EngineError.exit_code
        assert len(kept) < study.trials
        runs_before = {seed: study.times_run()[seed] for seed in kept}
        for number in (1, 2):
            cluster.kill(number)
        cluster.start_head()
        for number in (1, 2):
            cluster.start(number)
        wait_for_nodes(cluster, 2)
        study.run()
        check_nothing_lost(study)
        assert {seed: study.times_run()[seed] for seed in kept} == runs_before, "committed work is not repeated"


def driver(folder: Path, address: str, seconds: float, trials: int) -> "subprocess.Popen[str]":
    script = Path(__file__).with_name("cluster_study.py")
    errors = (folder / "stderr").open("w")
    command = [sys.executable, str(script), str(folder), address, str(seconds), str(trials)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)


def wait_for_nodes(cluster: NetnsCluster, count: int) -> None:
    """Connect and wait until so many nodes besides the head are there."""
    import ray

    from scalesearch.engine.ray_session import _use_token

    _use_token()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    until = time.monotonic() + 120
    while sum(1 for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")) < count:
        assert time.monotonic() < until, "the nodes did not come up"
        time.sleep(0.3)
    ray.shutdown()
