"""What a search may choose from: plain values, light to import, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from scalesearch.errors import ConfigError, UnknownNameError

__all__ = ["IDENTITY", "OPS", "SPACE_KINDS", "LayerPlan", "SpaceSettings", "split_layer_op"]

#: (block kind, expansion ratio) by name
OPS: Final = {
    "conv": ("conv", 1.0),
    "depthwise_separable": ("depthwise_separable", 1.0),
    "mbconv_e3": ("mbconv", 3.0),
    "mbconv_e4": ("mbconv", 4.0),
    "mbconv_e6": ("mbconv", 6.0),
    "fused_mbconv_e3": ("fused_mbconv", 3.0),
    "fused_mbconv_e4": ("fused_mbconv", 4.0),
    "fused_mbconv_e6": ("fused_mbconv", 6.0),
}
#: the op of a layered space that leaves a layer out
IDENTITY: Final = "identity"
SPACE_KINDS: Final = ("stages", "layers")

_KERNEL_SIZES: Final = (1, 3, 5, 7)


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """The fixed frame of a layered space: what surrounds the layers, and where they stand.

    Args:
        name: of the base; networks are called NAME_FINGERPRINT.
        widths: output channels of each stage.
        depths: layer positions of each stage.
        strides: 1 or 2, of each stage's first layer.
        se_ratio: of every layer that is not the identity.
        The others as in `arch.spec.NetSpec`.

    Raises:
        ConfigError: lists of different lengths; the values themselves are checked by `NetSpec`.
    """

    name: str = "layered"
    resolution: int = 32
    stem_width: int = 32
    stem_stride: int = 1
    widths: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    head_width: int = 1280
    num_classes: int = 10
    in_channels: int = 3
    activation: str = "relu"
    dropout: float = 0.0
    drop_path: float = 0.0
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1
    se_ratio: float = 0.0

    def __post_init__(self) -> None:
        lengths = (len(self.widths), len(self.depths), len(self.strides))
        if len(set(lengths)) > 1:
            raise ConfigError(
                "space.layers needs one width, one depth and one stride per stage",
                value="{} widths, {} depths, {} strides".format(*lengths),
            )
        for depth in self.depths:
            if depth < 1:
                raise ConfigError("space.layers.depths must be at least 1", value=depth)


@dataclass(frozen=True, slots=True)
class SpaceSettings:
    """The choices of a search space.

    Args:
        kind: "stages" varies the stages of a base network; "layers" chooses an op for every layer of `layers`.
        ops: names of `OPS`; with kind "layers" the kernel is part of the name ("mbconv_e3_k3"), and "identity" leaves
            the layer out.
        kernel_sizes: sides in px.
        se_ratios: squeeze-excite over input width; 0 is without.
        skips: whether the input is added where shapes agree.
        filters: factors on the width of the base's stage.
        repeats: blocks more (or fewer) than the base's stage has; at least one block stays.
        width_divisor: widths other than the base's are multiples of this.
        layers: the frame of kind "layers", which takes the place of the base.

    Raises:
        ConfigError: an empty or repeated choice, a value out of range, or fewer than two points.
        UnknownNameError: an op or a kind that does not exist.
    """

    kind: str = "stages"
    ops: tuple[str, ...] = ("conv", "depthwise_separable", "mbconv_e3", "mbconv_e6")
    kernel_sizes: tuple[int, ...] = (3, 5)
    se_ratios: tuple[float, ...] = (0.0, 0.25)
    skips: tuple[bool, ...] = (True, False)
    filters: tuple[float, ...] = (0.75, 1.0, 1.25)
    repeats: tuple[int, ...] = (-1, 0, 1)
    width_divisor: int = 8
    layers: LayerPlan = field(default_factory=LayerPlan)

    def __post_init__(self) -> None:
        if self.kind not in SPACE_KINDS:
            raise UnknownNameError.of("kind of space", self.kind, SPACE_KINDS)
        _check_choices("ops", self.ops)
        if self.kind == "layers":
            self._check_layers()
        else:
            self._check_stages()

    def _check_layers(self) -> None:
        for op in self.ops:
            split_layer_op(op)
        if not self.layers.widths:
            raise ConfigError("empty space: space.layers has no stages", way_out="list widths, depths and strides")
        if len(self.ops) < 2:
            raise ConfigError("a search space needs at least two points", value=1, way_out="add to space.ops")

    def _check_stages(self) -> None:
        for op in self.ops:
            if op not in OPS:
                raise UnknownNameError.of("op", op, OPS)
        several = len(self.ops) > 1
        for name in ("kernel_sizes", "se_ratios", "skips", "filters", "repeats"):
            choices: tuple[object, ...] = getattr(self, name)
            _check_choices(name, choices)
            several = several or len(choices) > 1
        if not several:
            raise ConfigError(
                "a search space needs at least two points", value=1, way_out="add a choice to one of its lists"
            )
        for kernel_size in self.kernel_sizes:
            if kernel_size not in range(1, 32, 2):
                raise ConfigError("space.kernel_sizes must be odd, from 1 to 31", value=kernel_size)
        for name, values, low, high in (
            ("se_ratios", self.se_ratios, 0, 1),
            ("filters", self.filters, 0.05, 20),
            ("repeats", self.repeats, -100, 100),
            ("width_divisor", (self.width_divisor,), 1, 256),
        ):
            for value in values:
                if not low <= value <= high:
                    raise ConfigError(f"space.{name} must lie in {low:g}..{high:g}", value=value)


def split_layer_op(op: str) -> tuple[str, int]:
    """Op and kernel size of a layer op: "mbconv_e3_k5" -> ("mbconv_e3", 5); the identity has kernel size 0.

    Raises:
        UnknownNameError: no such op.
    """
    name, _, kernel = op.rpartition("_k")
    if op == IDENTITY:
        return IDENTITY, 0
    if name not in OPS or kernel not in map(str, _KERNEL_SIZES):
        known = [f"{known}_k{k}" for known in OPS for k in (3, 5, 7)]
        raise UnknownNameError.of("layer op", op, [IDENTITY, *known])
    return name, int(kernel)


def _check_choices(name: str, choices: tuple[object, ...]) -> None:
    if not choices:
        raise ConfigError(f"empty space: space.{name} has no choice", way_out="list at least one")
    if len(set(choices)) < len(choices):
        raise ConfigError(f"space.{name} must not repeat a choice", value=list(choices))
