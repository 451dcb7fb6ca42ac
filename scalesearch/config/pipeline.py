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

# below so many minutes axes asks for fewer seeds, because complete rounds would not fit
_FEW_MINUTES: Final = 10.0
# axes is the last to train: it fills what is left with complete rounds, as many as it takes
_FILLING: Final = ("seeds.at_most=40", "seeds.beyond_minutes=true")


@dataclass(frozen=True, slots=True)
class Step:
    """One command: its verb, share of the minutes (None: no limit) and overrides; minutes and baseline come later."""

    verb: str
    share: float | None
    overrides: tuple[str, ...]

    def values(
        self,
        config: PipelineConfig,
        choices: Mapping[str, str],
        flags: Mapping[str, Any],
        *,
        minutes: float | None,
    ) -> dict[str, Any]:
        """The composed configuration of the step."""
        known = {"target_flops": config.target_flops, "runs_dir": config.runs_dir}
        first: tuple[str, ...] = ()
        if minutes is not None:
            known["minutes"] = minutes
            if self.verb == "axes":
                first = (*_FILLING, *(("seeds.at_least=2",) if minutes < _FEW_MINUTES else ()))
        return compose(self.verb, (*first, *self.overrides), choices=choices, flags={**known, **flags})


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
    """The trainings in order; a named baseline leaves out the search.

    Args:
        overrides: for every step (data, proxy, recipe, engine).
        own: for single steps, by verb.
        tiny: as debug=tiny says for each step, without a limit of minutes.
    """
    verbs = ["search", "grid", "axes"] if config.baseline is None else ["grid", "axes"]
    first = ("debug=tiny",) if tiny else ()
    return [
        Step(verb, None if tiny else getattr(config.shares, verb), (*first, *overrides, *own.get(verb, ())))
        for verb in verbs
    ]
