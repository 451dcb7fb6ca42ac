"""The classes of emitted torch source, as text: layers, blocks and the network around them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from scalesearch.arch.blocks import SUM_KINDS
from scalesearch.emit.torch_blocks import BLOCK_BASE, BLOCK_CLASSES, SUM_BASE
from scalesearch.emit.torch_template import select

__all__ = ["ACTIVATION_CLASSES", "layers_source"]

ACTIVATION_CLASSES: Final = {
    "silu": "nn.SiLU",
    "relu": "nn.ReLU",
    "relu6": "nn.ReLU6",
    "hard_swish": "nn.Hardswish",
    "identity": "nn.Identity",
}

_CONV_NORM_ACT: Final = '''
class ConvNormAct(nn.Module):
    """Convolution without bias, batch norm, activation; the output side is ceil(input side / stride)."""

    def __init__(
        self,
        in_width: int,
        width: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        activation: type[nn.Module] = nn.Identity,
    ):
        super().__init__()
        padding = kernel_size // 2
        self.conv = nn.Conv2d(in_width, width, kernel_size, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(x)))
'''

_SQUEEZE_EXCITE: Final = '''
class SqueezeExcite(nn.Module):
    """A gate in (0, 1) for every channel, computed from the pooled map (arXiv 1709.01507)."""

    def __init__(self, width: int, se_width: int, activation: type[nn.Module]):
        super().__init__()
        self.reduce = nn.Conv2d(width, se_width, 1)
        self.activation = activation()
        self.expand = nn.Conv2d(se_width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean((2, 3), keepdim=True)
        return x * self.expand(self.activation(self.reduce(pooled))).sigmoid()
'''

_DROP_PATH: Final = '''
class DropPath(nn.Module):
    """Stochastic depth: in training, drops the whole branch of a picture with probability `rate` (arXiv 1603.09382)."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = torch.empty((x.shape[0], 1, 1, 1), dtype=x.dtype, device=x.device).bernoulli_(keep)
        return x * (mask / keep)
'''

_NETWORK: Final = '''
class ImageClassifier(nn.Module):
    """Stem, stages, head, global average pool, dropout, linear layer.

    Pictures (batch, in_channels, side, side) -> logits (batch, num_classes).
    """

    def __init__(self, network: Network, num_classes: int, in_channels: int, drop_path: float, dropout: float):
        super().__init__()
        width, activation = network.stem_width, network.activation
        kernel_size, stride = network.stem_kernel_size, network.stem_stride
        self.stem = ConvNormAct(in_channels, width, kernel_size, stride, activation=activation)
        self.pool = nn.MaxPool2d(3, 2, padding=1) if network.stem_pool else nn.Identity()  # if pool

        # stochastic depth: the branch of block i of n is dropped with probability drop_path * i / n
        depth = sum(stage.depth for stage in network.stages)
        rates = iter([drop_path * i / depth for i in range(depth)])
        self.stages = nn.Sequential()
        for stage in network.stages:
            blocks = nn.Sequential()
            activation = stage.activation or network.activation  # if activation
            for index in range(stage.depth):
                stride = stage.stride if index == 0 else 1
                blocks.append(stage.block(width, stage, stride, activation, next(rates)))
                width = stage.width
            self.stages.append(blocks)

        activation = network.activation  # if activation
        self.head = ConvNormAct(width, network.head_width, 1, activation=activation)  # if not headless
        self.head = nn.Identity()  # if headless
        if network.head_width:  # if headless
            self.head = ConvNormAct(width, network.head_width, 1, activation=activation)  # if headless
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(network.head_width, num_classes)  # if not headless
        self.classifier = nn.Linear(network.head_width or width, num_classes)  # if headless
        self.initialise(network)

    def forward(self, pictures: Tensor) -> Tensor:
        features = self.head(self.stages(self.stem(pictures)))  # if not pool
        features = self.head(self.stages(self.pool(self.stem(pictures))))  # if pool
        return self.classifier(self.dropout(features.mean((2, 3))))

    def initialise(self, network: Network) -> None:
        """Draw the weights as the released EfficientNet code does: fan-out normal, uniform classifier."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
                nn.init.normal_(module.weight, 0.0, math.sqrt(2 / fan_out))
            elif isinstance(module, nn.Linear):
                bound = 1 / math.sqrt(module.out_features)
                nn.init.uniform_(module.weight, -bound, bound)
            elif isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = network.norm_eps, network.norm_momentum
                continue
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
'''


def layers_source(kinds: Mapping[str, Set[str]], features: Set[str]) -> str:
    """The classes that a family needs, each after two blank lines.

    Args:
        kinds: the block kinds that occur, each with the `FEATURES` that its blocks need.
        features: those of the family.
    """
    parts = [_CONV_NORM_ACT, *([_SQUEEZE_EXCITE] if "se" in features else []), _DROP_PATH]
    parts += [select(BLOCK_BASE, features)] if kinds.keys() - SUM_KINDS else []
    parts += [select(SUM_BASE, features)] if kinds.keys() & SUM_KINDS else []
    parts += [
        select(template, kinds[kind] | features & {"skip", "expansion"})
        for kind, (_, template) in BLOCK_CLASSES.items()
        if kind in kinds
    ]
    return "".join(f"\n{part}" for part in (*parts, select(_NETWORK, features)))
