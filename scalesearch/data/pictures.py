"""One encoded picture -> one uint8 array, and nothing else: limits, decoding, antialiased resizing.

Pictures are used as stored: an EXIF orientation is not applied (neither do torchvision's and timm's loaders).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from scalesearch.errors import DataError

__all__ = ["PIXEL_LIMIT", "PictureHeader", "decode", "fit", "own_pixel_limit", "read_header"]

PIXEL_LIMIT = 64_000_000  # below Pillow's 89 M, so that ours is the rule that speaks
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM")  # no other parser of Pillow sees a user's file
_GREY_MODES = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L"})


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a picture's header says: sides in pixels, and whether it is stored as grey."""

    width: int
    height: int
    grey: bool

    @property
    def short_side(self) -> int:
        return min(self.width, self.height)


def read_header(data: bytes, name: str) -> PictureHeader:
    """Read the header alone.

    Raises:
        DataError: not a picture, or more than PIXEL_LIMIT pixels; names the picture.
    """
    with _named(name), _open(data) as image:
        return PictureHeader(image.width, image.height, image.mode in _GREY_MODES)


def decode(data: bytes, name: str, *, side: int, channels: int) -> NDArray[np.uint8]:
    """Decode to uint8 [side, side, channels]; header limits are checked before any pixel is decoded.

    Raises:
        DataError: broken, truncated or too large; names the picture.
    """
    with _named(name), _open(data) as image:
        return fit(_as_mode(image, channels), side)


def fit(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """Centre square of an L or RGB image, resized with antialiasing (bicubic) to uint8 [side, side, channels].

    The same as resizing the short side to `side` and cropping the centre, in one step.
    """
    short = min(image.size)
    left, top = (image.width - short) / 2, (image.height - short) / 2
    if image.size != (side, side):
        box = (left, top, left + short, top + short)
        image = image.resize((side, side), Image.Resampling.BICUBIC, box=box)
    return np.asarray(image, dtype=np.uint8).reshape(side, side, -1)


@contextmanager
def own_pixel_limit() -> Iterator[None]:
    """Silence Pillow's size warning for the duration: PIXEL_LIMIT is stricter and raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _open(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.width * image.height > PIXEL_LIMIT:
        raise Image.DecompressionBombError(
            f"{image.width} x {image.height} pixels, more than {PIXEL_LIMIT // 1_000_000} million"
        )
    return image


def _as_mode(image: Image.Image, channels: int) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey is scaled to 8 bits, because Pillow's own conversion clips it
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    return image.convert("L" if channels == 1 else "RGB")


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # because Pillow's parsers raise nearly anything on broken bytes
        why = "not a JPEG, PNG, BMP, WebP or PPM picture" if isinstance(error, UnidentifiedImageError) else error
        readable = name.encode("utf-8", "backslashreplace").decode("utf-8")
        raise DataError(
            f"picture {readable} must be readable",
            value=str(why) or type(error).__name__,
            way_out="replace or delete it",
        ) from error
