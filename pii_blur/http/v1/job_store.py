"""The jobs that are known: under way, finished and not yet fetched. They live as long as the process."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pii_blur.http.refusals import Problem, Refusal
from pii_blur.http.v1.schemas import JobState, JobStatus, Report
from pii_blur.http.workspace import Workspace


@dataclass(slots=True)
class JobRecord:
    """One job.

    Attributes:
        state: what is told of it.
        room: holds the result, once there is one.
        task: does it.
    """

    state: JobState
    room: Workspace
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class JobStore:
    """Jobs by their ids, which nobody can guess. Lives in the event loop's thread."""

    def __init__(self, max_jobs: int, minutes: float) -> None:
        """Make an empty one.

        Args:
            max_jobs: how many may be known at a time.
            minutes: how long one is known after its end.
        """
        self._jobs: dict[str, JobRecord] = {}
        self._max_jobs, self._lifetime = max_jobs, timedelta(minutes=minutes)

    def add(self, room: Workspace) -> JobRecord:
        """Begin a job.

        Raises:
            Refusal: 429; finished ones must be deleted, or expire, first.
        """
        if len(self._jobs) >= self._max_jobs:
            message = f"{self._max_jobs} jobs are known already; delete those whose photos you have fetched"
            raise Refusal(429, "too_many_jobs", message, {"Retry-After": "60"})
        state = JobState(
            id=secrets.token_urlsafe(16),
            status=JobStatus.WAITING,
            created=_now(),
            expires=None,
            report=None,
            problem=None,
        )
        self._jobs[state.id] = record = JobRecord(state, room)
        return record

    def get(self, job_id: str) -> JobRecord:
        """Return a job.

        Raises:
            Refusal: 404.
        """
        try:
            return self._jobs[job_id]
        except KeyError:
            raise gone() from None

    def done(self, record: JobRecord, report: Report) -> None:
        """Note that a job's photo lies in its room."""
        self._end(record, status=JobStatus.DONE, report=report)

    def failed(self, record: JobRecord, refusal: Refusal) -> None:
        """Note why a job came to nothing."""
        problem = Problem(detail=refusal.message, code=refusal.code)
        self._end(record, status=JobStatus.FAILED, problem=problem)

    def _end(self, record: JobRecord, **state: Any) -> None:
        record.state = record.state.model_copy(update={**state, "expires": _now() + self._lifetime})
        asyncio.get_running_loop().call_later(self._lifetime.total_seconds(), self.remove, record.state.id)

    def remove(self, job_id: str) -> None:
        """Forget a job and everything of its photo; none is all right."""
        record = self._jobs.pop(job_id, None)
        if record is None:
            return
        if record.task is not None and not record.task.done():
            record.task.cancel()
        record.room.remove()


def gone() -> Refusal:
    """Return what is answered where there is no such job, or none any more."""
    return Refusal(404, "no_such_job", "no such job; it may have expired")


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
