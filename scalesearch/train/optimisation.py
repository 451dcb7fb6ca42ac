"""What moves the weights: parameter groups, the optimiser, the schedule, the moving average."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scalesearch.train.recipe import Recipe

__all__ = ["make_average", "make_optimizer", "make_schedule", "parameter_groups", "rate_factor"]


def parameter_groups(net: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Two groups: weights of convolutions and linear layers with decay; norms and biases (one axis) without."""
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def make_optimizer(net: nn.Module, recipe: Recipe, *, capturable: bool = False) -> Optimizer:
    """The recipe's optimiser. SGD with Nesterov; RMSProp with the constants of EfficientNet (arXiv 1905.11946).

    Args:
        capturable: its steps can be recorded in a CUDA graph (on a GPU only; fused SGD always can).
    """
    groups, rate = parameter_groups(net, recipe.weight_decay), recipe.learning_rate
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=(recipe.momentum, 0.999), fused=True, capturable=capturable)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True)
    assert recipe.optimizer == "rmsprop", recipe.optimizer
    return _rmsprop_of_the_release(groups, recipe, capturable)


def _rmsprop_of_the_release(groups: list[dict[str, object]], recipe: Recipe, capturable: bool) -> Optimizer:
    """torch's RMSProp begun as TensorFlow's, with which the paper's rates were found.

    TensorFlow divides by sqrt(s + 1e-3) where torch divides by sqrt(s) + eps, and its running square s begins at 1
    instead of 0, where the first steps of torch move every weight by the rate times sqrt(10).
    """
    optimizer = torch.optim.RMSprop(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        alpha=0.9,
        eps=math.sqrt(1e-3),
        foreach=True,
        capturable=capturable,
    )
    for parameter in (p for group in optimizer.param_groups for p in group["params"]):
        state = optimizer.state[parameter]
        # a graph finds the counter on the device
        state["step"] = torch.zeros((), device=parameter.device if capturable else None)
        state["square_avg"] = torch.ones_like(parameter)
        if recipe.momentum > 0:
            state["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def rate_factor(step: int, steps: int, warmup_steps: int) -> float:
    """Share of the peak rate in `step` (from 0) of `steps`: a line up to 1, then half a cosine to 0.

    Linear: (step + 1) / warmup_steps. Cosine: (1 + cos(pi * t)) / 2 with t = (step - warmup_steps) /
    (steps - warmup_steps) (Loshchilov & Hutter, arXiv 1608.03983). It is 0 after the last step, at `steps`.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    t = (step - warmup_steps) / max(1, steps - warmup_steps)
    return (1 + math.cos(math.pi * min(1.0, t))) / 2


def make_schedule(optimizer: Optimizer, recipe: Recipe, steps: int) -> LambdaLR:
    """Warm-up and cosine over `steps` steps."""
    warmup_steps = round(recipe.warmup * steps)
    return LambdaLR(optimizer, lambda step: rate_factor(step, steps, warmup_steps))


def make_average(net: nn.Module, decay: float) -> AveragedModel | None:
    """Exponential moving average of weights and of running statistics; None where the decay is 0."""
    if decay == 0:
        return None
    return AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
