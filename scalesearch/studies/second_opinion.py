"""The other judge of a grid, over the same trainings: what it names, and whether it agrees."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scalesearch.errors import DataError
from scalesearch.studies.grid_work import GridWork
from scalesearch.studies.race_evidence import RaceEvidence
from scalesearch.studies.surface_evidence import SurfaceEvidence, raced
from scalesearch.studies.surface_rounds import judged
from scalesearch.studies.surface_work import SurfaceWork

__all__ = ["GridEvidence", "Opinion", "second_opinion"]

GridEvidence = RaceEvidence | SurfaceEvidence


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge says who did not place the trainings.

    Attributes:
        judge: "race" or "surface".
        winner: fingerprint; None where it can name nobody.
        ties: fingerprints that it cannot tell from the winner.
        enough: whether it has the evidence to name anybody; `sentence` says why not.
        lack_of_fit: p value of the law; None for a race, and where it cannot be tested.
        likely: the fewest candidates that together hold `confidence` of being best under the law; () for a race.
        agrees: whether both judges name a common candidate; None where either lacks the evidence to name anybody.
    """

    judge: str
    winner: str | None
    ties: tuple[str, ...]
    enough: bool
    sentence: str
    lack_of_fit: float | None = None
    likely: tuple[str, ...] = ()
    agrees: bool | None = None


def second_opinion(work: GridWork, evidence: GridEvidence) -> Opinion:
    """The law's opinion on a race, a race's opinion on trainings that were placed for the law."""
    opinion = _of_race(work, evidence) if isinstance(evidence, SurfaceEvidence) else _of_surface(work, evidence)
    first = evidence.verdict
    if not (first.enough and opinion.enough):
        return opinion
    common = {first.winner, *first.ties} & {opinion.winner, *opinion.ties}
    return replace(opinion, agrees=bool(common))


def _of_surface(work: GridWork, evidence: RaceEvidence) -> Opinion:
    try:
        surface = judged(SurfaceWork(work, with_cheaper=False), evidence.records)
    except DataError as error:  # an opinion never ends a run
        return Opinion("surface", None, tuple(work.candidates), False, str(error))
    if surface is None:
        return Opinion("surface", None, tuple(work.candidates), False, "no training succeeded")
    likely = surface.region if surface.enough else ()
    found = (surface.winner, surface.ties, surface.enough, surface.sentence, surface.lack_of_fit, likely)
    return Opinion("surface", *found)


def _of_race(work: GridWork, evidence: SurfaceEvidence) -> Opinion:
    verdict = raced(work.settings.race.confidence, evidence.values, evidence.failed)
    if verdict is None:
        return Opinion("race", None, tuple(work.candidates), False, "no training of a candidate succeeded")
    return Opinion("race", verdict.winner, verdict.ties, verdict.enough, verdict.sentence)
