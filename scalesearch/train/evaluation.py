"""Top-1 accuracy and loss of a network on the validation part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from scalesearch.train.feed import Feed

__all__ = ["Evaluation", "evaluate"]

_BATCH_PIXELS: Final = 128 * 24 * 24  # on a CPU: larger batches fall out of its caches


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`accuracy`: top-1, 0..1; `loss`: mean cross-entropy in nats, without label smoothing."""

    accuracy: float
    loss: float


def evaluate(net: nn.Module, feed: Feed, *, device: torch.device, dtype: torch.dtype | None = None) -> Evaluation:
    """Judge `net` on the validation part, in evaluation mode; the mode is put back afterwards."""
    was_training = net.training
    net.eval()
    images, labels = feed.val_images, feed.val_labels
    size = 1024 if device.type == "cuda" else max(16, _BATCH_PIXELS // images.shape[-1] ** 2)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        for start in range(0, len(labels), size):
            batch = feed.ready(images[start : start + size].to(device))
            truth = labels[start : start + size].to(device)
            logits = net(batch).float()
            correct += (logits.argmax(1) == truth).sum()
            loss += functional.cross_entropy(logits, truth, reduction="sum")
    net.train(was_training)
    return Evaluation(int(correct) / len(labels), float(loss) / len(labels))
