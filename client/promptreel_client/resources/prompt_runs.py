"""Runs: one prompt over one target, from acceptance to results."""

from collections.abc import Callable

from promptreel_client.model.runs import PromptRun
from promptreel_client.requests import failures, prompt_runs
from promptreel_client.resources.methods import (
    AsyncResource,
    Resource,
    async_calls,
    async_lists,
    async_watches,
    calls,
    lists,
    watches,
)
from promptreel_client.watch import AsyncWatch, Watch

OnRun = Callable[[PromptRun], None]


class PromptRuns(Resource):
    """What can be asked of runs."""

    execute = calls(prompt_runs.execute)
    estimate = calls(prompt_runs.estimate)
    retrieve = calls(prompt_runs.retrieve)
    list = lists(prompt_runs.list_all)
    cancel = calls(prompt_runs.cancel)
    list_results = lists(prompt_runs.list_results)
    get_video_result = calls(prompt_runs.get_video_result)
    get_llm_calls = lists(prompt_runs.get_llm_calls)
    get_failed_segments = calls(failures.get_failed_segments)
    retry_segment = calls(failures.retry_segment)
    retry_failed = calls(failures.retry_failed)
    get_segment_retry_status = calls(failures.get_segment_retry_status)
    list_segment_retries = lists(failures.list_segment_retries)
    watch = watches(prompt_runs.watch)
    stream_results = watches(prompt_runs.stream_results)

    def wait(
        self, run_id: str, *, on_progress: OnRun | None = None, timeout: float | None = None
    ) -> PromptRun:
        """Wait until a run is over, and answer it as it then stands.

        Args:
            run_id: The run.
            on_progress: Called with the run as it stands, now and whenever its counters changed.
            timeout: Seconds to wait at most. None: as long as it takes.

        Raises:
            DeadlineError: the time is over; the run goes on.
            NotFoundError: there is no such run.
        """
        watching = prompt_runs.watch(run_id, after_sequence=None)
        with Watch(self._transport, watching, timeout) as updates:
            for update in updates:
                if update.snapshot is not None and on_progress is not None:
                    on_progress(update.snapshot)
        return self._transport.run(prompt_runs.retrieve(run_id))


class AsyncPromptRuns(AsyncResource):
    """What can be asked of runs."""

    execute = async_calls(prompt_runs.execute)
    estimate = async_calls(prompt_runs.estimate)
    retrieve = async_calls(prompt_runs.retrieve)
    list = async_lists(prompt_runs.list_all)
    cancel = async_calls(prompt_runs.cancel)
    list_results = async_lists(prompt_runs.list_results)
    get_video_result = async_calls(prompt_runs.get_video_result)
    get_llm_calls = async_lists(prompt_runs.get_llm_calls)
    get_failed_segments = async_calls(failures.get_failed_segments)
    retry_segment = async_calls(failures.retry_segment)
    retry_failed = async_calls(failures.retry_failed)
    get_segment_retry_status = async_calls(failures.get_segment_retry_status)
    list_segment_retries = async_lists(failures.list_segment_retries)
    watch = async_watches(prompt_runs.watch)
    stream_results = async_watches(prompt_runs.stream_results)

    async def wait(
        self, run_id: str, *, on_progress: OnRun | None = None, timeout: float | None = None
    ) -> PromptRun:
        """Wait until a run is over, and answer it as it then stands.

        Args:
            run_id: The run.
            on_progress: Called with the run as it stands, now and whenever its counters changed.
            timeout: Seconds to wait at most. None: as long as it takes.

        Raises:
            DeadlineError: the time is over; the run goes on.
            NotFoundError: there is no such run.
        """
        watching = prompt_runs.watch(run_id, after_sequence=None)
        async with AsyncWatch(self._transport, watching, timeout) as updates:
            async for update in updates:
                if update.snapshot is not None and on_progress is not None:
                    on_progress(update.snapshot)
        return await self._transport.run(prompt_runs.retrieve(run_id))
