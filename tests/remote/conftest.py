"""A bucket for tests: our own double, or the server at $SCALESEARCH_TEST_S3 (moto, MinIO) where that is set."""

import os
import urllib.request
from collections.abc import Iterator

import pytest
from s3_double import S3Double

PLANTED = "planted/Secret+0123456789"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> str:
    """Made-up credentials in the environment; returns the secret."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP0000000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return PLANTED


@pytest.fixture
def double(credentials: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Double]:
    """The double itself, which can fall silent."""
    server = S3Double()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    yield server
    server.close()


@pytest.fixture
def bucket(credentials: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket's address on a server that answers."""
    url = os.environ.get("SCALESEARCH_TEST_S3")
    if url:
        name = f"test-{os.urandom(4).hex()}"
        urllib.request.urlopen(urllib.request.Request(f"{url}/{name}", method="PUT")).close()
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield f"s3://{name}"
        return
    server = S3Double()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    yield "s3://test-bucket"
    server.close()
