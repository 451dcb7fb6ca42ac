"""The small network that stands in for a candidate when it is trained.

Candidates are counted at full size and trained at a declared proxy: width and resolution shrink by one factor for
all of them, depth stays. A finer width divisor keeps distinct candidates distinct; `colliding` checks that it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scalesearch.arch.scaling import Rounding, round_resolution, scale_net
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import ConfigError, SpecError

__all__ = ["ProxySettings", "colliding", "proxy_of"]


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """How candidates are shrunk for training.

    Args:
        width: factor on every width.
        width_divisor: proxy widths are multiples of this; finer than the candidates' own.
        resolution: side in px at which the *baseline* would be trained; candidates keep their ratio to it.
        stem_stride: 1 for small pictures.
        unstrided_stages: stages, counted from 0, whose stride is turned off.
        data_fraction: part of the training pictures that one training sees (stratified, drawn once).
        epochs: passes over them.

    Raises:
        ConfigError: a value outside its range.
    """

    width: float = 0.25
    width_divisor: int = 2
    resolution: int = 24
    stem_stride: int = 1
    unstrided_stages: tuple[int, ...] = ()
    data_fraction: float = 0.2
    epochs: int = 1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 0.01, 4),
            ("width_divisor", 1, 64),
            ("resolution", 4, 4096),
            ("stem_stride", 1, 2),
            ("data_fraction", 1e-6, 1),
            ("epochs", 1, 100_000),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"proxy.{name} must lie in {low:g}..{high:g}", value=getattr(self, name))


def proxy_of(
    spec: NetSpec, *, baseline_resolution: int, settings: ProxySettings, num_classes: int, in_channels: int
) -> NetSpec:
    """The network to train in place of `spec`.

    Args:
        baseline_resolution: full-size side of the baseline, in px; it maps to `settings.resolution`.
        num_classes: of the data set.
        in_channels: of the data set.

    Raises:
        SpecError: the proxy's resolution is below its total stride.
    """
    rounding = Rounding(width_divisor=settings.width_divisor)
    side = round_resolution(spec.resolution * settings.resolution / baseline_resolution)
    small = spec.for_small_inputs(stem_stride=settings.stem_stride, unstrided_stages=settings.unstrided_stages)
    if side < small.total_stride:
        raise SpecError(
            f"the proxy of {spec.name} needs at least its total stride, {small.total_stride} px",
            value=f"{side} px",
            way_out="raise proxy.resolution or turn strides off with proxy.unstrided_stages",
        )
    small = small.with_(num_classes=num_classes, in_channels=in_channels)
    return scale_net(small, width=settings.width, resolution=side, rounding=rounding, name=f"{spec.name}_proxy")


def colliding(proxies: Sequence[NetSpec]) -> list[tuple[int, int]]:
    """Pairs of indices (first, later) of proxies that are the same network, so that training cannot tell them apart."""
    first: dict[str, int] = {}
    pairs = []
    for index, proxy in enumerate(proxies):
        known = first.setdefault(proxy.fingerprint, index)
        if known != index:
            pairs.append((known, index))
    return pairs
