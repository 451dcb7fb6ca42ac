"""Search spaces by their settings, and everything their users need in one place."""

from __future__ import annotations

from scalesearch.arch.layer_space import LayerSpace
from scalesearch.arch.points import CostWindow, Dimension, Point, Space
from scalesearch.arch.space_settings import SpaceSettings
from scalesearch.arch.spec import NetSpec
from scalesearch.arch.stage_space import StageSpace

__all__ = ["CostWindow", "Dimension", "LayerSpace", "Point", "Space", "SpaceSettings", "StageSpace", "make_space"]


def make_space(base: NetSpec, settings: SpaceSettings) -> Space:
    """The space that the settings describe, around `base`; a layered space brings a base of its own.

    Raises:
        SpecError: a layered space whose frame cannot be built.
    """
    return LayerSpace(settings) if settings.kind == "layers" else StageSpace(base, settings)
