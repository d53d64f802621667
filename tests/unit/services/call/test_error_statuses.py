import errno
import json
import logging
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy.exc import OperationalError

from promptreel.v2 import error_reason_pb2
from promptreel_server import errors
from promptreel_server.errors import FieldViolation, Invalid, PromptreelError, RateLimited
from promptreel_server.services.call import error_statuses


def _all_errors(root: type[PromptreelError]) -> list[type[PromptreelError]]:
    found = [root]
    for child in root.__subclasses__():
        found += _all_errors(child)
    return found


def test_an_error_that_is_not_ours_is_logged_whole_and_told_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        known = error_statuses.known(ZeroDivisionError("the secret is 42"), "req-1")

    assert "42" in caplog.text
    assert "req-1" in caplog.text
    assert "42" not in str(error_statuses.told(known, "req-1"))
    assert known.http_status == 500
    assert known.reason == "internal"
    assert "req-1" in known.message
    assert error_statuses.grpc_code(known) is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OperationalError("INSERT", {}, Exception("database or disk is full")),
    ],
)
def test_a_full_disk_is_no_fault_of_the_caller(error: Exception) -> None:
    known = error_statuses.known(error, "req-1")

    assert known.http_status == 503
    assert known.retry_after


def test_media_that_can_not_be_reached_are_no_fault_of_the_caller() -> None:
    known = error_statuses.known(errors.MediaUnavailable("The file is gone for now."), "req-1")

    assert (known.http_status, known.message) == (503, "The file is gone for now.")
    assert known.retry_after


def test_a_message_that_can_not_be_read_is_the_callers_fault() -> None:
    assert error_statuses.known(DecodeError("x"), "req-1").http_status == 400


def test_field_violations_are_told_in_both_forms() -> None:
    error = Invalid.field("name", "must have 1 to 255 characters")

    trailers = dict(error_statuses.told(error, "req-1").trailers)

    status = status_pb2.Status.FromString(bytes(trailers["grpc-status-details-bin"]))  # type: ignore[arg-type]
    bad = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad)
    assert bad.field_violations[0].field == "name"
    details = json.loads(trailers["x-error-envelope"])["error"]["details"]
    assert details == {
        "field_violations": [{"field": "name", "description": "must have 1 to 255 characters"}]
    }
    assert trailers["x-http-status"] == "400"


def test_a_retry_delay_is_rounded_up_to_whole_seconds_for_http() -> None:
    trailers = dict(
        error_statuses.told(RateLimited("slow down", retry_after=1.2), "req-1").trailers
    )

    status = status_pb2.Status.FromString(bytes(trailers["grpc-status-details-bin"]))  # type: ignore[arg-type]
    info = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(info)
    assert info.retry_delay.ToMilliseconds() == 1200
    assert trailers["retry-after"] == "2"


@pytest.mark.parametrize("letter", ["x", "é", "日", "\n", "\x00", '"'])
def test_an_error_fits_into_metadata_whatever_was_sent(letter: str) -> None:
    text = letter * 5000
    violations = tuple(FieldViolation(field=text, description=text) for _ in range(100))
    error = Invalid(text, violations=violations, details={f"name{n}": text for n in range(9)})

    told = error_statuses.told(error, "req-1")

    trailers = dict(told.trailers)
    envelope = trailers["x-error-envelope"]
    assert isinstance(envelope, str)
    assert envelope.isascii()
    assert "\n" not in envelope
    details = len(trailers["grpc-status-details-bin"]) * 4 / 3
    assert len(envelope) + details + len(quote(told.message)) < 7000
    assert json.loads(envelope)["error"]["code"] == "invalid_request"
    assert json.loads(envelope)["error"]["details"]["field_violations"]


def test_an_ordinary_error_is_told_whole() -> None:
    sentence = "Name every one of the boats that you want to have counted. " * 6
    violations = tuple(FieldViolation(field=f"field_{n}", description="wrong") for n in range(12))

    told = error_statuses.told(Invalid(sentence, violations=violations), "req-1")

    assert told.message == sentence
    assert str(told.trailers).count("field_11") == 2


def test_every_reason_is_in_the_catalogue_of_the_contract() -> None:
    catalogue = set(error_reason_pb2.ErrorReason.keys())
    answered = [
        error
        for error in _all_errors(PromptreelError)
        if not issubclass(error, errors.OperationFailure) and error is not PromptreelError
    ]

    missing = {error.reason.upper() for error in answered} - catalogue

    assert error_statuses.Internal in answered
    assert missing == set()
