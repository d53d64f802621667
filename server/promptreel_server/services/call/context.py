"""The call that is being served: who asks, and what goes with the answer."""

from contextvars import ContextVar
from dataclasses import dataclass, field

from promptreel_server.domain.key import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call by an authenticated caller.

    `headers` are sent with a successful answer: services add theirs, such as `x-next-cursor`.
    """

    owner_id: str
    key_id: str
    scope: Scope
    request_id: str
    idempotency_key: str | None = None
    last_event_id: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)


current: ContextVar[Call] = ContextVar("call")


def current_call() -> Call:
    """Answer the call that this task serves.

    Raises:
        LookupError: this task serves no authenticated call.
    """
    return current.get()
