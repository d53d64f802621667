"""What the Gemini client raises, as failure codes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from google.genai import errors

from promptreel_server.errors import FailureCode, MediaUnavailable, ModelFailure, OperationFailure
from promptreel_server.extractors.chat.http_failures import Refusal, redacted, refused, told_apart

PROVIDER = "Gemini"
_GONE = frozenset({403, 404})


@contextmanager
def gemini_failures(*, secret: str, seconds: float, file: str | None = None) -> Iterator[None]:
    """Turn what goes wrong within the block into an OperationFailure.

    `file` names the upload that is asked about: one that the provider no longer has is
    `media_unavailable`. It says so with a 403 that else means a refused key.
    """
    try:
        with told_apart(PROVIDER, seconds=seconds):
            yield
    except errors.APIError as error:
        raise _failure(error, secret, file) from error
    except FileNotFoundError as error:
        raise MediaUnavailable("The media is not there to be uploaded.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # the client's own complaints about an answer that is not of its protocol
        said = redacted(f"{type(error).__name__}: {error}"[:300], secret)
        message = f"{PROVIDER} answered something that can't be understood ({said})"
        raise ModelFailure(FailureCode.MODEL_UNAVAILABLE, message) from error


def _failure(error: errors.APIError, secret: str, file: str | None) -> OperationFailure:
    refusal = Refusal(
        provider=PROVIDER,
        status=error.code if isinstance(error.code, int) else 0,
        reason=_reason(error),
        body=_envelope(error.details),
        headers=_headers(error.response),
    )
    failure = refused(refusal, secret=secret)
    if file is not None and refusal.status in _GONE and "file" in refusal.words.lower():
        return ModelFailure(
            FailureCode.MEDIA_UNAVAILABLE,
            f"{PROVIDER} no longer has the uploaded media",
            retry_after=0.0,  # the next attempt uploads it anew, at once
        )
    return failure


def _envelope(details: Any) -> Any:
    """The error as Google sends it; None for the text of some page between it and us."""
    if isinstance(details, Mapping) and isinstance(details.get("code"), int):
        return {"error": details}
    return details if isinstance(details, Mapping) and "error" in details else None


def _reason(error: errors.APIError) -> str:
    phrase = getattr(error.response, "reason_phrase", None)
    return str(phrase or "")


def _headers(response: Any) -> dict[str, str]:
    headers = getattr(response, "headers", None) or {}
    return {str(name): str(value) for name, value in headers.items()}
