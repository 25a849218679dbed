"""Stacks for a module's tests, stopped at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.stack import Stack


@pytest.fixture(scope="module")
def start_stack(new_home: Callable[[], Path]) -> Iterator[Callable[..., Stack]]:
    started: list[Stack] = []

    def start(**variables: str) -> Stack:
        stack = Stack(new_home(), **variables)
        started.append(stack)
        return stack

    yield start
    for stack in started:
        stack.stop()


@pytest.fixture(scope="module")
def s3_and_postgres(postgres_url: str) -> Iterator[dict[str, str]]:
    """Variables of a service on a real PostgreSQL and an S3 wire protocol (moto's server in this process)."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket="dubline")
    yield {"DATABASE_URL": postgres_url, "STORAGE_URL": "s3://dubline/chaos", "S3_ENDPOINT_URL": url, **keys}
    server.stop()
