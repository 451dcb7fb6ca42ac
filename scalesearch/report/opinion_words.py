"""The two judges of a grid in words: who judged, what the other one says of the same trainings, do they agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["judge_words", "likely_words", "second_opinion_words", "standings_words"]

_SECOND: Final = {
    "race": "candidates judged one by one (evidence=race)",
    "surface": "one smooth law over the same trainings (evidence=surface)",
}


def judge_words(summary: Mapping[str, Any]) -> str:
    """Who judged the grid; runs from before there was a choice were races."""
    if summary.get("evidence", "race") == "race":
        return "a race: each candidate by its own trainings"
    fit = (summary.get("surface") or {}).get("lack_of_fit")
    fits = "" if fit is None else f" (lack of fit: p = {fit:.2g})"
    return f"one smooth law over all trainings, cheaper networks too{fits}"


def second_opinion_words(summary: Mapping[str, Any]) -> str:
    """What the other judge says, in a line; "" for a run that has none."""
    opinion = summary.get("second_opinion")
    if not opinion:
        return ""
    verb = {True: "agrees", False: "disagrees", None: "decides nothing"}[opinion["agrees"]]
    return f"second opinion, {_SECOND[opinion['judge']]}, {verb}: {opinion['sentence']}"


def likely_words(summary: Mapping[str, Any]) -> str:
    """The few candidates among which the best one probably is, as the law has it; "" where it cannot say."""
    laws = [summary.get("surface") or {}, summary.get("second_opinion") or {}]
    names: list[Mapping[str, Any]] = next((law["likely_best"] for law in laws if law.get("likely_best")), [])
    if not names:
        return ""
    listed = ", ".join(f"{'+'.join(entry['rules'])} {_point(entry)}".strip() for entry in names)
    return f"most likely best under that law, together as sure as the grid's confidence: {listed}"


def standings_words(summary: Mapping[str, Any]) -> str:
    """How to read the table of all candidates."""
    end = (
        "Accuracies are those of the stand-ins, on pictures held out from the training part; the test part was not "
        "looked at."
    )
    if summary.get("evidence", "race") == "race":
        return (
            "Ordered by the objective with the effects of the seeds removed. P(best): share of bootstrap replicates "
            f"over seeds in which the candidate comes first. {end}"
        )
    return (
        "Ordered by the objective as one law over all trainings predicts it; accuracies and intervals are the law's "
        f"too. P(best): share of redrawn laws in which the candidate comes first. {end}"
    )


def _point(entry: Mapping[str, Any]) -> str:
    return f"({entry['alpha']:.2f}, {entry['beta']:.2f}, {entry['gamma']:.2f})"
