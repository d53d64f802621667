"""Refusals of providers as failure codes, with the pause they ask for."""

import email.utils
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from promptreel_server.errors import FailureCode, ModelFailure
from promptreel_server.extractors.chat.http_failures import (
    Refusal,
    redacted,
    refused,
    retry_delay,
    told_apart,
)


def refusal(status: int, body: Any = None, **headers: str) -> Refusal:
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return Refusal(provider="It", status=status, reason="Said", body=body, headers=named)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, None, FailureCode.INVALID_REQUEST),
        (401, None, FailureCode.UNAUTHENTICATED),
        (402, None, FailureCode.QUOTA_EXHAUSTED),
        (403, None, FailureCode.INVALID_REQUEST),
        (404, None, FailureCode.INVALID_REQUEST),
        (408, None, FailureCode.TIMEOUT),
        (413, None, FailureCode.INVALID_REQUEST),
        (429, None, FailureCode.RATE_LIMITED),
        (429, {"error": {"code": "insufficient_quota"}}, FailureCode.QUOTA_EXHAUSTED),
        (429, {"error": {"details": ["odd", {"violations": ["odd"]}]}}, FailureCode.RATE_LIMITED),
        (
            400,
            {"error": {"details": [{"reason": "API_KEY_INVALID"}]}},
            FailureCode.UNAUTHENTICATED,
        ),
        (500, None, FailureCode.MODEL_UNAVAILABLE),
        (529, None, FailureCode.MODEL_UNAVAILABLE),
        (504, None, FailureCode.TIMEOUT),
        (302, None, FailureCode.INVALID_REQUEST),
    ],
)
def test_each_status_has_a_failure_code(status: int, body: Any, code: FailureCode) -> None:
    assert refused(refusal(status, body)).failure_code is code


def test_the_pause_is_what_the_provider_says_in_any_of_its_ways() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}
    assert retry_delay(refusal(429, {"error": {"details": [info]}}, retry_after="9")) == 34.07
    assert retry_delay(refusal(429, [{"error": {"details": [info]}}])) == 34.07
    assert retry_delay(refusal(429, retry_after_ms="1500", retry_after="9")) == 1.5
    assert retry_delay(refusal(429, retry_after="9")) == 9.0
    soon = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=60))
    assert 50 < (retry_delay(refusal(503, retry_after=soon)) or 0) <= 60
    long_ago = "Wed, 21 Oct 2015 07:28:00 GMT"
    assert retry_delay(refusal(503, retry_after=long_ago)) == 0.0


@pytest.mark.parametrize("odd", ["", "soon", "-3", "nan"])
def test_a_pause_that_can_not_be_read_is_none(odd: str) -> None:
    assert retry_delay(refusal(429, retry_after=odd)) is None


def test_words_are_kept_short_and_without_the_key() -> None:
    words = "Incorrect key sk-very-secret. " + "x" * 9000
    failure = refused(refusal(401, {"error": {"message": words}}), secret="sk-very-secret")
    assert "Incorrect key (key)." in failure.message
    assert len(failure.message) < 600


def test_a_placeholder_for_a_key_garbles_no_text() -> None:
    assert redacted("none of it", "none") == "none of it"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (httpx2.ReadTimeout("late"), FailureCode.TIMEOUT),
        (httpx2.ConnectTimeout("late"), FailureCode.TIMEOUT),
        (TimeoutError(), FailureCode.TIMEOUT),
        (httpx2.ConnectError("refused"), FailureCode.MODEL_UNAVAILABLE),
        (httpx2.ReadError(""), FailureCode.MODEL_UNAVAILABLE),
        (httpx2.RemoteProtocolError("closed"), FailureCode.MODEL_UNAVAILABLE),
        (httpx2.UnsupportedProtocol("ftp"), FailureCode.INVALID_REQUEST),
    ],
)
def test_what_the_network_does_is_told_apart(error: Exception, code: FailureCode) -> None:
    with pytest.raises(ModelFailure) as raised, told_apart("It", seconds=3):
        raise error
    assert raised.value.failure_code is code
