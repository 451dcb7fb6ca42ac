"""Settings and resources are checked before anything starts."""

import pytest

from scalesearch.engine import ray_session
from scalesearch.engine.ray_engine import RayEngine
from scalesearch.engine.resources import Allotment, Node, allot, this_machine
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import ConfigError, ResourceError, UnknownNameError


@pytest.mark.parametrize(
    "values",
    [
        {"slots": 0},
        {"slots": 1.5},
        {"slots": True},
        {"cpus_per_trial": 0},
        {"cpus_per_trial": None},
        {"cpus_per_trial": float("nan")},
        {"gpus_per_trial": -1},
        {"max_attempts": 0},
        {"max_attempts": None},
        {"trial_timeout": 0},
        {"address": " "},
        {"address": "local"},
        {"name": "serial", "slots": 2},
    ],
)
def test_bad_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"engine[.=]"):
        EngineSettings(**values)  # type: ignore[arg-type]


def test_unknown_engine() -> None:
    with pytest.raises(UnknownNameError, match="did you mean ray"):
        EngineSettings(name="rey")


@pytest.mark.parametrize(
    ("settings", "nodes", "expected"),
    [
        ({}, [Node(2, 0)], Allotment(2, 1, 0)),
        ({"slots": 1}, [Node(2, 0)], Allotment(1, 1, 0)),
        ({"cpus_per_trial": 0.1}, [Node(0.3, 0)], Allotment(3, 0.1, 0)),
        ({"cpus_per_trial": 3}, [Node(4, 0), Node(4, 0), Node(2, 0)], Allotment(2, 3, 0)),
        ({}, [Node(16, 1)], Allotment(1, 1, 1)),
        ({"gpus_per_trial": 0.4}, [Node(16, 2)], Allotment(4, 1, 0.4)),
        ({"gpus_per_trial": 0}, [Node(3, 2)], Allotment(3, 1, 0)),
        ({"gpus_per_trial": 2}, [Node(16, 3), Node(16, 4)], Allotment(3, 1, 2)),
    ],
)
def test_slots_that_fit(settings: dict[str, float], nodes: list[Node], expected: Allotment) -> None:
    assert allot(EngineSettings(**settings), nodes, where="here") == expected  # type: ignore[arg-type]


def test_what_does_not_fit_is_refused_with_what_there_is() -> None:
    with pytest.raises(
        ResourceError, match=r"3 slots x \(1 cores \+ 0 GPUs\).*2 cores and 0 GPUs on 1 node'; .*slots=2"
    ):
        allot(EngineSettings(slots=3), [Node(2, 0)], where="here")
    with pytest.raises(ResourceError, match="lower engine"):
        allot(EngineSettings(cpus_per_trial=4), [Node(2, 0), Node(2, 0)], where="here")
    with pytest.raises(ResourceError, match="0 GPUs"):
        allot(EngineSettings(gpus_per_trial=1), [Node(2, 0)], where="here")


def test_gpus_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for visible, count in (("", 0), ("-1", 0), ("0", 1), ("GPU-1a,GPU-2b", 2)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert this_machine().gpus == count
    assert this_machine().cpus >= 1


def test_this_machine_is_checked_before_ray_starts() -> None:
    with pytest.raises(ResourceError, match="must fit on this machine"):
        RayEngine(EngineSettings(slots=10_000))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:99999999"])
def test_an_address_nobody_answers_at_is_refused(address: str) -> None:
    engine = RayEngine(EngineSettings(address=address))
    engine.start()
    with pytest.raises(ResourceError, match="running Ray cluster"):
        engine.wait_ready()
    engine.close()
    assert ray_session.PROBE_TIMEOUT < 5
