"""From a `NetSpec` to a torch module with stable, tidy names: stem, stages.S.B, head, classifier."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor, nn

from scalesearch.arch.spec import POOL_KERNEL_SIZE, NetSpec
from scalesearch.nets.blocks import Block, ConvNormAct, NormSettings, global_average, make_block

__all__ = ["ImageClassifier", "build_net", "initialise", "zero_init_residual"]


class ImageClassifier(nn.Module):
    """Stem (and its max pool), stages, head, global average pool, dropout, linear layer.

    Args:
        spec: the network, already with the classes and channels it is to have.
        drop_path: stochastic depth rate; block i of n gets `drop_path * i / n`.
    """

    def __init__(self, spec: NetSpec, *, drop_path: float, dropout: float):
        super().__init__()
        self.spec = spec
        norm = NormSettings(eps=spec.norm_eps, momentum=spec.norm_momentum)
        self.stem = ConvNormAct(
            spec.in_channels,
            spec.stem_width,
            kernel_size=spec.stem_kernel_size,
            stride=spec.stem_stride,
            norm=norm,
            activation=spec.activation,
        )
        self.pool = (
            nn.MaxPool2d(POOL_KERNEL_SIZE, 2, padding=POOL_KERNEL_SIZE // 2) if spec.stem_pool else nn.Identity()
        )
        rates = iter([drop_path * i / spec.depth for i in range(spec.depth)])
        self.stages = nn.Sequential(
            *(
                nn.Sequential(*(make_block(block, norm=norm, drop_path=next(rates)) for block in stage))
                for stage in spec.blocks()
            )
        )
        self.head: nn.Module = nn.Identity()
        if spec.head_width:
            self.head = ConvNormAct(
                spec.stages[-1].width, spec.head_width, kernel_size=1, norm=norm, activation=spec.activation
            )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(spec.feature_width, spec.num_classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures (batch, in_channels, side, side) -> logits (batch, num_classes)."""
        features = self.head(self.stages(self.pool(self.stem(pictures))))
        logits: Tensor = self.classifier(self.dropout(global_average(features, training=self.training)))
        return logits

    def blocks(self) -> Iterator[Block]:
        """All blocks, in order."""
        for stage in self.stages:
            assert isinstance(stage, nn.Sequential)
            for block in stage:
                assert isinstance(block, Block)
                yield block


def build_net(
    spec: NetSpec,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    drop_path: float | None = None,
    dropout: float | None = None,
) -> ImageClassifier:
    """Build and initialise the network that `spec` describes; the keywords override the spec's own values.

    Weights come from torch's global generator: seed it, or fork it with `torch.random.fork_rng`.

    Raises:
        SpecError: an override outside the rules of `NetSpec`.
    """
    overrides = {"num_classes": num_classes, "in_channels": in_channels, "drop_path": drop_path, "dropout": dropout}
    changes = {name: value for name, value in overrides.items() if value is not None}
    spec = spec.with_(**changes) if changes else spec
    net = ImageClassifier(spec, drop_path=spec.drop_path, dropout=spec.dropout)
    initialise(net)
    return net


def initialise(net: nn.Module) -> None:
    """Draw the weights as the released EfficientNet code does.

    Convolution: normal, variance 2 / fan_out with fan_out = k * k * width / groups. Linear: uniform in
    +-1 / sqrt(outputs). Norms 1, all biases 0. (tensorflow/tpu, models/official/efficientnet/efficientnet_model.py,
    conv_kernel_initializer and dense_kernel_initializer.)
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 / fan_out))
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.out_features)
            nn.init.uniform_(module.weight, -bound, bound)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def zero_init_residual(net: ImageClassifier) -> int:
    """Set the closing norm of every residual branch to zero, so that the branch starts as the identity.

    Goyal et al., arXiv 1706.02677, section 5.1. A branch that ends in an activation is left alone, because relu has
    no slope at zero and the branch would never wake up. Returns the number of branches set.
    """
    norms = [block.closing_norm for block in net.blocks()]
    chosen = [norm for norm in norms if norm is not None]
    for norm in chosen:
        nn.init.zeros_(norm.weight)
    return len(chosen)
