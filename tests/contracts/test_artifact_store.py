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
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from dubline.errors import ArtifactMissing, StorageError, StorageUnavailable
from dubline.models import ArtifactRef
from dubline.settings import Settings
from dubline.storage.base import ArtifactStore
from dubline.storage.keys import blob_key
from dubline.storage.local import LocalStore
from dubline.storage.open import open_store
from dubline.storage.s3 import S3Store
from tasks.ingest_video import IngestRequest, ingest_video
from tests.contracts.faulty_server import FAULTS, FaultyServer

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
            key = f"{self._prefix}/{blob_key(ref.sha256)}"
            kept = self._client().head_object(Bucket=self._bucket, Key=key)["Metadata"]
            self._client().put_object(Bucket=self._bucket, Key=key, Body=data, Metadata=kept)

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


def test_many_are_deleted_at_once_and_the_rest_stays(place: Place) -> None:
    refs = [place.store.put_bytes(bytes([n]), "text/plain") for n in range(5)]
    place.store.delete_many(r.sha256 for r in refs[1:])
    assert [b.sha256 for b in place.another().blobs()] == [refs[0].sha256]
    assert not place.store.holds(refs[1])
    assert place.store.holds(refs[0])


def test_a_large_file_travels_in_parts(place: Place, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(35 * 1024**2 + 1))
    ref = place.store.put_file(tmp_path / "large", "video/mp4")
    assert place.another().read_bytes(ref) == (tmp_path / "large").read_bytes()


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


@pytest.fixture
def bucket_url(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    boto3.client("s3", endpoint_url=moto_url, region_name="us-east-1").create_bucket(Bucket="dubline-test")
    return moto_url


@contextmanager
def faulty(url: str, share: float, *faults: str) -> Iterator[FaultyServer]:
    server = FaultyServer(url, share, faults or FAULTS)
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize(
    "fault", ["refused", *(pytest.param(f, marks=pytest.mark.slow) for f in ("silent", "busy", "reset"))]
)
def test_a_server_that_is_away_is_a_typed_error_in_time(fault: str, bucket_url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        if fault in ("busy", "reset"):
            url = stack.enter_context(faulty(bucket_url, 1.0, fault)).url
        else:
            quiet = socket.create_server(("127.0.0.1", 0))  # takes connections and never answers
            url = f"http://127.0.0.1:{quiet.getsockname()[1]}"
            if fault == "refused":
                quiet.close()
            stack.callback(quiet.close)
        prefix = uuid.uuid4().hex
        store = S3Store("dubline-test", prefix, tmp_path / "cache", endpoint_url=url, deadline_s=1.5)
        for act in (
            store.check,
            lambda: store.put_bytes(b"x", "text/plain"),
            lambda: store.put_record("jobs/a/b.json", b"{}"),
            lambda: store.get_record("jobs/a/b.json"),
            lambda: list(store.blobs()),
        ):
            began_s = time.monotonic()
            with pytest.raises(StorageUnavailable) as raised:
                act()
            assert raised.value.retryable
            assert time.monotonic() - began_s < 3
        healthy = S3Store("dubline-test", prefix, tmp_path / "other", endpoint_url=bucket_url)
        assert list(healthy.blobs()) == []


@pytest.mark.slow
def test_a_store_behind_a_failing_network_loses_nothing(bucket_url: str, tmp_path: Path) -> None:
    prefix = uuid.uuid4().hex
    with faulty(bucket_url, 0.3) as server:
        one, other = (
            S3Store("dubline-test", prefix, tmp_path / name, endpoint_url=server.url, deadline_s=30) for name in "ab"
        )
        for number in range(12):
            content, record = os.urandom(20_000), f"jobs/{number}/manifest.json"
            ref = one.put_bytes(content, "audio/wav")
            assert other.read_bytes(ref) == content
            assert other.holds(ref)
            one.put_record(record, content)
            assert other.get_record(record) == content
        assert min(server.given[fault] for fault in FAULTS) > 0


def test_a_bucket_that_is_not_there_is_told_at_once(bucket_url: str, tmp_path: Path) -> None:
    store = S3Store("no-such-bucket", "", tmp_path / "cache", endpoint_url=bucket_url)
    for act in (store.check, lambda: store.put_bytes(b"x", "text/plain"), lambda: list(store.blobs())):
        with pytest.raises(StorageUnavailable, match="does not exist") as raised:
            act()
        assert not raised.value.retryable


def test_servers_that_refuse_bulk_deletes(bucket_url: str, tmp_path: Path) -> None:
    with faulty(bucket_url, 1.0, "no-bulk") as server:
        store = S3Store("dubline-test", uuid.uuid4().hex, tmp_path / "cache", endpoint_url=server.url)
        store.delete_many([store.put_bytes(bytes([n]), "text/plain").sha256 for n in range(3)])
        assert list(store.blobs()) == []


def test_uploads_that_broke_off_are_swept(bucket_url: str, tmp_path: Path) -> None:
    client = boto3.client("s3", endpoint_url=bucket_url, region_name="us-east-1")
    prefix = uuid.uuid4().hex
    for key in (f"{prefix}/blobs/aa/half", "elsewhere"):
        client.create_multipart_upload(Bucket="dubline-test", Key=key)
    store = S3Store("dubline-test", prefix, tmp_path / "cache", endpoint_url=bucket_url)
    assert store.sweep_unfinished(3600.0) == 1
    left = client.list_multipart_uploads(Bucket="dubline-test")["Uploads"]
    assert [u["Key"] for u in left] == ["elsewhere"]


def test_a_stage_runs_on_the_bucket(place: Place, tmp_path: Path, media_dir: Path, monkeypatch) -> None:
    monkeypatch.setattr("tasks.ingest_video.store", lambda: place.store)
    # Progress goes out as an event, for which Prefect would start a server.
    monkeypatch.setattr("tasks._progress.emit_event", lambda *_args, **_more: None)
    path = media_dir / "video/real_friday_6s.mp4"
    result = ingest_video.fn(IngestRequest(source_uri=f"file://{path}"))
    assert place.another().fetch(result.source).read_bytes() == path.read_bytes()


def test_what_storage_url_means(tmp_path: Path) -> None:
    def opened(url: str) -> ArtifactStore:
        return open_store(Settings(dubline_home=tmp_path, storage_url=url, _env_file=None))

    assert isinstance(opened(""), LocalStore)
    assert isinstance(opened(f"file://{tmp_path}/x"), LocalStore)
    assert isinstance(opened("s3://bucket/prefix"), S3Store)
    for url in (
        "http://x/",
        "s3://",
        "s3://key:secret@bucket/x",
        "s3://bucket/a/../b",
        "s3://bucket/a?b",
        "file:///",
        "nonsense",
    ):
        with pytest.raises(StorageError):
            opened(url)
