"""What went wrong between us and a model behind HTTP, as failure codes."""

import email.utils
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from promptreel_server.errors import FailureCode, ModelFailure

LONGEST_MESSAGE = 500
"""Characters of a provider's own words that are kept."""
_LONGEST_WAIT = 86_400.0
_SHORTEST_SECRET = 6
"""A shorter key is a placeholder: taking it out of every text would garble them."""

_BY_STATUS: Mapping[int, FailureCode] = {
    401: FailureCode.UNAUTHENTICATED,
    402: FailureCode.QUOTA_EXHAUSTED,
    403: FailureCode.INVALID_REQUEST,  # this request is forbidden; the key itself is a 401
    408: FailureCode.TIMEOUT,
    429: FailureCode.RATE_LIMITED,
    504: FailureCode.TIMEOUT,
}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An HTTP answer that is no success; `body` is its JSON, None where it was something else."""

    provider: str
    status: int
    reason: str
    body: Any
    headers: Mapping[str, str]

    @property
    def error(self) -> Mapping[str, Any]:
        """The `error` object of the body, as Google and OpenAI write it; empty where none."""
        body = self.body[0] if isinstance(self.body, list) and self.body else self.body
        error = body.get("error") if isinstance(body, Mapping) else None
        if isinstance(error, str):
            return {"message": error}
        return error if isinstance(error, Mapping) else {}

    @property
    def details(self) -> list[Mapping[str, Any]]:
        """The `google.rpc` details of the error."""
        listed = self.error.get("details")
        found = listed if isinstance(listed, list) else []
        return [detail for detail in found if isinstance(detail, Mapping)]

    @property
    def words(self) -> str:
        """What the provider says about it; nothing where it says it in HTML."""
        message = self.error.get("message")
        return message[:LONGEST_MESSAGE] if isinstance(message, str) else ""


def refused(refusal: Refusal, *, secret: str | None = None) -> ModelFailure:
    """Answer the failure that a refusal means, with the pause that it asks for."""
    said = f"{refusal.provider} answered {refusal.status} {refusal.reason}".strip()
    message = f"{said}: {refusal.words}" if refusal.words else said
    return ModelFailure(_code(refusal), redacted(message, secret), retry_after=retry_delay(refusal))


def _code(refusal: Refusal) -> FailureCode:
    status, error = refusal.status, refusal.error
    if status == 429 and (_daily(refusal) or error.get("code") == "insufficient_quota"):
        return FailureCode.QUOTA_EXHAUSTED
    if any(detail.get("reason") == "API_KEY_INVALID" for detail in refusal.details):
        return FailureCode.UNAUTHENTICATED  # Google says it with a 400
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return FailureCode.MODEL_UNAVAILABLE if status >= 500 else FailureCode.INVALID_REQUEST


def _daily(refusal: Refusal) -> bool:
    """Whether the quota that ran out is one for the day: no pause of seconds helps."""
    for detail in refusal.details:
        for violation in detail.get("violations") or ():
            if isinstance(violation, Mapping) and "PerDay" in str(violation.get("quotaId")):
                return True
    return False


def retry_delay(refusal: Refusal) -> float | None:
    """Seconds that the provider asks to wait, by `RetryInfo` or by header; None where neither."""
    for detail in refusal.details:
        if str(detail.get("@type")).endswith("google.rpc.RetryInfo"):
            said = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(detail.get("retryDelay")))
            if said:
                return _bounded(float(said[1]))
    headers = {name.lower(): value for name, value in refusal.headers.items()}
    milliseconds = headers.get("retry-after-ms", "")
    if re.fullmatch(r"\d+(\.\d+)?", milliseconds):
        return _bounded(float(milliseconds) / 1000)
    return _header_delay(headers.get("retry-after", ""))


def _header_delay(value: str) -> float | None:
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return _bounded(float(value))
    try:
        until = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return _bounded((until.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def redacted(text: str, secret: str | None) -> str:
    """Take the key out of what may repeat it."""
    if secret is None or len(secret) < _SHORTEST_SECRET:
        return text
    return text.replace(secret, "(key)")


@contextmanager
def told_apart(provider: str, *, seconds: float) -> Iterator[None]:
    """Turn what the network does wrong within the block into a ModelFailure.

    A connection that is refused, reset or closed early is `model_unavailable`, one that takes too
    long `timeout`; `seconds` is what it had, for the message.
    """
    try:
        yield
    except (httpx2.TimeoutException, TimeoutError) as error:
        message = f"{provider} did not answer within {seconds:g} s"
        raise ModelFailure(FailureCode.TIMEOUT, message) from error
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        message = f"the address of {provider} can't be used: {error}"
        raise ModelFailure(FailureCode.INVALID_REQUEST, message) from error
    except httpx2.TransportError as error:
        broke = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        message = f"the connection to {provider} failed ({broke[:LONGEST_MESSAGE]})"
        raise ModelFailure(FailureCode.MODEL_UNAVAILABLE, message) from error
