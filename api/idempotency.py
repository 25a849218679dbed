"""`Idempotency-Key`: the same key and request give the first answer again, whoever asks and however often.

What a request creates gets ids made from the key, so that even a request whose process died after its work, and before
its answer was kept, creates nothing twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, update

from api.db import Database
from api.problems import Problem, retry_after
from api.tables import IdempotentAnswer

_SPACE = uuid.UUID("6d0a2f0e-6f0f-5c0e-9a56-5b7b6c1f7d31")
_WAIT_S = 30.0
_STALE_S = 60.0
_KEY_CHARS = 255

Answer = tuple[int, dict[str, Any]]


class Ids:
    """Ids for what one request creates: made from its key when it has one, otherwise random."""

    def __init__(self, user_id: str, key: str | None) -> None:
        self._prefix = f"{user_id}\n{key}" if key is not None else None
        self._number = 0

    def new(self) -> str:
        if self._prefix is None:
            return str(uuid.uuid4())
        self._number += 1
        return str(uuid.uuid5(_SPACE, f"{self._prefix}\n{self._number}"))


class Idempotency:
    """Keeps first answers in the database for a day, by user."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def once(
        self, user_id: str, key: str | None, request: Any, work: Callable[[Ids], Awaitable[Answer]]
    ) -> Answer:
        """Do the work, or give the answer that was given to this key before.

        Raises:
            Problem: 422 the key was used for another request; 409 its first request is still at work.
        """
        if key is None:
            return await work(Ids(user_id, None))
        if not 0 < len(key) <= _KEY_CHARS or not key.isprintable():
            raise Problem(
                422, "The idempotency key is not fit.", code="idempotency_key", errors=[("Idempotency-Key", "")]
            )
        digest = hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()
        kept = await self._claim(user_id, key, digest)
        if kept is not None:
            return kept
        try:
            answer = await work(Ids(user_id, key))
        except BaseException:
            async with self._db.begin() as session:
                await session.exec(
                    delete(IdempotentAnswer).where(*_is(user_id, key), col(IdempotentAnswer.status) == 0)
                )
            raise
        async with self._db.begin() as session:
            values = {"status": answer[0], "body": answer[1]}
            await session.exec(update(IdempotentAnswer).where(*_is(user_id, key)).values(**values))
        return answer

    async def _claim(self, user_id: str, key: str, digest: str) -> Answer | None:
        """None when the work is ours to do; the kept answer otherwise."""
        until_s = time.monotonic() + _WAIT_S
        while True:
            now_s = time.time()
            try:
                async with self._db.begin() as session:
                    row = await session.get(IdempotentAnswer, (user_id, key))
                    if row is None:
                        session.add(IdempotentAnswer(user_id=user_id, key=key, request_sha256=digest, created_s=now_s))
                        await session.flush()
                        return None
                    if row.request_sha256 != digest:
                        raise Problem(
                            422, "This idempotency key was used for another request.", code="idempotency_key_reused"
                        )
                    if row.status:
                        return row.status, row.body
                    if now_s - row.created_s > _STALE_S:  # its process died
                        row.created_s = now_s
                        session.add(row)
                        return None
            except IntegrityError:
                continue  # another request of the same key was faster: look again
            if time.monotonic() > until_s:
                raise Problem(
                    409,
                    "The first request with this key is still at work.",
                    code="idempotency_in_progress",
                    retryable=True,
                    headers=retry_after(5),
                )
            await asyncio.sleep(0.05)


def _is(user_id: str, key: str) -> tuple[Any, Any]:
    return col(IdempotentAnswer.user_id) == user_id, col(IdempotentAnswer.key) == key
