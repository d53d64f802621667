"""The lists of runs that other services answer too."""

from typing import Any, Protocol

import grpc

from promptreel.v2 import prompt_run_pb2


class RunLists(Protocol):
    """The part of PromptRunService that lists."""

    async def ListPromptRuns(
        self,
        request: prompt_run_pb2.ListPromptRunsRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> prompt_run_pb2.ListPromptRunsResponse:
        """Answer a page of runs, newest first."""
        ...

    async def ListLlmCalls(
        self,
        request: prompt_run_pb2.ListLlmCallsRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> prompt_run_pb2.ListLlmCallsResponse:
        """Answer a page of a run's LLM calls."""
        ...
