"""The steps of `scalesearch run`: each is a command of its own, composed with its share of the minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scalesearch.config.build import build
from scalesearch.config.compose import compose
from scalesearch.config.pipeline_shape import PipelineConfig
from scalesearch.errors import ConfigError
from scalesearch.units import parse_count

__all__ = ["Step", "pipeline_of", "steps_of"]

# below so many minutes a step asks for fewer seeds, because complete rounds would not fit
_FEW_MINUTES: Final = 10.0


@dataclass(frozen=True, slots=True)
class Step:
    """One command: its verb and composed values; the baseline is put in when it is known."""

    verb: str
    minutes: float | None
    overrides: tuple[str, ...]

    def values(self, config: PipelineConfig, choices: Mapping[str, str], flags: Mapping[str, Any]) -> dict[str, Any]:
        """The composed configuration of the step."""
        common = {"target_flops": config.target_flops, "runs_dir": config.runs_dir}
        known = dict(common) if self.minutes is None else {**common, "minutes": self.minutes}
        return compose(self.verb, self.overrides, choices=choices, flags={**known, **flags})


def pipeline_of(values: Mapping[str, Any]) -> PipelineConfig:
    """The settings of the pipeline.

    Raises:
        ConfigError: a value out of range, or of the wrong type.
    """
    config = build(PipelineConfig, values)
    parse_count(config.target_flops, what="--target-flops")
    if not 0 < config.budget_minutes < 1e6:
        raise ConfigError("--budget-minutes must be positive", value=config.budget_minutes)
    shares = (config.shares.search, config.shares.grid, config.shares.axes)
    if min(shares) <= 0 or not config.formats:
        raise ConfigError("shares must be positive and formats not empty", value=f"{shares}, {config.formats}")
    return config


def steps_of(
    config: PipelineConfig, overrides: Sequence[str], own: Mapping[str, Sequence[str]], *, tiny: bool
) -> list[Step]:
    """The trainings in order; a named baseline leaves out the search, and its minutes go to the others.

    Args:
        overrides: for every step (data, proxy, recipe, engine).
        own: for single steps, by verb.
        tiny: as debug=tiny says for each step, without a limit of minutes.
    """
    verbs = ["search", "grid", "axes"] if config.baseline is None else ["grid", "axes"]
    total = sum(getattr(config.shares, verb) for verb in verbs)
    left = max(1.0, config.budget_minutes - config.overhead_minutes)
    steps = []
    for verb in verbs:
        minutes = None if tiny else round(left * getattr(config.shares, verb) / total, 2)
        first = ["debug=tiny"] if tiny else []
        if verb == "axes" and minutes is not None and minutes < _FEW_MINUTES:
            first.append("seeds.at_least=2")
        steps.append(Step(verb, minutes, (*first, *overrides, *own.get(verb, ()))))
    return steps
