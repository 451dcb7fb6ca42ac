from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from pictures_made_here import SHARED
from PIL import Image

from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.settings import DataSettings
from scalesearch.errors import DataError


def test_the_validation_split_of_the_file_is_used(make_npz):
    settings = make_npz()

    info = check_source(settings)
    data = prepare(settings, side=8, workers=2)

    assert (info.n_train, info.n_val, info.own_validation, info.native_side) == (9, 3, True, 10)
    assert (data.n_train, data.n_val, data.side, data.native_side, data.channels) == (9, 3, 8, 10, 3)
    assert data.train()[1].tolist() == [0, 1, 2] * 3
    assert data.val()[1].tolist() == [0, 1, 2]


def test_pictures_are_cropped_and_resized_in_order(make_npz):
    settings = make_npz()
    with np.load(settings.path) as file:
        first = file["jpeg"][file["offset"][9] : file["offset"][10]].tobytes()
    picture = Image.open(io.BytesIO(first))

    data = prepare(settings, side=8, workers=1)

    # 14 x 10 pixels: the centre square begins at x = 2
    expected = np.asarray(picture.resize((8, 8), Image.Resampling.BICUBIC, box=(2, 0, 12, 10)))
    assert (data.val()[0][0] == expected).all()


def test_without_a_declared_split_a_part_of_train_is_held_out(make_npz):
    info = check_source(make_npz(split=np.zeros(12, np.int64)))

    assert (info.n_train, info.n_val, info.own_validation) == (9, 3, False)


def offsets(**changed: int) -> np.ndarray:
    values = np.arange(13) * 10
    for place, value in changed.items():
        values[int(place[1:])] = value
    return values


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"label": None}, "must hold the arrays jpeg, offset, label, split, classes, got 'no label'"),
        ({"jpeg": np.zeros(9)}, "jpeg must be uint8"),
        ({"offset": offsets(_12=10**9)}, "offset must lie in 0.."),
        ({"offset": offsets(_0=-5)}, "offset must lie in 0.."),
        ({"offset": offsets(_5=5)}, "offset must not decrease, got 'a fall after picture 4'"),
        ({"offset": offsets()[:-1]}, r"N labels need N \+ 1 offsets"),
        ({"offset": offsets().astype(float)}, "offset must be one row of integers"),
        ({"label": np.full(12, 3)}, r"labels must lie in 0\.\.2, one for each class name, got 3"),
        ({"label": np.full(12, -1)}, "got -1"),
        ({"label": np.zeros(12, np.int64)}, r"at least 2 training pictures, got 'b \(0\), c \(0\)'"),
        ({"label": np.zeros(12, np.int64), "classes": np.array(["a"])}, "at least 2 classes"),
        ({"split": np.arange(12)}, r"split must be 0 \(train\) or 1 \(validation\), got 2"),
        ({"split": np.ones(12, np.int64)}, "training part must hold pictures"),
        ({"split": np.zeros(3, np.int64)}, "N splits"),
        ({"classes": np.arange(3)}, "classes must be one row of text"),
        (
            {"label": np.zeros(0, int), "split": np.zeros(0, int), "offset": np.zeros(1, int)},
            "a data set must hold pictures",
        ),
    ],
)
def test_arrays_that_do_not_fit_together(make_npz, changed, rule):
    with pytest.raises(DataError, match=rule):
        check_source(make_npz(**changed))


def test_an_empty_or_broken_picture_is_named_by_its_number(make_npz):
    settings = make_npz()
    with np.load(settings.path) as file:
        arrays = dict(file)
    arrays["offset"][5] = arrays["offset"][4]  # picture 4 is empty, picture 5 begins too early and is whole
    np.savez(settings.path, **arrays)

    with pytest.raises(DataError, match="picture number 4 must be readable"):
        prepare(settings, side=8, workers=1)


def test_objects_are_never_unpickled(make_npz, tmp_path):
    sentinel = tmp_path / "sentinel"

    class Evil:
        def __reduce__(self):
            return Path.touch, (sentinel,)

    with pytest.raises(DataError, match="plain arrays"):
        check_source(make_npz(label=np.array([Evil()] * 12, dtype=object)))
    assert not sentinel.exists()


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps([1]), None])
def test_no_npz_file(tmp_path, content):
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(DataError, match=r"must be an \.npz file, got .*; set data.path=FILE\.npz"):
        check_source(DataSettings("npz_jpeg", path=str(path)))


def test_a_cut_npz_file(make_npz):
    settings = make_npz()
    whole = Path(settings.path).read_bytes()
    Path(settings.path).write_bytes(whole[:200] + whole[400:])

    with pytest.raises(DataError):
        check_source(settings)


def test_path_is_asked_for():
    with pytest.raises(DataError, match=r"set data\.path=FILE\.npz"):
        check_source(DataSettings("npz_jpeg"))


@pytest.mark.skipif(not (SHARED / "signdigits_native100.npz").exists(), reason="no ../shared/data")
def test_a_real_file():
    settings = DataSettings("npz_jpeg", path=str(SHARED / "signdigits_native100.npz"))

    data = prepare(settings, side=32)

    assert (data.n_train, data.n_val, data.native_side, data.side, data.channels) == (1651, 411, 100, 32, 3)
    assert data.class_names == tuple("0123456789")
    images, labels = data.train()
    assert images.std() > 20
    assert np.bincount(labels).min() > 100
