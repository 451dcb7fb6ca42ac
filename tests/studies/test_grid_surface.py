"""A grid judged by one law: where it trains next, what it names, whether the judges agree, and resuming."""

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from scalesearch.analysis.evidence import LOOKS
from scalesearch.arch.cost import cost_of
from scalesearch.arch.iso_cost import IsoCostSettings
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.config import compose, grid_settings
from scalesearch.data.prepare import SourceInfo
from scalesearch.data.prepared import PreparedData
from scalesearch.data.settings import DataSettings
from scalesearch.engine.base import Engine
from scalesearch.engine.interrupts import Interrupts
from scalesearch.errors import DataError, EngineError, RunFolderError, TrialError, UnknownNameError
from scalesearch.report.grid_page import grid_page
from scalesearch.report.opinion_words import second_opinion_words
from scalesearch.report.screen import LineScreen
from scalesearch.search.race_settings import RaceSettings
from scalesearch.store.ledger import Ledger
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.grid_outcome import GridOutcome
from scalesearch.studies.grid_plan import plan_grid, plan_proxies
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.studies.grid_work import GridWork
from scalesearch.studies.race_evidence import RaceEvidence
from scalesearch.studies.second_opinion import second_opinion
from scalesearch.studies.sessions import Session
from scalesearch.studies.surface_evidence import SurfaceEvidence
from scalesearch.studies.surface_rounds import SurfaceRounds, judged, next_units, round_sizes
from scalesearch.studies.surface_work import SurfaceWork
from scalesearch.trial import TrialRecord, TrialRequest, promised_record

NAMES = tuple(map(str, range(10)))
DATA = PreparedData("nowhere", "x", "f", 33, 3, NAMES, 50_000, 5_000, 64)
INFO = SourceInfo("x", NAMES, 50_000, 5_000, False, 64, 3)
SETTINGS = GridSettings(
    target_macs=400_000_000,
    data=DataSettings("synthetic"),
    iso_cost=IsoCostSettings(max_candidates=8),
    race=RaceSettings(max_trainings=60),
    evidence="surface",
)
Unit = tuple[str, int]
Trial = Callable[[TrialRequest], TrialRecord]


@pytest.fixture(scope="module")
def work() -> GridWork:
    grid, proxies = plan_proxies(plan_grid(SETTINGS), SETTINGS, INFO)
    return GridWork(SETTINGS, grid, proxies, DATA)


def judged_by(work: GridWork, evidence: str, **race: int) -> GridWork:
    settings = replace(work.settings, evidence=evidence, race=replace(work.settings.race, **race))
    return replace(work, settings=settings)


def sizes(net: NetSpec) -> tuple[float, float, float]:
    """Logs of depth, width and resolution around those of the candidates."""
    width = math.fsum(map(math.log, net.widths)) / len(net.widths)
    return math.log(net.depth / 20), width - math.log(19.8), math.log(net.resolution / 26.6)


def steep(net: NetSpec) -> float:
    """Error; depth pays far more than width and resolution, and bends."""
    d, w, r = sizes(net)
    return 0.2 * math.exp(-0.45 * d - 0.3 * w - 0.3 * r + 0.1 * d * d)


def flat(net: NetSpec) -> float:
    """Error: only cost counts."""
    d, w, r = sizes(net)
    return 0.2 * math.exp(-0.18 * d - 0.36 * w - 0.36 * r)


def uneven(net: NetSpec) -> float:
    """Error: every network is off the law by a pattern of its own."""
    return flat(net) * math.exp(0.1 * math.sin(100 * math.fsum(sizes(net))))


def drawn(key: str) -> float:
    """A number between -1 and 1 that depends on the key alone."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**31 - 1


def trial(law: Callable[[NetSpec], float], noise: float = 0.002) -> Trial:
    """A training: accuracy under the law, with a seed effect and noise."""

    def run(asked: TrialRequest) -> TrialRecord:
        seed = asked.seed % 10_000
        error = law(asked.spec) + noise * (drawn(f"seed {seed}") + drawn(f"{asked.spec.fingerprint} {seed}"))
        times = {"seconds": 1.0, "started_at": 10.0, "finished_at": 11.0}
        return replace(promised_record(asked), status="done", accuracy=1 - error, n_val=5_000, **times)

    return run


def diverged(asked: TrialRequest) -> TrialRecord:
    return replace(promised_record(asked), status="failed", error="diverged at step 3")


def placed(work: GridWork, run: Trial) -> SurfaceEvidence:
    """Rounds to their end, without an engine."""
    networks, budget = SurfaceWork(work), work.max_trainings
    records: dict[Unit, TrialRecord] = {}
    while units := next_units(networks, records, budget):
        records |= {unit: run(networks.request(*unit)) for unit in units}
    return SurfaceEvidence(networks, budget, records)


def raced(work: GridWork, run: Trial) -> RaceEvidence:
    """A race to its end, without an engine."""
    race, records = work.race, dict[Unit, TrialRecord]()
    values: dict[Unit, float | None] = {}
    while units := race.next_round(values):
        for unit in units:
            records[unit] = run(work.request(*unit))
            values[unit] = work.value(unit[0], records[unit])
    return RaceEvidence(work, race, records)


def outcome(work: GridWork, evidence: RaceEvidence | SurfaceEvidence) -> GridOutcome:
    return GridOutcome(work, evidence, {}, (Session(9.0, 1, 12.0),))


def best(work: GridWork, law: Callable[[NetSpec], float]) -> str:
    """The candidate with the best true objective."""
    price = SurfaceWork(work).candidates().set_index("candidate")["price"]
    return max(work.candidates, key=lambda name: (1 - law(work.proxies.of[name])) * price[name])


def test_cheaper_networks_are_networks_of_their_own_and_cost_less_than_every_candidate(work: GridWork) -> None:
    networks = SurfaceWork(work)
    cheapest = min(candidate.cost.macs for candidate in work.candidates.values())
    assert len(networks.cheaper) >= 20
    assert all(cost_of(net).macs < cheapest for net in networks.cheaper.values())
    trained = [net.fingerprint for net in networks.trained.values()]
    assert len(set(trained)) == len(trained)
    assert max(net.resolution for net in networks.trained.values()) <= work.proxies.largest_side
    assert not SurfaceWork(work, with_cheaper=False).cheaper


def test_a_candidates_training_is_the_one_of_a_race(work: GridWork) -> None:
    name = next(iter(work.candidates))
    assert SurfaceWork(work).request(name, 3).key == work.request(name, 3).key


def test_rounds_begin_with_what_a_verdict_needs_and_look_as_often_as_it_pays_for(work: GridWork) -> None:
    first, later = round_sizes(SurfaceWork(work))
    assert first == 10 + 2 + 2 + 1
    assert first + later * (LOOKS - 1) >= 4 * 8 + 28 > first + later * (LOOKS - 2)


def test_a_clear_law_names_its_best_candidate_with_fewer_trainings(work: GridWork) -> None:
    evidence = placed(work, trial(steep))
    summary = outcome(work, evidence).summary()
    assert summary["winner"]["fingerprint"] == best(work, steep)
    assert summary["ties"] == []
    assert summary["enough_evidence"]
    assert summary["evidence"] == "surface"
    assert summary["n_trials"] == len(evidence.records) < 60
    assert summary["winner"]["accuracy_mean"] == pytest.approx(
        1 - steep(work.proxies.of[summary["winner"]["fingerprint"]]), abs=0.004
    )
    low, high = summary["winner"]["accuracy_ci95"]
    assert low < summary["winner"]["accuracy_mean"] < high
    assert summary["winner"]["objective_ci95"][0] < summary["winner"]["objective_adjusted"]
    assert [entry["fingerprint"] for entry in summary["surface"]["likely_best"]] == [best(work, steep)]
    assert summary["surface"]["lack_of_fit"] > 0.05 / LOOKS


def test_tables_keep_their_shape_and_cheaper_networks_come_last(work: GridWork) -> None:
    law, race = outcome(work, placed(work, trial(steep))), outcome(work, raced(work, trial(steep)))
    assert list(law.trials().columns) == list(race.trials().columns)
    assert list(law.standings().columns) == list(race.standings().columns)
    trials, standings = law.trials(), law.standings()
    assert set(standings["fingerprint"]) == set(work.candidates)
    assert standings["outcome"].iloc[0] == "best"
    cheaper = ~trials["fingerprint"].isin(list(work.candidates))
    assert cheaper.any()
    assert cheaper.is_monotonic_increasing
    assert trials.loc[cheaper, "objective"].isna().all()
    assert trials.loc[~cheaper, "objective"].notna().all()
    assert trials.loc[cheaper, "macs"].max() < trials.loc[~cheaper, "macs"].min()


def test_equal_candidates_use_up_the_budget_and_tie(work: GridWork) -> None:
    evidence = placed(work, trial(flat, noise=0.01))
    assert len(evidence.records) == 60
    summary = outcome(work, evidence).summary()
    assert summary["ties"]
    assert {"tied", "best"} <= set(outcome(work, evidence).standings()["outcome"])


def test_a_law_that_does_not_fit_ends_the_run_and_says_what_to_do(work: GridWork) -> None:
    evidence = placed(work, trial(uneven))
    assert len(evidence.records) < 60
    summary = outcome(work, evidence).summary()
    assert not summary["enough_evidence"]
    assert len(summary["ties"]) == len(work.candidates) - 1
    assert "the law does not fit: judge the candidates one by one (evidence=race" in summary["sentence"]
    assert summary["second_opinion"]["agrees"] is None


def test_a_budget_too_small_for_the_law_names_nobody(work: GridWork) -> None:
    short = judged_by(work, "surface", max_trainings=6)  # fewer than candidates, which a race would refuse
    summary = outcome(short, placed(short, trial(steep))).summary()
    assert summary["n_trials"] == summary["max_trainings"] == 6
    assert not summary["enough_evidence"]
    assert len(summary["ties"]) == len(work.candidates) - 1
    assert "10 coefficients, 6 networks trained; raise race.max_trainings or minutes" in summary["sentence"]
    standings = outcome(short, placed(short, trial(steep))).standings()
    assert standings["why"].str.contains("no estimate").any()


def test_networks_that_fail_leave_the_pool_and_are_no_evidence(work: GridWork) -> None:
    worst = best(work, steep)
    proxy = work.proxies.of[worst].fingerprint

    def run(asked: TrialRequest) -> TrialRecord:
        return diverged(asked) if asked.spec.fingerprint == proxy else trial(steep)(asked)

    evidence = placed(work, run)
    assert sum(name == worst for name, _ in evidence.records) <= 2
    made = outcome(work, evidence)
    assert made.summary()["failed_candidates"] == [work.candidates[worst].spec.name]
    assert made.summary()["winner"]["fingerprint"] != worst
    assert made.standings().set_index("fingerprint").loc[worst, "outcome"] == "failed"


def test_where_everything_fails_the_first_round_is_the_last(work: GridWork) -> None:
    evidence = placed(work, diverged)
    assert len(evidence.records) == round_sizes(SurfaceWork(work))[0]
    assert (outcome(work, evidence).trials()["status"] == "failed").all()
    with pytest.raises(TrialError, match="every training failed: diverged at step 3"):
        outcome(work, evidence).summary()


def test_a_lone_candidate_needs_no_law(work: GridWork) -> None:
    settings = replace(SETTINGS, iso_cost=IsoCostSettings(max_candidates=1, rules=()))
    grid, proxies = plan_proxies(plan_grid(settings), settings, INFO)
    one = GridWork(settings, grid, proxies, DATA)
    summary = outcome(one, placed(one, trial(steep))).summary()
    assert (summary["n_trials"], summary["ties"], summary["enough_evidence"]) == (2, [], True)
    assert "the only candidate" in summary["sentence"]


def test_perfect_accuracy_is_no_crash(work: GridWork) -> None:
    summary = outcome(work, placed(work, trial(lambda net: 0.0, noise=0.0))).summary()
    assert not summary["enough_evidence"]


def test_both_judges_agree_on_a_clear_law_whoever_placed_the_trainings(work: GridWork) -> None:
    racing = judged_by(work, "race")
    of_race = outcome(racing, raced(racing, trial(steep))).summary()
    assert of_race["second_opinion"]["judge"] == "surface"
    assert of_race["second_opinion"]["agrees"] is True
    assert of_race["second_opinion"]["winner"]["fingerprint"] == best(work, steep)
    assert of_race["second_opinion"]["lack_of_fit"] is not None
    assert of_race["surface"] is None
    words = second_opinion_words(of_race)
    assert words.startswith(
        "second opinion, one smooth law over the same trainings (evidence=surface), agrees: depth_only (2.00,"
    )
    assert best(work, steep) not in words


def test_judges_without_a_common_candidate_disagree(work: GridWork, monkeypatch: pytest.MonkeyPatch) -> None:
    racing = judged_by(work, "race")
    evidence = raced(racing, trial(steep))
    law = judged(SurfaceWork(racing), evidence.records)
    assert law is not None
    others = [name for name in work.candidates if name != best(work, steep)]
    for ties, agrees in ((), False), ((best(work, steep),), True):
        found = replace(law, winner=others[0], ties=ties)
        monkeypatch.setattr("scalesearch.studies.second_opinion.judged", lambda *_, found=found: found)
        opinion = second_opinion(racing, evidence)
        assert opinion.agrees is agrees
    monkeypatch.setattr("scalesearch.studies.second_opinion.judged", lambda *_: replace(law, enough=False))
    assert second_opinion(racing, evidence).agrees is None


def test_an_opinion_never_ends_a_run(work: GridWork, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise DataError("a rule", value="this")

    monkeypatch.setattr("scalesearch.studies.second_opinion.judged", broken)
    racing = judged_by(work, "race")
    opinion = second_opinion(racing, raced(racing, trial(steep)))
    assert (opinion.winner, opinion.agrees, opinion.sentence) == (None, None, "a rule, got 'this'")


def test_too_few_points_give_a_second_opinion_that_says_why(work: GridWork) -> None:
    settings = replace(SETTINGS, iso_cost=IsoCostSettings(max_candidates=3, rules=("efficientnet",)), evidence="race")
    grid, proxies = plan_proxies(plan_grid(settings), settings, INFO)
    small = GridWork(settings, grid, proxies, DATA)
    opinion = outcome(small, raced(small, trial(steep))).summary()["second_opinion"]
    assert (opinion["winner"], opinion["agrees"], opinion["enough_evidence"]) == (None, None, False)
    assert "too few networks for a surface" in opinion["sentence"]


class Stub(Engine):
    """Answers last first on `slots` slots; dies after `lives` trainings."""

    def __init__(self, slots: int, lives: int = 1_000):
        self._slots, self.lives = slots, lives
        self.running: list[TrialRequest] = []
        self.ran: list[str] = []

    def start(self) -> None: ...

    def wait_ready(self) -> None: ...

    @property
    def slots(self) -> int:
        return self._slots

    def submit(self, request: TrialRequest) -> None:
        self.running.append(request)

    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        if not self.running:
            return None
        if len(self.ran) == self.lives:
            raise EngineError("out of lives")
        request = self.running.pop()
        self.ran.append(request.key)
        return trial(flat, noise=0.01)(request)

    def close(self) -> None:
        self.running.clear()


def rounds(
    work: GridWork, engine: Engine, ledger: Ledger, minutes: float | None
) -> tuple[int, Mapping[Unit, TrialRecord]]:
    return SurfaceRounds(SurfaceWork(work), engine, ledger, Interrupts(), LineScreen(), minutes).run()


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[Callable[[str], Ledger]]:
    opened: list[Ledger] = []

    def make(name: str) -> Ledger:
        opened.append(Ledger.create_or_open(tmp_path / f"{name}.db"))
        return opened[-1]

    yield make
    for ledger in opened:
        ledger.close()


@pytest.mark.parametrize("lives", [3, 15, 20])
def test_a_resumed_run_repeats_every_decision_even_on_other_slots(
    work: GridWork, ledgers: Callable[[str], Ledger], lives: int
) -> None:
    minutes = 40 / 60 / 2  # 1 s each on two slots: 40 trainings of the 60
    budget, whole = rounds(work, Stub(2), ledgers("whole"), minutes)
    assert (budget, len(whole)) == (40, 40)
    first = Stub(2, lives)
    with pytest.raises(EngineError):
        rounds(work, first, ledgers("cut"), minutes)
    # the budget was decided for two slots by the first session that finished a round; before that, three decide it
    second = Stub(2 if lives < 15 else 3)
    again, resumed = rounds(work, second, ledgers("cut"), minutes)
    assert again == 40
    assert list(resumed) == list(whole)
    assert resumed == whole
    assert len(first.ran) + len(second.ran) == 40


def test_more_minutes_go_on_where_fewer_ended(work: GridWork, ledgers: Callable[[str], Ledger]) -> None:
    ledger, engine = ledgers("x"), Stub(1)
    _, short = rounds(work, engine, ledger, 0.3)
    _, longer = rounds(work, engine, ledger, 0.5)
    assert list(longer)[: len(short)] == list(short)
    assert (len(short), len(longer), len(engine.ran)) == (18, 30, 30)


def test_the_judge_is_part_of_a_run_and_older_runs_were_races(tmp_path: Path) -> None:
    race = replace(SETTINGS, evidence="race")
    assert "evidence" not in race.identity()
    assert SETTINGS.identity() == {**race.identity(), "evidence": "surface"}
    with RunFolder.plan(tmp_path, "grid", "x").open(race.identity(), "a: 1\n"):
        pass
    RunFolder.plan(tmp_path, "grid", "x").precheck(race.identity())
    with pytest.raises(RunFolderError, match='evidence: absent -> "surface"'):
        RunFolder.plan(tmp_path, "grid", "x").precheck(SETTINGS.identity())


def test_a_judge_nobody_knows_is_refused_and_the_default_is_the_race() -> None:
    assert grid_settings(compose("grid", [])).evidence == "race"
    assert grid_settings(compose("grid", ["evidence=surface"])).evidence == "surface"
    with pytest.raises(UnknownNameError, match="unknown evidence"):
        grid_settings(compose("grid", ["evidence=surfaces"]))
    older = dict(compose("grid", []))
    del older["evidence"]  # the config.yaml of a run from before there was a choice
    assert grid_settings(older).evidence == "race"


@pytest.mark.parametrize("evidence", ["race", "surface"])
def test_the_page_names_the_judge_and_the_second_opinion(work: GridWork, evidence: str) -> None:
    chosen = judged_by(work, evidence)
    made = outcome(chosen, (raced if evidence == "race" else placed)(chosen, trial(steep)))
    page = grid_page(made.summary(), made.standings(), {}, "seed: 0\n")
    assert "Second opinion, " in page
    law = "Ordered by the objective as one law over all trainings predicts it"
    assert (law in page) == (evidence == "surface")
    assert ("one smooth law over all trainings, cheaper networks too" in page) == (evidence == "surface")


def test_from_end_to_end(tmp_path: Path) -> None:
    tiny = ["debug=tiny", "data=synthetic", "data.size=300", "data.side=20", "proxy.data_fraction=0.3", "verify=false"]
    stages = tuple(StageSpec("mbconv", 3, stride, width, 3, 3) for stride, width in ((1, 16), (2, 24), (2, 40)))
    small = NetSpec("small", 64, 16, stages, head_width=64)
    (tmp_path / "small.json").write_text(small.to_json())
    target = str(cost_of(small).macs)
    command = [sys.executable, "-m", "scalesearch", "grid", "--target-flops", target, "--baseline", "small.json", *tiny]
    command += ["engine=serial", "evidence=surface", "race.max_trainings=16", "--name", "x"]
    environment = {**os.environ, "SCALESEARCH_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "round 2: 1 training where it tells most" in done.stderr
    assert "second opinion, candidates judged one by one" in done.stdout
    run = tmp_path / "runs" / "grid" / "x"
    summary = json.loads((run / "summary.json").read_text())
    trials = pd.read_csv(run / "trials.csv")
    assert summary["n_trials"] == len(trials) == 16
    assert (trials["trained_macs"] == trials["trained_fvcore_macs"]).all()
    assert set(pd.read_csv(run / "standings.csv")["fingerprint"]) <= set(
        pd.read_csv(run / "candidates.csv")["fingerprint"]
    )
    assert (run / "report.html").exists()
