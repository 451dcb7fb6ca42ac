"""Credentials are in no file and no line that scalesearch writes."""

import importlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scalesearch.config import to_yaml
from scalesearch.engine.attempt import Crash, failed_record
from scalesearch.errors import ConfigError
from scalesearch.remote.secrets import redacted, refuse_credentials
from scalesearch.remote.storage import RemoteFolder

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

Run = Callable[..., tuple[int, str, str]]


def write_pictures(path: Path) -> None:
    """24 JPEG pictures of two classes in the layout of npz_jpeg."""
    files, rng = [], np.random.default_rng(0)
    for _ in range(24):
        buffer = BytesIO()
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(buffer, "JPEG")
        files.append(buffer.getvalue())
    np.savez(
        path,
        jpeg=np.frombuffer(b"".join(files), np.uint8),
        offset=np.cumsum([0, *map(len, files)]),
        label=np.arange(24) % 2,
        split=np.zeros(24, np.int64),
        classes=np.array(["a", "b"]),
    )


def files_with(folder: Path, secret: str) -> list[str]:
    """Files below `folder` that hold the secret, plain or as an address would spell it."""
    spellings = [secret.encode(), secret.replace("/", "%2F").replace("+", "%2B").encode()]
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(spelling in path.read_bytes() for spelling in spellings)
    ]


def test_a_training_from_and_to_a_bucket_leaves_no_secret_and_comes_back(
    run: Run, bucket: str, credentials: str, tmp_path: Path
) -> None:
    write_pictures(tmp_path / "x.npz")
    RemoteFolder(bucket).put(tmp_path / "x.npz", "data/x.npz")
    command = (
        "train", "efficientnet_b0", "--data", f"{bucket}/data/x.npz", "debug=tiny", "resolution=16", "stem_stride=1",
        "recipe.batch_size=8", "data.cache_dir=cache", f"mirror={bucket}/mirror", "--name", "first",
    )  # fmt: skip
    code, out, err = run(*command)
    assert code == 0, err
    assert files_with(tmp_path, credentials) == []
    assert credentials not in out + err
    folder = tmp_path / "runs" / "train" / "first"
    assert f"mirror: {bucket}/mirror" in (folder / "config.yaml").read_text()
    assert RemoteFolder(f"{bucket}/mirror/first").names() == ["best.pt", "last.pt"]
    # another machine: nothing but the mirror
    weights = (folder / "weights.safetensors").read_bytes()
    folder.rename(tmp_path / "gone")
    code, out, err = run(*command)
    assert code == 0, err
    assert "checkpoints were brought back" in err
    assert (folder / "weights.safetensors").read_bytes() == weights
    # and a finished run as a whole
    code, out, err = run("runs", "export", str(folder), "--to", "folder", "--out", f"{bucket}/kept/first")
    assert code == 0, err
    names = RemoteFolder(f"{bucket}/kept/first").names()
    assert {"ledger.db", "summary.json", "config.yaml", "files.json"} <= set(names)
    assert not {"driver.lock", "driver.json"} & set(names)
    RemoteFolder(f"{bucket}/kept/first").fetch("ledger.db", tmp_path / "ledger.db")
    assert sqlite3.connect(tmp_path / "ledger.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    code, out, err = run("runs", "export", str(folder), "--to", "folder", "--out", f"{bucket}/kept/first")
    assert code == 2
    assert "never replaces" in err


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["serial", "tune"])
def test_a_grid_from_a_bucket_leaves_no_secret(
    run: Run, bucket: str, credentials: str, engine: str, tmp_path: Path
) -> None:
    """With engine=tune also Tune's own files, which go to the bucket."""
    write_pictures(tmp_path / "x.npz")
    RemoteFolder(bucket).put(tmp_path / "x.npz", f"{engine}/x.npz")
    storage = [f"engine.storage={bucket}/logs-{engine}"] if engine == "tune" else []
    code, out, err = run(
        "grid", "--target-flops", "400M", "--data", f"{bucket}/{engine}/x.npz", "debug=tiny", f"engine={engine}",
        "recipe.batch_size=8", "recipe.val_images=null", "data.cache_dir=cache", "--name", "first", *storage,
    )  # fmt: skip
    assert code == 0, err
    assert (tmp_path / "runs/grid/first/summary.json").exists()
    assert credentials not in out + err
    kept = RemoteFolder(f"{bucket}/logs-{engine}")
    names = kept.names()
    assert bool(names) == (engine == "tune")
    (tmp_path / "kept").mkdir()
    for number, name in enumerate(names):
        kept.fetch(name, tmp_path / "kept" / str(number))
    assert files_with(tmp_path, credentials) == []


@pytest.mark.fault(34)
def test_a_study_on_a_dead_bucket_ends_in_one_line(
    run: Run, credentials: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for extra in (
        ("--data", "s3://bucket/x.npz"),
        ("--data", "synthetic", "engine=tune", "engine.storage=s3://bucket/tune"),
    ):
        code, _, err = run("grid", "--target-flops", "400M", "debug=tiny", "--name", "x", *extra)
        assert code == 2
        assert "must answer to look for" in err.splitlines()[-1]
        assert credentials not in err


@pytest.mark.fault(34)
def test_a_mirror_that_dies_costs_a_line_and_not_the_training(
    run: Run, double: "object", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scalesearch.studies.train_mirror import CheckpointMirror

    real = CheckpointMirror.bring_back

    def then_dies(mirror: CheckpointMirror) -> None:
        real(mirror)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    monkeypatch.setattr(CheckpointMirror, "bring_back", then_dies)
    code, _, err = run(
        "train", "efficientnet_b0", "--data", "synthetic", "data.size=60", "data.side=16", "debug=tiny",
        "resolution=16", "stem_stride=1", "recipe.batch_size=8", "data.cache_dir=cache", "mirror=s3://bucket/mirror",
        "--name", "first",
    )  # fmt: skip
    assert code == 0, err
    assert "the mirror is behind, the training goes on" in err
    assert (tmp_path / "runs/train/first/summary.json").exists()


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIA000:geheim%2Fgeheim@bucket/x.npz",
        "https://user:geheim12@host/x",
        "s3://bucket/x?secret_key=geheim123",
        "s3://bucket/x?a=1&X-Amz-Signature=geheim123",
        "ray://host:1?token=geheim123",
    ],
)
def test_addresses_with_credentials_are_refused_without_repeating_them(address: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.path must be an address without credentials") as caught:
        refuse_credentials({"data": {"path": address}})
    assert "geheim" not in str(caught.value)
    assert "geheim" not in redacted(f"could not open {address} because")
    refuse_credentials({"data": {"path": "s3://bucket/x?scheme=http&endpoint_override=host:9000", "name": "a@b"}})


def test_the_command_line_refuses_them_too(run: Run, tmp_path: Path) -> None:
    code, out, err = run("grid", "--target-flops", "400M", "--data", "s3://me:geheim12@bucket/x.npz", "--plan")
    assert code == 2
    assert "without credentials" in err
    assert "geheim" not in out + err
    assert list(tmp_path.iterdir()) == []


def test_secrets_of_the_environment_are_blotted_out_where_text_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    stubs = importlib.import_module("trial_stubs")
    monkeypatch.setenv("SOME_API_TOKEN", "tok-0123456789")
    assert "tok-0123456789" not in to_yaml({"note": "my tok-0123456789"})
    assert to_yaml({"target": "400M", "path": os.getcwd()}) == f"target: 400M\npath: {os.getcwd()}\n"
    row = failed_record(stubs.request(1), Crash("RuntimeError: tok-0123456789 was refused", 1.0, "w"), 1)
    assert row.error == "RuntimeError: *** was refused"
    assert "tok" not in json.dumps(row.error)
