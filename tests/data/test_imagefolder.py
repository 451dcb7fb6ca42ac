from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures_made_here import bomb_png, encode, noise

from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.settings import DataSettings
from scalesearch.errors import DataError


def test_classes_are_the_folders_at_any_depth(make_folder):
    settings = make_folder({"cat": 5, "dogs/poodle": 4, "dogs/pug": 3})

    info = check_source(settings)
    data = prepare(settings, side=12, workers=1)

    assert info.class_names == data.class_names == ("cat", "dogs/poodle", "dogs/pug")
    assert (info.n_train, info.n_val, info.own_validation) == (data.n_train, data.n_val, False) == (9, 3, False)
    assert (info.native_side, info.channels) == (data.native_side, data.channels) == (12, 3)


def test_pixels_and_labels_belong_together(make_folder):
    data = prepare(make_folder({"a": 5, "b": 5}), side=12, workers=2)

    stored = {}
    for images, labels in (data.train(), data.val()):
        stored.update({image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)})
    made = {noise(100 * label + item, 12, 12, 3).tobytes(): label for label in (0, 1) for item in range(5)}
    assert stored == made


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_declared_validation_split_is_used_and_test_is_never_read(make_folder, name):
    settings = make_folder({"train/a": 3, "train/b": 3, f"{name}/a": 2, f"{name}/b": 1, "test/a": 2})
    assert settings.path is not None
    (Path(settings.path) / "test/a/0.png").write_bytes(b"never looked at")

    data = prepare(settings, side=12, workers=1)

    assert (data.n_train, data.n_val, data.class_names) == (6, 3, ("a", "b"))
    assert {image.tobytes() for image in data.val()[0]} == {
        noise(seed, 12, 12, 3).tobytes() for seed in (200, 201, 300)
    }


def test_train_without_validation_is_split_and_test_is_never_read(make_folder):
    info = check_source(make_folder({"train/a": 10, "train/b": 10, "test/a": 2, "test/c": 9}))

    assert (info.n_train, info.n_val, info.class_names) == (18, 2, ("a", "b"))


def test_other_files_are_passed_over(make_folder):
    settings = make_folder({"a": 3, "b": 3, ".hidden": 3})
    (Path(settings.path) / "a" / "._0.png").write_bytes(b"left by a Mac")
    (Path(settings.path) / "a" / "notes.txt").write_text("hello")
    (Path(settings.path) / "README.md").write_text("hello")
    (Path(settings.path) / "a" / "UPPER.PNG").write_bytes(encode(noise(7, 12, 12, 3)))

    info = check_source(settings)

    assert (info.n_train + info.n_val, info.class_names) == (7, ("a", "b"))


def test_links_are_followed_but_not_in_a_circle(make_folder, tmp_path):
    settings = make_folder({"a": 3, "b": 3})
    (Path(settings.path) / "c").symlink_to(Path(settings.path) / "b")
    (Path(settings.path) / "a" / "again").symlink_to(Path(settings.path))

    assert check_source(settings).class_names == ("a", "b", "c")


def test_grey_only_where_every_picture_is(make_folder):
    settings = make_folder({"a": 3, "b": 3})
    for path in Path(settings.path).rglob("*.png"):
        path.write_bytes(encode(noise(1, 12, 12)))
    assert prepare(settings, side=12, workers=1).channels == 1

    (Path(settings.path) / "a/0.png").write_bytes(encode(noise(1, 12, 12, 3)))
    data = prepare(settings, side=12, workers=1)

    assert data.channels == 3
    assert data.train()[0].shape[1:] == (12, 12, 3)


def broken_pictures():
    jpeg = encode(noise(0, 64, 64, 3), "JPEG")
    return {"truncated": jpeg[: len(jpeg) // 2], "empty": b"", "text": b"hello", "bomb": bomb_png(20_000)}


@pytest.mark.fault(29)
@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in broken_pictures().items()])
def test_a_broken_picture_is_named_and_nothing_is_kept(make_folder, tmp_path, data):
    settings = make_folder({"a": 3, "b/c": 3})
    (Path(settings.path) / "b/c/1.png").write_bytes(data)

    with pytest.raises(DataError, match=r"picture b/c/1\.png must be readable, got .*; replace or delete it") as caught:
        prepare(settings, side=12, workers=1)

    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert not list((tmp_path / "cache").rglob(".building*"))


def test_several_broken_pictures_are_told_together(make_folder):
    settings = make_folder({"a": 5, "b": 5})
    for file in ("a/1.png", "a/2.png", "b/0.png"):
        path = Path(settings.path) / file
        path.write_bytes(path.read_bytes()[:-60])

    with pytest.raises(DataError, match=r"picture a/1\.png must be readable \(and 2 more like it\)") as caught:
        prepare(settings, side=12, workers=1)

    assert len(caught.value.table.splitlines()) == 3
    assert "b/0.png" in caught.value.table


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("counts", "rule"),
    [
        ({}, "must hold pictures in class folders"),
        ({"a": 0, "b": 0}, "must hold pictures in class folders"),
        ({"cat": 9}, r"at least 2 classes, got '1 \(cat\)'"),
        ({"cat": 9, "dog": 1}, r"at least 2 training pictures, got 'dog \(1\)'"),
        ({".": 1, "cat": 9, "dog": 2}, r"lie in a class folder, got '0\.png'"),
        ({"val/a": 2, "val/b": 2}, "split folders must include train"),
        ({"train/a": 2, "train/b": 2, "val/c": 2}, "every class in val must also be in train, got 'c'"),
        ({"train/a": 2, "train/b": 2, "val/a": 0}, "validation part must hold pictures"),
    ],
)
def test_unusable_folders_are_refused_before_anything_is_decoded(make_folder, counts, rule):
    settings = make_folder(counts)

    with pytest.raises(DataError, match=rule):
        check_source(settings)
    with pytest.raises(DataError, match=rule):
        prepare(settings, side=12, workers=1)


@pytest.mark.parametrize("path", [None, "/no/such/folder", __file__])
def test_no_folder(path):
    with pytest.raises(DataError, match=r"set data\.path=FOLDER"):
        check_source(DataSettings("imagefolder", path=path))


def test_fingerprint_is_the_content_and_not_the_place(make_folder, tmp_path):
    settings = make_folder({"a": 4, "b": 4})
    first = prepare(settings, side=12, workers=1)
    moved = shutil.copytree(settings.path, tmp_path / "elsewhere" / "copy", copy_function=shutil.copyfile)
    elsewhere = DataSettings("imagefolder", path=str(moved), cache_dir=str(tmp_path / "other cache"))

    again = prepare(elsewhere, side=12, workers=3)

    assert again.fingerprint == first.fingerprint
    assert again.folder != first.folder
    assert (again.train()[0] == first.train()[0]).all()

    picture = moved / "a" / "3.png"
    changes = [
        lambda: picture.write_bytes(encode(noise(77, 12, 12, 3))),
        lambda: picture.rename(moved / "a" / "9.png"),
        lambda: (moved / "b").rename(moved / "z"),
    ]
    seen = {first.fingerprint}
    for change in changes:
        change()
        seen.add(prepare(elsewhere, side=12, workers=1).fingerprint)
    assert len(seen) == 4


def test_tall_wide_and_small_pictures_become_one_side(make_folder):
    settings = make_folder({"a": 2, "b": 2}, side=6)
    (Path(settings.path) / "a/wide.png").write_bytes(encode(np.full((20, 50, 3), 9, np.uint8)))
    (Path(settings.path) / "b/tall.png").write_bytes(encode(np.full((60, 16, 3), 9, np.uint8)))

    assert prepare(settings, side=10, workers=1).side == 10
    data = prepare(settings, side=999, workers=1)

    assert (data.side, data.native_side) == (20, 20)
    assert data.train()[0].shape == (4, 20, 20, 3)
