"""What people make of a dub's lines: revisions, kept one after another, undone, and rendered by a new attempt."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.db import Database
from api.jobs import Jobs
from api.problems import Problem, not_found
from api.runs import MOST_EDIT_BYTES, parameter_bytes
from api.states import ENDED
from api.tables import Job, JobRevision
from api.transcripts import Made, Plan, Segment, make_plan, own_voices, read_made, read_transcription, segments
from dubline.contract import JobResult, revision_folder, revision_record
from dubline.engines.registry import choose_tts
from dubline.errors import DublineError, InputError
from dubline.models import ChangeLine, DubOptions, EngineChoice, Line, LineEdit
from dubline.settings import Settings
from dubline.storage.base import ArtifactStore
from dubline.timing.edits import join_edits

_EDITS: TypeAdapter[tuple[LineEdit, ...]] = TypeAdapter(tuple[LineEdit, ...])


@dataclass(frozen=True)
class RevisionRow:
    """A revision in the list. `created_s` is seconds since the epoch."""

    revision: int
    created_s: float
    note: str


@dataclass(frozen=True)
class Reading:
    """A transcript at one revision, with the plan for rendering it where one was asked for."""

    job: Job
    revision: int
    rendered_revision: int
    revisions: tuple[RevisionRow, ...]
    source_language: str | None
    segments: list[Segment]
    plan: Plan | None = None


class Revisions:
    """The service behind the transcript's routes."""

    def __init__(self, db: Database, store: ArtifactStore, jobs: Jobs, settings: Settings) -> None:
        self._db, self._store, self._jobs, self._settings = db, store, jobs, settings

    async def read(self, user_id: str, job_id: str) -> Reading:
        """The newest revision.

        Raises:
            Problem: 404, or 409 before there is a result.
        """
        job, result = await self._with_result(user_id, job_id)
        artifacts = {a.name: a.ref for a in result.artifacts}
        if "translation_json" in artifacts:
            return await self._reading(job, result, await self._newest(job.id), is_planned=False)
        if "transcript_json" not in artifacts:
            raise not_found("transcript", "artifact_not_found")
        rows = await asyncio.to_thread(read_transcription, self._store, artifacts["transcript_json"])
        return Reading(job, 0, 0, (RevisionRow(0, job.created_s, ""),), result.source_language or None, rows)

    async def edit(self, user_id: str, job_id: str, based_on: int, edits: Sequence[LineEdit], note: str) -> Reading:
        """Keep a new revision: the newest with more edits. Nothing is made yet.

        Raises:
            Problem: 404; 409 `transcript_changed` when `based_on` is not the newest, or without a result that can be
                edited; 422 with every edit that does not fit.
        """
        job, result = await self._dub(user_id, job_id)
        newest = await self._newest(job.id)
        _check_newest(newest, based_on)
        before = await self._edits(job.id, newest)
        made = await self._made(job, result)

        def check() -> tuple[LineEdit, ...]:
            self._check_voices(edits, made.options)
            try:
                # What stands is taken as it is, so that faults are numbered as the request numbers its edits.
                replace(made, base=made.lines(before)).lines(edits, check_times=True)
            except InputError as error:
                raise _as_problem(error) from error
            return join_edits(before, edits)

        joined = await asyncio.to_thread(check)
        if parameter_bytes(_EDITS.dump_python(joined, mode="json")) > MOST_EDIT_BYTES:
            raise Problem(
                422,
                "These are more edits than one job can take.",
                code="edits_too_many",
                hint="Delete what is not needed, or work on the video in parts.",
                errors=[("edits", f"take more than {MOST_EDIT_BYTES} bytes together")],
            )
        await self._keep(job, newest, joined, undone_to=newest, note=note)
        return await self._reading(job, result, newest + 1, is_planned=True)

    async def undo(self, user_id: str, job_id: str, based_on: int) -> Reading:
        """Keep a new revision that equals the one before the newest; undoing again goes further back.

        Raises:
            Problem: 404; 409 when `based_on` is not the newest, or there is nothing before it.
        """
        job, result = await self._dub(user_id, job_id)
        newest = await self._newest(job.id)
        _check_newest(newest, based_on)
        row = await self._row(job.id, newest)
        if row is None or row.undone_to is None:
            raise Problem(409, "There is nothing to undo.", code="nothing_to_undo")
        goal = await self._row(job.id, row.undone_to)
        await self._keep(
            job,
            newest,
            await self._edits(job.id, row.undone_to),
            undone_to=goal.undone_to if goal is not None else None,
            note=f"As {row.undone_to}",
        )
        return await self._reading(job, result, newest + 1, is_planned=True)

    async def plan(self, user_id: str, job_id: str, revision: int | None) -> Plan:
        """What rendering a revision would do; None means the newest.

        Raises:
            Problem: as `render`.
        """
        job, result, number = await self._to_render(user_id, job_id, revision)
        reading = await self._reading(job, result, number, is_planned=True)
        assert reading.plan is not None
        return reading.plan

    async def render(self, user_id: str, job_id: str, revision: int | None) -> Job:
        """Begin a new attempt of the job that renders a revision; None means the newest.

        Raises:
            Problem: 404; 409 while it is under way or before there is a result; 422 for a revision that is not there.
            InputError: a voice of the revision is no longer there.
            EngineUnavailable: its engine is not.
        """
        job, result, number = await self._to_render(user_id, job_id, revision)
        edits = await self._edits(job.id, number)
        made = await self._made(job, result)

        def check() -> None:
            for voice in {line.voice for line in made.lines(edits)}:
                _choose(self._settings, made.options, voice)
            self._keep_results(job.id, result)

        await asyncio.to_thread(check)
        return await self._jobs.render(job, number, _EDITS.dump_python(edits, mode="json"))

    def _keep_results(self, job_id: str, result: JobResult) -> None:
        """Name the content of all results so far in fresh records, so that no sweep takes it while the job lives."""
        for record in list(self._store.records(revision_folder(job_id))):
            data = self._store.get_record(record.name)
            if data is not None:
                self._store.put_record(record.name, data)
        self._store.put_record(revision_record(job_id, result.revision), result.model_dump_json().encode())

    async def _with_result(self, user_id: str, job_id: str) -> tuple[Job, JobResult]:
        job = await self._jobs.get(user_id, job_id)
        if job.result is None:
            raise Problem(
                409,
                f"The job is {job.status}; its result is not there.",
                code="job_not_completed",
                retryable=job.status not in ENDED,
                details={"status": job.status},
            )
        return job, JobResult.model_validate(job.result)

    async def _dub(self, user_id: str, job_id: str) -> tuple[Job, JobResult]:
        job, result = await self._with_result(user_id, job_id)
        if job.job_type != "video_translate":
            raise Problem(409, "Only the lines of a dub can be edited.", code="transcript_fixed")
        return job, result

    async def _to_render(self, user_id: str, job_id: str, revision: int | None) -> tuple[Job, JobResult, int]:
        job, result = await self._dub(user_id, job_id)
        if job.status not in ENDED:
            raise Problem(409, f"The job is {job.status} already.", code="job_status", details={"status": job.status})
        newest = await self._newest(job.id)
        if revision is not None and revision > newest:
            raise Problem(
                422,
                f"There is no revision {revision}.",
                code="revision_unknown",
                errors=[("revision", f"the newest is {newest}")],
            )
        return job, result, newest if revision is None else revision

    async def _reading(self, job: Job, result: JobResult, revision: int, *, is_planned: bool) -> Reading:
        edits = await self._edits(job.id, revision)
        made = await self._made(job, result)
        equal = await self._equal(job.id, revision, edits) if is_planned else set()

        def look() -> tuple[list[Segment], Plan | None]:
            if made.base is None and not is_planned:
                return segments(made, ()), None
            lines = made.lines(edits)
            if not is_planned:
                return segments(made, lines), None
            is_new = result.revision not in equal and not any(
                self._store.get_record(revision_record(job.id, n)) for n in equal
            )
            plan = make_plan(
                made,
                lines,
                is_new=is_new,
                is_spoken=self._spoken_check(made),
                cores=self._settings.cpu_threads,
            )
            return segments(made, lines), plan

        rows, plan = await asyncio.to_thread(look)
        return Reading(
            job=job,
            revision=revision,
            rendered_revision=result.revision,
            revisions=await self._list(job),
            source_language=result.source_language or None,
            segments=rows,
            plan=plan,
        )

    async def _made(self, job: Job, result: JobResult) -> Made:
        edits = await self._edits(job.id, result.revision)
        options = DubOptions.model_validate(job.options)
        return await asyncio.to_thread(read_made, self._store, result, options, edits)

    def _spoken_check(self, made: Made) -> Callable[[Line], bool]:
        from dubline.stages.synthesize import line_key

        options, voices = made.options, own_voices(made)

        @functools.cache
        def choice(voice: str) -> EngineChoice:
            return _choose(self._settings, options, voice)

        def is_spoken(line: Line) -> bool:
            voice = line.voice or voices.get(line.utterance.speaker, "")
            try:
                key = line_key(line.text, options.target_language, choice(voice))
            except InputError:  # most of its lines were spoken by a fallback, which this job does not ask for
                return False
            return self._store.get_record(f"utterances/{key}.json") is not None

        return is_spoken

    def _check_voices(self, edits: Sequence[LineEdit], options: DubOptions) -> None:
        faults: list[tuple[str, str]] = []
        first: DublineError | None = None
        for number, edit in enumerate(edits):
            if isinstance(edit, ChangeLine) and edit.voice:
                try:
                    _choose(self._settings, options, edit.voice)
                except DublineError as error:
                    first = first or error
                    faults.append((f"edits.{number}.voice", error.message))
        if first is not None:
            raise Problem(
                422, first.message, code=first.code, hint=first.hint, details=first.details, errors=faults
            ) from first

    async def _newest(self, job_id: str) -> int:
        async with self._db.read() as session:
            return await _newest(session, job_id)

    async def _row(self, job_id: str, revision: int) -> JobRevision | None:
        async with self._db.read() as session:
            return await session.get(JobRevision, (job_id, revision))

    async def _edits(self, job_id: str, revision: int) -> tuple[LineEdit, ...]:
        row = await self._row(job_id, revision) if revision else None
        return _EDITS.validate_python(row.edits) if row is not None else ()

    async def _equal(self, job_id: str, revision: int, edits: Sequence[LineEdit]) -> set[int]:
        """Numbers of the revisions with these edits, its own among them."""
        async with self._db.read() as session:
            query = select(JobRevision.revision).where(
                JobRevision.job_id == job_id, JobRevision.digest == _digest(edits)
            )
            found = set((await session.exec(query)).all())
        return found | {revision} | (set() if edits else {0})

    async def _list(self, job: Job) -> tuple[RevisionRow, ...]:
        async with self._db.read() as session:
            query = select(JobRevision.revision, JobRevision.created_s, JobRevision.note)
            rows = await session.exec(query.where(JobRevision.job_id == job.id).order_by(col(JobRevision.revision)))
            return (RevisionRow(0, job.created_s, ""), *(RevisionRow(*row) for row in rows.all()))

    async def _keep(
        self, job: Job, newest: int, edits: Sequence[LineEdit], *, undone_to: int | None, note: str
    ) -> None:
        async with self._db.begin() as session:
            if await session.get(Job, job.id, with_for_update=True) is None:
                raise not_found("job", "job_not_found")
            _check_newest(await _newest(session, job.id), newest)
            session.add(
                JobRevision(
                    job_id=job.id,
                    revision=newest + 1,
                    user_id=job.user_id,
                    undone_to=undone_to,
                    note="".join(c for c in note if c.isprintable()),
                    edits=_EDITS.dump_python(tuple(edits), mode="json"),
                    digest=_digest(edits),
                    created_s=time.time(),
                )
            )


async def _newest(session: AsyncSession, job_id: str) -> int:
    query = select(func.max(JobRevision.revision)).where(col(JobRevision.job_id) == job_id)
    return (await session.exec(query)).one() or 0


def _check_newest(newest: int, named: int) -> None:
    if newest != named:
        raise Problem(
            409,
            "Somebody edited these lines meanwhile.",
            code="transcript_changed",
            hint="Read the transcript again.",
            details={"revision": newest},
        )


def _choose(settings: Settings, options: DubOptions, voice: str) -> EngineChoice:
    return choose_tts(
        settings, engine=options.tts_engine, language=options.target_language, voice=voice or options.tts_voice
    )


def _digest(edits: Sequence[LineEdit]) -> str:
    rows: list[dict[str, Any]] = _EDITS.dump_python(tuple(edits), mode="json")
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _as_problem(error: InputError) -> Problem:
    rows = [(f"edits.{e['edit']}.{e['field']}", e["message"]) for e in error.details.get("errors", [])]
    return Problem(422, error.message, code=error.code, hint=error.hint, errors=rows)
