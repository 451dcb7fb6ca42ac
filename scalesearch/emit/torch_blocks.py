"""The block classes of emitted torch source, as text: one small template per kind.

Attribute names and their order are those of `nets.blocks`, so that state dicts agree.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BLOCK_BASE", "BLOCK_CLASSES", "SUM_BASE"]

BLOCK_BASE: Final = '''
class Block(nn.Module):
    """A branch of layers, added to its input where the stride is 1 and the widths agree."""

    def __init__(self, in_width: int, stage: Stage, stride: int, drop_path: float):
        super().__init__()
        self.residual = stride == 1 and in_width == stage.width  # if not skip
        self.residual = stage.skip and stride == 1 and in_width == stage.width  # if skip
        self.drop_path = DropPath(drop_path if self.residual else 0.0)

    def branch(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch(x)
        return x + self.drop_path(out) if self.residual else out
'''

SUM_BASE: Final = '''
class SumBlock(nn.Module):
    """A branch of layers; the input, projected where shapes differ, is added, and the sum activated."""

    def __init__(self, activation: type[nn.Module], drop_path: float):  # if not skip
    def __init__(self, stage: Stage, activation: type[nn.Module], drop_path: float):  # if skip
        super().__init__()
        self.residual = stage.skip  # if skip
        self.drop_path = DropPath(drop_path)
        self.activation = activation()

    def branch(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch(x)
        if self.residual:  # if skip
            out = self.shortcut(x) + self.drop_path(out)  # if skip
        return self.activation(out)  # if skip
        return self.activation(self.shortcut(x) + self.drop_path(out))  # if not skip

    @staticmethod
    def projection(in_width: int, stage: Stage, stride: int) -> nn.Module:
        """What brings the input to the output's shape."""
        if stride == 1 and in_width == stage.width:  # if not skip
        if not stage.skip or (stride == 1 and in_width == stage.width):  # if skip
            return nn.Identity()
        return ConvNormAct(in_width, stage.width, 1, stride)
'''

_SIGNATURE: Final = """
    def __init__(self, in_width: int, stage: Stage, stride: int, activation: type[nn.Module], drop_path: float):
        super().__init__(in_width, stage, stride, drop_path)"""

_SE_WIDTH: Final = """
        se_width = max(1, int(stage.se_ratio * in_width))  # if se"""


def _se_layer(width: str) -> str:
    layer = f"SqueezeExcite({width}, se_width, activation)"
    return f"""
        self.se = {layer}  # if se and not se_somewhere
        self.se = {layer} if stage.se_ratio else nn.Identity()  # if se_somewhere"""


_MBCONV: Final = f'''
class MBConv(Block):
    """1x1 expansion, depthwise convolution, 1x1 projection (arXiv 1801.04381)."""  # if not se
    """1x1 expansion, depthwise convolution, squeeze-excite, 1x1 projection (arXiv 1807.11626)."""  # if se
{_SIGNATURE}
        mid_width = max(1, round(stage.expansion_ratio * in_width)){_SE_WIDTH}
        self.expand = ConvNormAct(in_width, mid_width, 1, activation=activation)
        self.depthwise = ConvNormAct(mid_width, mid_width, stage.kernel_size, stride, mid_width, activation){
    _se_layer("mid_width")
}
        self.project = ConvNormAct(mid_width, stage.width, 1)

    def branch(self, x: Tensor) -> Tensor:
        return self.project(self.depthwise(self.expand(x)))  # if not se
        return self.project(self.se(self.depthwise(self.expand(x))))  # if se
'''

_DEPTHWISE_SEPARABLE: Final = f'''
class DepthwiseSeparable(Block):
    """Depthwise convolution, 1x1 projection: an MBConv without expansion."""  # if not se
    """Depthwise convolution, squeeze-excite, 1x1 projection: an MBConv without expansion."""  # if se
{_SIGNATURE}{_SE_WIDTH}
        self.depthwise = ConvNormAct(in_width, in_width, stage.kernel_size, stride, in_width, activation){
    _se_layer("in_width")
}
        self.project = ConvNormAct(in_width, stage.width, 1)

    def branch(self, x: Tensor) -> Tensor:
        return self.project(self.depthwise(x))  # if not se
        return self.project(self.se(self.depthwise(x)))  # if se
'''

_FUSED_MBCONV: Final = f'''
class FusedMBConv(Block):
    """Full convolution that expands, 1x1 projection (arXiv 2104.00298)."""  # if not se
    """Full convolution that expands, squeeze-excite, 1x1 projection (arXiv 2104.00298)."""  # if se
{_SIGNATURE}
        mid_width = max(1, round(stage.expansion_ratio * in_width)){_SE_WIDTH}
        self.expand = ConvNormAct(in_width, mid_width, stage.kernel_size, stride, activation=activation){
    _se_layer("mid_width")
}
        self.project = ConvNormAct(mid_width, stage.width, 1)

    def branch(self, x: Tensor) -> Tensor:
        return self.project(self.expand(x))  # if not se
        return self.project(self.se(self.expand(x)))  # if se
'''

_CONV: Final = f'''
class ConvBlock(Block):
    """A full convolution."""  # if not se
    """A full convolution, then squeeze-excite."""  # if se
{_SIGNATURE}{_SE_WIDTH}
        self.conv = ConvNormAct(in_width, stage.width, stage.kernel_size, stride, activation=activation){
    _se_layer("stage.width")
}

    def branch(self, x: Tensor) -> Tensor:
        return self.conv(x)  # if not se
        return self.se(self.conv(x))  # if se
'''

_DEPTHWISE_SEPARABLE_ACT: Final = (
    _DEPTHWISE_SEPARABLE.replace("class DepthwiseSeparable(", "class DepthwiseSeparableAct(")
    .replace("1x1 projection: an MBConv without expansion.", "1x1 convolution, both activated (arXiv 1704.04861).")
    .replace("stage.width, 1)", "stage.width, 1, activation=activation)")
)

_BASIC: Final = '''
class BasicBlock(SumBlock):
    """Two full convolutions (arXiv 1512.03385)."""

    def __init__(self, in_width: int, stage: Stage, stride: int, activation: type[nn.Module], drop_path: float):
        super().__init__(activation, drop_path)  # if not skip
        super().__init__(stage, activation, drop_path)  # if skip
        mid_width = stage.width  # if not expansion
        mid_width = max(1, round(stage.expansion_ratio * stage.width))  # if expansion
        self.conv1 = ConvNormAct(in_width, mid_width, stage.kernel_size, stride, activation=activation)
        self.conv2 = ConvNormAct(mid_width, stage.width, stage.kernel_size)
        self.shortcut = self.projection(in_width, stage, stride)

    def branch(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))
'''

_BOTTLENECK: Final = '''
class Bottleneck(SumBlock):
    """1x1 reduction, full convolution, 1x1 expansion (arXiv 1512.03385); the stride is the middle one's."""

    def __init__(self, in_width: int, stage: Stage, stride: int, activation: type[nn.Module], drop_path: float):
        super().__init__(activation, drop_path)  # if not skip
        super().__init__(stage, activation, drop_path)  # if skip
        mid_width = stage.width  # if not expansion
        mid_width = max(1, round(stage.expansion_ratio * stage.width))  # if expansion
        self.reduce = ConvNormAct(in_width, mid_width, 1, activation=activation)
        self.conv = ConvNormAct(mid_width, mid_width, stage.kernel_size, stride, activation=activation)
        self.expand = ConvNormAct(mid_width, stage.width, 1)
        self.shortcut = self.projection(in_width, stage, stride)

    def branch(self, x: Tensor) -> Tensor:
        return self.expand(self.conv(self.reduce(x)))
'''

BLOCK_CLASSES: Final = {
    "mbconv": ("MBConv", _MBCONV),
    "depthwise_separable": ("DepthwiseSeparable", _DEPTHWISE_SEPARABLE),
    "depthwise_separable_act": ("DepthwiseSeparableAct", _DEPTHWISE_SEPARABLE_ACT),
    "fused_mbconv": ("FusedMBConv", _FUSED_MBCONV),
    "conv": ("ConvBlock", _CONV),
    "basic": ("BasicBlock", _BASIC),
    "bottleneck": ("Bottleneck", _BOTTLENECK),
}
"""Canonical block kind -> (class name, template); a new kind is one more row."""
