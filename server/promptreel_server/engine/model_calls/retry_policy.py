"""How often an operation is attempted, and how long the pauses are."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from promptreel_server.domain.json_values import storable
from promptreel_server.domain.operation import Failure
from promptreel_server.errors import FailureCode, ModelMissing, OperationFailure

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class AttemptPolicy:
    """Transient failures: so many attempts, pauses with full jitter between two bounds."""

    transient_attempts: int = 4
    shortest_pause: float = 1.0
    longest_pause: float = 60.0

    def pause(self, failure: OperationFailure, attempt: int) -> float | None:
        """Seconds until the next attempt, None where there is none.

        `attempt` counts those made, this one included.
        """
        if failure.failure_code is FailureCode.OUTPUT_TRUNCATED:
            return 0.0 if attempt == 1 else None
        if isinstance(failure, ModelMissing) or not failure.failure_code.transient:
            return None
        if attempt >= self.transient_attempts:
            return None
        if failure.retry_after is not None:
            if failure.retry_after > self.longest_pause:
                return None
            return failure.retry_after
        ceiling = min(self.longest_pause, self.shortest_pause * 2**attempt)
        return random.uniform(self.shortest_pause, max(ceiling, self.shortest_pause))  # noqa: S311 - jitter, not a secret

    async def attempted(
        self,
        work: Callable[[], Awaitable[Result]],
        failed: Callable[[OperationFailure], None] = lambda _: None,
    ) -> Result:
        """Do something until it works or no attempt is left; raises the last failure.

        `failed` is told of each failure that another attempt follows.
        """
        made = 0
        while True:
            try:
                return await work()
            except OperationFailure as failure:
                made += 1
                pause = self.pause(failure, made)
                if pause is None:
                    raise
                failed(failure)
            await asyncio.sleep(pause)


def as_data(failure: OperationFailure) -> Failure:
    """The failure as it is stored; whether a retry helps was decided where it arose."""
    return Failure(
        code=failure.failure_code,
        message=storable(failure.message),
        retryable=failure.failure_code.retryable,
        retry_after=failure.retry_after,
    )
