from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from pictures_made_here import noise

from scalesearch.data.plain_pickle import load_plain
from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.settings import DataSettings
from scalesearch.errors import DataError

NAMES = [b"airplane", b"automobile"]


def planes(batch: int, n: int = 6) -> np.ndarray:
    """Rows of 3072 bytes: 1024 red, 1024 green, 1024 blue, as the official files hold them."""
    return noise(batch, n, 3072)


def labels(n: int = 6) -> list[int]:
    return [item % 2 for item in range(n)]


def members(form: str) -> dict[str, bytes]:
    """The official members of cifar-10 or cifar-100, python or binary form, with six pictures a batch."""
    tags = np.array(labels(), np.uint8)[:, None]
    if form == "cifar-10-python":
        batches = {
            f"data_batch_{i}": pickle.dumps({b"data": planes(i), b"labels": labels()}, protocol=2) for i in range(1, 6)
        }
        files = {**batches, "batches.meta": pickle.dumps({b"label_names": NAMES}, protocol=2)}
        return {f"cifar-10-batches-py/{name}": data for name, data in files.items()}
    if form == "cifar-10-binary":
        batches = {f"data_batch_{i}.bin": np.hstack([tags, planes(i)]).tobytes() for i in range(1, 6)}
        files = {**batches, "batches.meta.txt": b"\n".join(NAMES) + b"\n\n"}
        return {f"cifar-10-batches-bin/{name}": data for name, data in files.items()}
    if form == "cifar-100-python":
        train = {b"data": planes(1), b"fine_labels": labels(), b"coarse_labels": [0] * 6}
        files = {"train": pickle.dumps(train, protocol=2), "meta": pickle.dumps({b"fine_label_names": NAMES})}
        return {f"cifar-100-python/{name}": data for name, data in files.items()}
    files = {"train.bin": np.hstack([tags * 0, tags, planes(1)]).tobytes(), "fine_label_names.txt": b"\n".join(NAMES)}
    return {f"cifar-100-binary/{name}": data for name, data in files.items()}


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_folder(root: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


FORMS = ["cifar-10-python", "cifar-10-binary", "cifar-100-python", "cifar-100-binary"]


def settings_of(form: str, root: Path | None) -> DataSettings:
    return DataSettings(form.rsplit("-", 1)[0].replace("-", ""), root=None if root is None else str(root))


@pytest.mark.parametrize("form", FORMS)
def test_archives_and_folders_hold_the_same(tmp_path, form):
    archive = write_archive(tmp_path / "a" / f"{form}.tar.gz", members(form))
    write_folder(tmp_path / "b", members(form))
    inner = next((tmp_path / "b").iterdir())

    places = (tmp_path / "a", archive, tmp_path / "b", inner)
    prepared = [prepare(settings_of(form, root), side=32, workers=1) for root in places]

    assert len({data.fingerprint for data in prepared}) == 1
    data = prepared[0]
    batches = 5 if "10-" in form else 1
    assert (data.n_train + data.n_val, data.side, data.channels) == (6 * batches, 32, 3)
    assert data.class_names == ("airplane", "automobile")


@pytest.mark.parametrize("name", ["cifar-10", "cifar-100"])
def test_both_forms_are_the_same_data(tmp_path, name):
    fingerprints = set()
    for form in (f"{name}-python", f"{name}-binary"):
        root = tmp_path / form
        write_archive(root / f"{form}.tar.gz", members(form))
        fingerprints.add(prepare(settings_of(form, root), side=32, workers=1).fingerprint)
    assert len(fingerprints) == 1


def test_pixels_are_red_green_blue_in_rows(tmp_path):
    write_archive(tmp_path / "cifar-10-binary.tar.gz", members("cifar-10-binary"))
    data = prepare(settings_of("cifar-10-binary", tmp_path), side=32, workers=1)

    expected = {
        row.reshape(3, 32, 32).transpose(1, 2, 0).tobytes(): label
        for batch in range(1, 6)
        for row, label in zip(planes(batch), labels(), strict=True)
    }
    stored = {}
    for images, tags in (data.train(), data.val()):
        stored.update({image.tobytes(): int(tag) for image, tag in zip(images, tags, strict=True)})
    assert stored == expected


def test_the_cache_is_a_place_too(tmp_path):
    write_archive(tmp_path / "cache" / "cifar-10-python.tar.gz", members("cifar-10-python"))

    assert check_source(DataSettings("cifar10")).n_train == 26


def test_nowhere(tmp_path):
    with pytest.raises(
        DataError, match=r"cifar10 needs cifar-10-binary\.tar\.gz or .*; get one from https://.*data\.root="
    ):
        check_source(DataSettings("cifar10", root=str(tmp_path)))


@pytest.mark.parametrize("cut", [100, 3000])
def test_a_cut_archive(tmp_path, cut):
    path = write_archive(tmp_path / "cifar-10-binary.tar.gz", members("cifar-10-binary"))
    path.write_bytes(path.read_bytes()[:-cut])

    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz must"):
        check_source(settings_of("cifar-10-binary", tmp_path))


def test_a_missing_batch(tmp_path):
    files = members("cifar-10-binary")
    del files["cifar-10-batches-bin/data_batch_3.bin"]
    write_archive(tmp_path / "a" / "cifar-10-binary.tar.gz", files)
    write_folder(tmp_path / "b", files)

    with pytest.raises(DataError, match=r"every training file, got 'no data_batch_3\.bin'"):
        check_source(settings_of("cifar-10-binary", tmp_path / "a"))
    with pytest.raises(DataError, match=r"data_batch_3\.bin must be readable, got 'No such file"):
        check_source(settings_of("cifar-10-binary", tmp_path / "b"))


@pytest.mark.parametrize(
    ("batch", "rule"),
    [
        ([1, 2], "must hold data"),
        ({b"data": "text", b"labels": [0]}, "must hold data"),
        ({b"data": np.zeros((6, 3072)), b"labels": [0] * 6}, "only arrays of uint8"),
        ({b"data": np.zeros((6, 10), np.uint8), b"labels": [0] * 6}, "must hold data"),
        ({b"data": planes(1), b"labels": [10**30] * 6}, "must hold labels"),
        ({b"data": planes(1), b"labels": [0] * 5}, "one label a picture, got 5"),
    ],
)
def test_python_batches_of_another_shape(tmp_path, batch, rule):
    files = members("cifar-10-python") | {"cifar-10-batches-py/data_batch_2": pickle.dumps(batch, protocol=2)}
    write_folder(tmp_path, files)

    with pytest.raises(
        DataError, match=f"data_batch_2 must .*{rule}|data_batch_2 {rule}|data_batch_2 must have {rule}"
    ):
        check_source(settings_of("cifar-10-python", tmp_path))


def test_binary_batches_of_another_size(tmp_path):
    files = members("cifar-10-binary")
    files["cifar-10-batches-bin/data_batch_2.bin"] += b"x"
    write_folder(tmp_path, files)

    with pytest.raises(DataError, match="whole records of 3073 bytes"):
        check_source(settings_of("cifar-10-binary", tmp_path))


class Touch:
    """Unpickling it creates a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def malicious_pickles(sentinel: Path) -> dict[str, bytes]:
    text = str(sentinel).encode()
    return {
        "an object": pickle.dumps({b"data": Touch(sentinel)}, protocol=2),
        "inside an object array": pickle.dumps({b"data": np.array([Touch(sentinel)], dtype=object)}, protocol=2),
        "os.system": b"cos\nsystem\n(S'touch " + text + b"'\ntR.",
        "builtins.eval": b"cbuiltins\neval\n(S'open(\"" + text + b'", "w")\'\ntR.',
        "builtins.getattr": b"cbuiltins\ngetattr\n(S'a'\nS'upper'\ntR.",
        "numpy's own loader": b"cnumpy\nload\n(S'" + text + b"'\ntR.",
        "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.tofile\x93.",
        "another codec": b"c_codecs\nencode\n(Va\nVutf_16\ntR.",
    }


@pytest.mark.fault(32)
@pytest.mark.parametrize("kind", sorted(malicious_pickles(Path("x"))))
def test_malicious_pickles_are_refused_and_nothing_is_called(tmp_path, kind):
    sentinel = tmp_path / "sentinel"
    evil = malicious_pickles(sentinel)[kind]
    write_archive(
        tmp_path / "cifar-10-python.tar.gz",
        members("cifar-10-python") | {"cifar-10-batches-py/data_batch_1": evil},
    )

    with pytest.raises(DataError, match="data_batch_1 must be a pickle of plain arrays"):
        check_source(settings_of("cifar-10-python", tmp_path))
    assert not sentinel.exists()


def test_the_sentinel_would_appear_with_plain_pickle(tmp_path):
    sentinel = tmp_path / "sentinel"
    pickle.loads(malicious_pickles(sentinel)["an object"])
    assert sentinel.exists()


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_plain_pickles_are_read(protocol):
    batch = {b"data": planes(1), b"labels": labels(), "n": 1.5}
    read = load_plain(pickle.dumps(batch, protocol=protocol), "x")

    assert (read[b"data"] == planes(1)).all()
    assert read[b"labels"] == labels()


def test_pickles_written_by_numpy_1_are_read():
    old = pickle.dumps({b"data": planes(1)}, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")

    assert (load_plain(old, "x")[b"data"] == planes(1)).all()


@pytest.mark.parametrize(
    "data", [b"", b"hello", pickle.dumps([1])[:-1], b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f"]
)
def test_broken_pickles(data):
    with pytest.raises(DataError, match="must be a pickle of plain arrays"):
        load_plain(data, "x")


@pytest.mark.fault(31, repeat=3)
def test_nothing_is_written_by_an_archive_that_points_outside(tmp_path):
    hostile = {
        "../outside": b"x",
        "cifar-10-batches-bin/../../outside": b"x",
        str(tmp_path / "outside"): b"x",
        "cifar-10-batches-bin/data_batch_1.bin": members("cifar-10-binary")["cifar-10-batches-bin/data_batch_1.bin"],
        "../cifar-10-batches-bin/data_batch_1.bin": b"not the one that is meant",
    }
    rest = {name: data for name, data in members("cifar-10-binary").items() if name not in hostile}
    root = tmp_path / "deep" / "root"
    write_archive(root / "cifar-10-binary.tar.gz", hostile | rest)
    before = sorted(tmp_path.rglob("*"))

    info = check_source(settings_of("cifar-10-binary", root))

    assert info.n_train + info.n_val == 30
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.fault(31, repeat=3)
def test_links_in_an_archive_are_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(members("cifar-10-binary")["cifar-10-batches-bin/data_batch_1.bin"])
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members("cifar-10-binary").items():
            info = tarfile.TarInfo(name)
            if name.endswith("data_batch_1.bin"):
                info.type, info.linkname = tarfile.SYMTYPE, str(secret)
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))

    with pytest.raises(DataError, match=r"no data_batch_1\.bin"):
        check_source(settings_of("cifar-10-binary", tmp_path))


@pytest.mark.parametrize(
    "state",
    [
        (1, (2**40,), np.dtype("u1"), False, b"ab"),
        (1, (-1,), np.dtype("u1"), False, b"ab"),
        (1, (2,), None, False, b"ab"),
        (1, (1,), np.dtype("O"), False, [1]),
        (1, (2,), np.dtype("u1"), False, b"a"),
        7,
    ],
)
def test_numpy_never_sees_the_state_that_a_pickle_gives_an_array(state):
    """Found by fuzzing: spoilt states ended the process in numpy's own __setstate__."""

    class Forged:
        def __reduce__(self):
            function, arguments, _ = np.zeros(1, np.uint8).__reduce__()
            return function, arguments, state

    with pytest.raises(DataError, match="plain arrays"):
        load_plain(pickle.dumps({b"data": Forged()}, protocol=2), "data_batch_1")
