"""Import jobs: how bytes become media items."""

from collections.abc import Callable

from promptreel_client.model.import_jobs import ImportJob
from promptreel_client.model.words import ImportStatus
from promptreel_client.polling import Polling
from promptreel_client.requests import import_jobs as ask
from promptreel_client.resources.methods import (
    AsyncResource,
    Resource,
    async_calls,
    async_lists,
    calls,
    lists,
)

OnJob = Callable[[ImportJob], None]
_TERMINAL = frozenset({ImportStatus.COMPLETED, ImportStatus.FAILED, ImportStatus.CANCELLED})


class ImportJobs(Resource):
    """What can be asked of import jobs."""

    retrieve = calls(ask.retrieve)
    list = lists(ask.list_all)
    outputs = lists(ask.outputs)
    files = lists(ask.files)
    cancel = calls(ask.cancel)
    retry = calls(ask.retry)

    def wait(
        self, job_id: str, *, on_progress: OnJob | None = None, timeout: float | None = None
    ) -> ImportJob:
        """Wait until an import job is over, well or not, and answer it as it then stands.

        Args:
            job_id: The import job.
            on_progress: Called with the job at every look.
            timeout: Seconds to wait at most. None: as long as it takes.

        Raises:
            DeadlineError: the time is over; the job goes on.
            NotFoundError: there is no such import job.
        """
        polling = Polling(timeout)
        while True:
            job = self._transport.run(ask.retrieve(job_id))
            if on_progress is not None:
                on_progress(job)
            if job.status in _TERMINAL:
                return job
            self._transport.sleep(polling.pause())


class AsyncImportJobs(AsyncResource):
    """What can be asked of import jobs."""

    retrieve = async_calls(ask.retrieve)
    list = async_lists(ask.list_all)
    outputs = async_lists(ask.outputs)
    files = async_lists(ask.files)
    cancel = async_calls(ask.cancel)
    retry = async_calls(ask.retry)

    async def wait(
        self, job_id: str, *, on_progress: OnJob | None = None, timeout: float | None = None
    ) -> ImportJob:
        """Wait until an import job is over, well or not, and answer it as it then stands.

        Args:
            job_id: The import job.
            on_progress: Called with the job at every look.
            timeout: Seconds to wait at most. None: as long as it takes.

        Raises:
            DeadlineError: the time is over; the job goes on.
            NotFoundError: there is no such import job.
        """
        polling = Polling(timeout)
        while True:
            job = await self._transport.run(ask.retrieve(job_id))
            if on_progress is not None:
                on_progress(job)
            if job.status in _TERMINAL:
                return job
            await self._transport.sleep(polling.pause())
