"""Weights that were trained before: put into a network, and the backbone held still for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from scalesearch.nets.build import ImageClassifier

__all__ = ["CLASSIFIER", "load_backbone", "set_learning"]

CLASSIFIER: Final = "classifier."


def load_backbone(net: ImageClassifier, state: Mapping[str, Tensor]) -> bool:
    """Copy weights into `net`; a classifier of other classes is left as it was drawn.

    Args:
        state: keys and shapes of `net`, but for the classifier's classes.

    Returns:
        Whether the classifier was replaced, because its classes are others.
    """
    own = net.state_dict()
    fitting = {name: tensor for name, tensor in state.items() if own[name].shape == tensor.shape}
    replaced = len(fitting) < len(state)
    # a classifier's weight and bias stay together
    chosen = {name: tensor for name, tensor in fitting.items() if not (replaced and name.startswith(CLASSIFIER))}
    missing = net.load_state_dict(chosen, strict=False).missing_keys
    assert all(name.startswith(CLASSIFIER) for name in missing), missing
    return replaced


def set_learning(net: ImageClassifier, *, frozen: bool) -> None:
    """Training mode for everything, or for the classifier alone: a frozen backbone keeps its running statistics too."""
    net.train()
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(not frozen or name.startswith(CLASSIFIER))
    for name, module in net.named_children():
        if frozen and name not in (CLASSIFIER.rstrip("."), "dropout"):
            module.eval()
