from __future__ import annotations

import warnings

import numpy as np
import pytest
from pictures_made_here import bomb_png, encode, noise
from PIL import Image

from scalesearch.data.pictures import decode, fit, own_pixel_limit, read_header
from scalesearch.errors import DataError


def test_fit_takes_the_centre_of_a_wide_picture():
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = (10, 200, 30)

    square = fit(Image.fromarray(wide), 8)

    assert square.shape == (8, 8, 3)
    assert (square == (10, 200, 30)).all()


def test_fit_antialiases():
    # stripes of one pixel: taking every fourth pixel would give all black or all white
    stripes = np.tile(np.array([0, 255], np.uint8), (32, 16))

    small = fit(Image.fromarray(stripes), 8)

    assert small.shape == (8, 8, 1)
    assert abs(small.astype(int) - 127).max() < 20


@pytest.mark.parametrize("format", ["PNG", "BMP", "PPM"])
def test_decode_keeps_the_pixels_of_lossless_formats(format):
    picture = noise(0, 9, 9, 3)

    assert (decode(encode(picture, format), "x", side=9, channels=3) == picture).all()


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    deep = (np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000).astype(np.uint16)

    decoded = decode(encode(deep), "deep.png", side=8, channels=1)

    assert (decoded[..., 0] == deep >> 8).all()


def test_header_tells_sides_and_grey():
    assert read_header(encode(noise(0, 5, 7)), "x").grey
    header = read_header(encode(noise(0, 5, 7, 3)), "x")
    assert (header.width, header.height, header.short_side, header.grey) == (7, 5, 5, False)


def broken_pictures():
    whole = encode(noise(0, 64, 64, 3), "JPEG")
    yield "truncated jpeg", whole[: len(whole) // 2]
    png = encode(noise(0, 64, 64, 3))
    yield "truncated png", png[: len(png) // 2]
    yield "png with a flipped byte", png[:200] + bytes([png[200] ^ 255]) + png[201:]
    yield "empty", b""
    yield "text", b"not a picture at all"
    yield "gif, which is not read", encode(noise(0, 8, 8), "GIF")
    yield "100 Mpx", bomb_png(10_000)
    yield "900 Mpx", bomb_png(30_000)


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in broken_pictures()])
def test_broken_pictures_are_named(data):
    with warnings.catch_warnings(), own_pixel_limit(), pytest.raises(DataError, match=r"picture cat/x\.jpg must be"):
        decode(data, "cat/x.jpg", side=8, channels=3)


@pytest.mark.fault(29)
@pytest.mark.parametrize("side", [8_001, 10_000, 30_000])
def test_a_bomb_is_refused_by_its_header_without_a_warning(side):
    with warnings.catch_warnings(record=True) as seen, own_pixel_limit(), pytest.raises(DataError, match="pixels"):
        read_header(bomb_png(side), "bomb.png")
    assert seen == []


def test_pillow_keeps_its_own_limits():
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    with own_pixel_limit(), pytest.raises(DataError):
        read_header(bomb_png(10_000), "bomb.png")
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before
