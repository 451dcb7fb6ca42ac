"""Generated pictures: tilted gratings a small convolution can tell apart and a linear model cannot.

Class k has one tilt (0 to 90 degrees from the vertical) and one of two stripe widths. Place, phase, sign of the tilt,
colour, contrast and noise are random, so a mirrored picture keeps its class and the mean picture of a class is empty.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from scalesearch.data.settings import DataSettings
from scalesearch.data.source import ArrayPictures, Index, Pictures
from scalesearch.errors import ConfigError

__all__ = ["gratings", "open_synthetic"]

_VERSION = 1  # of the pictures below; part of their identity
_STRIPES = (4.0, 7.0)  # grating periods across a picture, narrow enough that resolution matters
_NOISE = 0.55  # standard deviation, in units of the largest contrast
_TILT_NOISE = 0.08  # standard deviation in radians: 5 degrees
_MOST_PIXELS = 2_000_000_000


def open_synthetic(settings: DataSettings) -> Pictures:
    """Generate data.size pictures of data.side pixels in data.classes classes from data.seed.

    Raises:
        ConfigError: a size out of range.
    """
    _check(settings)
    labels = np.arange(settings.size, dtype=np.int64) % settings.classes
    images = gratings(
        labels, classes=settings.classes, side=settings.side, channels=settings.channels, seed=settings.seed
    )
    recipe = (_VERSION, settings.size, settings.classes, settings.side, settings.channels, settings.seed)
    identity = hashlib.sha256(f"synthetic {recipe}".encode()).hexdigest()
    return ArrayPictures(Index(tuple(f"class {k}" for k in range(settings.classes)), labels), images, identity)


def gratings(labels: NDArray[np.int64], *, classes: int, side: int, channels: int, seed: int) -> NDArray[np.uint8]:
    """Pictures uint8 [N, side, side, channels] of the given classes."""
    random = np.random.RandomState(seed)
    images = np.empty((len(labels), side, side, channels), dtype=np.uint8)
    for start in range(0, len(labels), 256):
        part = labels[start : start + 256]
        images[start : start + 256] = _some_gratings(part, classes, side, channels, random)
    return images


def _some_gratings(
    labels: NDArray[np.int64], classes: int, side: int, channels: int, random: np.random.RandomState
) -> NDArray[np.uint8]:
    n = len(labels)
    tilts = -(-classes // len(_STRIPES))
    upright = np.pi / 2 * (labels // len(_STRIPES)) / max(tilts - 1, 1)
    tilt = upright * random.choice([-1, 1], n) + random.normal(0, _TILT_NOISE, n)
    stripes = np.asarray(_STRIPES)[labels % len(_STRIPES)] * random.uniform(0.9, 1.1, n)
    y, x = np.meshgrid(np.linspace(-0.5, 0.5, side), np.linspace(-0.5, 0.5, side), indexing="ij")
    x0, y0 = random.uniform(-0.2, 0.2, (2, n, 1, 1))
    along = np.cos(tilt)[:, None, None] * x + np.sin(tilt)[:, None, None] * y
    wave = np.sin(2 * np.pi * (stripes[:, None, None] * along + random.uniform(0, 1, (n, 1, 1))))
    window = np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * 0.22**2))
    colour = random.uniform(0.3, 1.0, (n, 1, 1, channels)) * random.choice([-1, 1], (n, 1, 1, channels))
    picture = (wave * window)[..., None] * colour + random.normal(0, _NOISE, (n, side, side, channels))
    scaled: NDArray[np.uint8] = np.clip(127.5 + 60 * picture, 0, 255).round().astype(np.uint8)
    return scaled


def _check(settings: DataSettings) -> None:
    if not 2 <= settings.classes <= 1000:
        raise ConfigError("data.classes must lie in 2..1000", value=settings.classes, way_out="try 10")
    if settings.size < 2 * settings.classes:
        rule = f"data.size must be at least 2 pictures a class ({2 * settings.classes})"
        raise ConfigError(rule, value=settings.size, way_out="raise data.size or lower data.classes")
    if not 8 <= settings.side <= 1024:
        raise ConfigError("data.side must lie in 8..1024 pixels", value=settings.side, way_out="try 32")
    if settings.channels not in (1, 3):
        raise ConfigError("data.channels must be 1 or 3", value=settings.channels, way_out="try 3")
    if settings.size * settings.side**2 * settings.channels > _MOST_PIXELS:
        raise ConfigError("generated pictures must fit into 2 GB", value=settings.size, way_out="lower data.size")
