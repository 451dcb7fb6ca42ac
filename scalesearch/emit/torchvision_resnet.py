"""ResNets built from torchvision's class, whose widths and stem are fixed: a small subclass in the emitted module."""

from __future__ import annotations

from typing import Final

from scalesearch.arch.spec import NetSpec
from scalesearch.emit.heading import Heading
from scalesearch.emit.layout import call, number
from scalesearch.emit.resnet_shape import resnet_shape

__all__ = ["SCALED_RESNET", "resnet_function"]

SCALED_RESNET: Final = '''

class ScaledResNet(ResNet):
    """torchvision's ResNet with its own planes per stage and stem; torchvision's has 64, 128, 256, 512."""

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        depths: Sequence[int],
        planes: Sequence[int],
        *,
        num_classes: int,
        norm_layer: Callable[[int], nn.Module],
        width_per_group: int = 64,
        in_channels: int = 3,
        stem_width: int = 64,
        stem_kernel_size: int = 7,
        stem_stride: int = 2,
        stem_pool: bool = True,
    ):
        super().__init__(block, [1, 1, 1, 1], num_classes, norm_layer=norm_layer, width_per_group=width_per_group)
        side, self.inplanes = stem_kernel_size, stem_width
        self.conv1 = nn.Conv2d(in_channels, stem_width, side, stem_stride, padding=side // 2, bias=False)
        self.bn1 = norm_layer(stem_width)
        if not stem_pool:
            self.maxpool = nn.Identity()
        for number, (width, depth) in enumerate(zip(planes, depths, strict=True), start=1):
            setattr(self, f"layer{number}", self._make_layer(block, width, depth, stride=1 if number == 1 else 2))
        self.fc = nn.Linear(self.inplanes, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
'''


def resnet_function(spec: NetSpec, name: str) -> str:
    """The function of a ResNet.

    Raises:
        SpecError: torchvision's blocks cannot be it.
    """
    shape = resnet_shape(spec, "torchvision")
    norm = f"norm_layer=partial(nn.BatchNorm2d, eps={number(spec.norm_eps)}, momentum={number(spec.norm_momentum)})"
    settings = [shape.block, str(list(shape.depths)), str(list(shape.planes)), "num_classes=num_classes", norm]
    for key, value, usual in (
        ("width_per_group", shape.base_width, 64),
        ("in_channels", spec.in_channels, 3),
        ("stem_width", spec.stem_width, 64),
        ("stem_kernel_size", spec.stem_kernel_size, 7),
        ("stem_stride", spec.stem_stride, 2),
        ("stem_pool", spec.stem_pool, True),
    ):
        settings += [f"{key}={value}"] * (value != usual)
    head = call(f"def {name}(", [f"num_classes: int = {spec.num_classes}"], " -> ScaledResNet:")
    return f'\n\n{head}\n    """{Heading.summary(spec)}"""\n{call("return ScaledResNet(", settings, indent=4)}\n'
