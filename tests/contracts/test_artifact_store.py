"""One contract for every store: the local folder, an S3 wire protocol in this process, and any server that is named.

`TEST_S3_ENDPOINT` names a server (with the usual AWS_… variables and `TEST_S3_BUCKET`).
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from dubline.errors import ArtifactMissing, StorageError, StorageUnavailable
from dubline.models import ArtifactRef
from dubline.settings import Settings
from dubline.storage.base import ArtifactStore
from dubline.storage.local import LocalStore, blob_key
from dubline.storage.open import open_store
from dubline.storage.s3 import S3Store
from tasks.ingest_video import IngestRequest, ingest_video

_KINDS = ("local", "moto", "server")


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Place:
    """A store, other stores over the same content, and the means to spoil an object behind their backs."""

    def __init__(self, kind: str, folder: Path, url: str | None, bucket: str) -> None:
        self._kind, self._folder, self._url, self._bucket = kind, folder, url, bucket
        self._prefix = uuid.uuid4().hex
        self._others = 0
        self.store = self.another()

    def another(self) -> ArtifactStore:
        """The same content as another machine sees it."""
        self._others += 1
        if self._kind == "local":
            return LocalStore(self._folder / "store")
        cache = self._folder / f"cache{self._others}"
        return S3Store(self._bucket, self._prefix, cache, endpoint_url=self._url, deadline_s=20)

    def spoil(self, ref: ArtifactRef, data: bytes) -> None:
        if self._kind == "local":
            (self._folder / "store" / blob_key(ref.sha256)).write_bytes(data)
        else:
            self._client().put_object(Bucket=self._bucket, Key=f"{self._prefix}/{blob_key(ref.sha256)}", Body=data)

    def _client(self):
        return boto3.client("s3", endpoint_url=self._url, region_name="us-east-1")


@pytest.fixture(params=_KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    kind = request.param
    if kind == "local":
        return Place(kind, tmp_path, None, "")
    if kind == "server":
        url = os.environ.get("TEST_S3_ENDPOINT")
        if not url:
            pytest.skip("no S3 server named: set TEST_S3_ENDPOINT")
        return Place(kind, tmp_path, url, os.environ.get("TEST_S3_BUCKET", "dubline-test"))
    url = request.getfixturevalue("moto_url")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3", endpoint_url=url, region_name="us-east-1").create_bucket(Bucket="dubline-test")
    return Place(kind, tmp_path, url, "dubline-test")


def test_content_comes_back_everywhere_and_is_kept_once(place: Place, tmp_path: Path) -> None:
    first = place.store.put_bytes(b"voice", "audio/wav")
    (tmp_path / "same").write_bytes(b"voice")
    other = place.another()
    assert other.put_file(tmp_path / "same", "audio/wav") == first
    assert other.fetch(first).read_bytes() == b"voice"
    assert other.holds(first)
    listed = list(place.store.blobs())
    assert [(b.sha256, b.size_bytes) for b in listed] == [(first.sha256, 5)]
    assert abs(listed[0].modified_s - time.time()) < 60


def test_a_flipped_byte_and_a_missing_object_are_found(place: Place) -> None:
    ref = place.store.put_bytes(b"voice", "audio/wav")
    place.spoil(ref, b"vOice")
    other = place.another()
    assert not other.holds(ref)
    with pytest.raises(ArtifactMissing):
        other.fetch(ref)
    assert other.put_bytes(b"voice", "audio/wav") == ref
    assert place.another().read_bytes(ref) == b"voice"
    gone = ref.model_copy(update={"sha256": "0" * 64, "uri": f"artifact:{blob_key('0' * 64)}"})
    assert not other.holds(gone)
    with pytest.raises(ArtifactMissing):
        other.fetch(gone)


def test_records_are_replaced_listed_and_deleted(place: Place) -> None:
    assert place.store.get_record("jobs/a/manifest.json") is None
    for data in (b"1", b"22"):
        place.store.put_record("jobs/a/manifest.json", data)
        assert place.another().get_record("jobs/a/manifest.json") == data
    place.store.put_record("uploads/f.json", b"{}")
    assert [r.name for r in place.another().records("jobs")] == ["jobs/a/manifest.json"]
    place.store.delete_record("jobs/a/manifest.json")
    place.store.delete_record("jobs/a/manifest.json")
    assert place.store.get_record("jobs/a/manifest.json") is None
    assert list(place.another().records("jobs")) == []


def test_a_deleted_object_is_gone_for_all(place: Place) -> None:
    ref = place.store.put_bytes(b"voice", "audio/wav")
    place.store.delete(ref.sha256)
    place.store.delete(ref.sha256)
    assert not place.another().holds(ref)
    assert list(place.store.blobs()) == []


@pytest.mark.parametrize("name", ["../x", "jobs/../../x", "jobs//x", "/jobs/x", "jobs/.x", "jobs", "jobs/a\nb"])
def test_no_name_leaves_its_folder(place: Place, name: str) -> None:
    with pytest.raises(StorageError):
        place.store.put_record(name, b"x")
    with pytest.raises(StorageError):
        place.store.delete(name)


def test_many_writers_of_one_content(place: Place) -> None:
    content = os.urandom(300_000)
    stores = [place.another() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        refs = set(pool.map(lambda n: stores[n % 4].put_bytes(content, "audio/wav"), range(16)))
        assert len(refs) == 1
        ref = refs.pop()
        reader = place.another()
        assert {p.read_bytes() for p in pool.map(lambda _: reader.fetch(ref), range(8))} == {content}
    assert len(list(place.store.blobs())) == 1
    place.store.check()


def test_a_server_that_is_away_is_a_typed_error_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = S3Store("bucket", "", tmp_path / "cache", endpoint_url=url, deadline_s=2)
        began_s = time.monotonic()
        for act in (
            store.check,
            lambda: store.put_bytes(b"x", "text/plain"),
            lambda: store.get_record("jobs/a/b.json"),
        ):
            with pytest.raises(StorageUnavailable) as raised:
                act()
            assert raised.value.retryable
        assert time.monotonic() - began_s < 15


def test_a_stage_runs_on_the_bucket(place: Place, tmp_path: Path, media_dir: Path, monkeypatch) -> None:
    import tasks._policies as policies

    monkeypatch.setattr("tasks.ingest_video.store", lambda: place.store)
    monkeypatch.setattr(policies, "store", lambda: place.store)
    path = media_dir / "video/real_friday_6s.mp4"
    result = ingest_video.fn(IngestRequest(source_uri=f"file://{path}"))
    assert place.another().fetch(result.source).read_bytes() == path.read_bytes()


def test_what_storage_url_means(tmp_path: Path) -> None:
    def opened(url: str) -> ArtifactStore:
        return open_store(Settings(dubline_home=tmp_path, storage_url=url, _env_file=None))  # pyright: ignore[reportCallIssue]

    assert isinstance(opened(""), LocalStore)
    assert isinstance(opened(f"file://{tmp_path}/x"), LocalStore)
    assert isinstance(opened("s3://bucket/prefix"), S3Store)
    for url in ("http://x/", "s3://", "s3://key:secret@bucket/x", "nonsense"):
        with pytest.raises(StorageError):
            opened(url)
