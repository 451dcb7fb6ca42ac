"""From records to a summary, without any training: who wins, who failed, what is written when nobody does."""

import pytest

from scalesearch.arch.cost import cost_of
from scalesearch.arch.iso_cost import IsoCostSettings
from scalesearch.data.prepare import SourceInfo
from scalesearch.data.prepared import PreparedData
from scalesearch.data.settings import DataSettings
from scalesearch.errors import TrialError
from scalesearch.search.race_settings import RaceSettings
from scalesearch.studies.grid_outcome import GridOutcome
from scalesearch.studies.grid_plan import plan_grid, plan_proxies
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.studies.grid_work import GridWork
from scalesearch.studies.race_evidence import RaceEvidence
from scalesearch.studies.sessions import Session
from scalesearch.trial import TrialRecord

NAMES = tuple(map(str, range(10)))
DATA = PreparedData(
    folder="nowhere",
    name="x",
    fingerprint="f",
    side=33,
    channels=3,
    class_names=NAMES,
    n_train=50_000,
    n_val=5_000,
    native_side=64,
)
INFO = SourceInfo("x", NAMES, 50_000, 5_000, False, 64, 3)
SETTINGS = GridSettings(
    target_macs=400_000_000,
    data=DataSettings("synthetic"),
    iso_cost=IsoCostSettings(max_candidates=3, rules=("efficientnet", "width_only")),
    race=RaceSettings(max_trainings=40, max_seeds=6),
)


def outcome(accuracy) -> GridOutcome:  # type: ignore[no-untyped-def]
    """A race run to its end with `accuracy(candidate index, seed)` in place of training; None is a failure."""
    grid, proxies = plan_proxies(plan_grid(SETTINGS), SETTINGS, INFO)
    work = GridWork(SETTINGS, grid, proxies, DATA)
    fingerprints, race = list(work.candidates), work.race
    records: dict[tuple[str, int], TrialRecord] = {}
    values: dict[tuple[str, int], float | None] = {}
    while units := race.next_round(values):
        for unit in units:
            got = accuracy(fingerprints.index(unit[0]), unit[1])
            net = proxies.of[unit[0]]
            records[unit] = TrialRecord(
                key=f"{unit}", fingerprint=net.fingerprint, recipe="r", data="f", seed=unit[1], epochs=1,
                status="done" if got is not None else "failed", accuracy=got, macs=cost_of(net).macs,
                error=None if got is not None else "diverged at step 3", seconds=1.0, started_at=10.0, finished_at=11.0,
            )  # fmt: skip
            values[unit] = work.value(unit[0], records[unit])
    return GridOutcome(work, RaceEvidence(work, race, records), {}, (Session(9.0, 1, 12.0),))


def noise(index: int, seed: int) -> float:
    return 0.001 * (((7 * index + 3 * seed) % 5) - 2)


def test_a_clear_winner_is_named_alone() -> None:
    summary = outcome(lambda index, seed: 0.7 + 0.1 * (index == 1) + noise(index, seed)).summary()
    assert summary["ties"] == []
    assert summary["enough_evidence"]
    winner = summary["winner"]
    assert winner["p_best"] > 0.99
    assert winner["accuracy_ci95"][0] < winner["accuracy_mean"] < winner["accuracy_ci95"][1]
    assert winner["fingerprint"] not in summary["sentence"]


def test_equal_candidates_tie() -> None:
    summary = outcome(lambda index, seed: 0.7 + noise(index, seed)).summary()
    assert len(summary["ties"]) == 2


def test_a_candidate_that_left_by_failing_is_neither_winner_nor_evidence() -> None:
    lucky = outcome(
        lambda index, seed: (
            (0.95 if seed == 0 else None) if index == 0 else 0.7 + 0.05 * (index == 1) + noise(index, seed)
        )
    )
    summary = lucky.summary()
    failed = next(iter(lucky.candidates.values()))
    assert summary["failed_candidates"] == [failed.spec.name]
    assert summary["winner"]["fingerprint"] != failed.fingerprint
    assert failed.fingerprint not in {tie["fingerprint"] for tie in summary["ties"]}
    assert summary["enough_evidence"]
    standing = lucky.standings().set_index("fingerprint").loc[failed.fingerprint]
    assert standing["outcome"] == "failed"


def test_where_everything_failed_the_trials_still_say_why() -> None:
    hopeless = outcome(lambda index, seed: None)
    trials = hopeless.trials()
    assert (trials.status == "failed").all()
    assert trials.accuracy.isna().all()
    assert set(trials.error) == {"diverged at step 3"}
    with pytest.raises(TrialError, match="every training failed: diverged at step 3"):
        hopeless.summary()


def test_networks_at_chance_are_said_and_name_no_winner() -> None:
    summary = outcome(lambda index, seed: 0.1).summary()
    assert len(summary["ties"]) == 2
    assert not summary["enough_evidence"]
    assert summary["warnings"][0].startswith("nothing was learned: the best training reaches 10.0%")
    assert not any(line.startswith("nothing") for line in outcome(lambda i, s: 0.5 + noise(i, s)).summary()["warnings"])
