"""Refusals become errors by what they mean, with all that the server says."""

import grpc
import pytest

from promptreel.v2 import error_reason_pb2
from promptreel_client import errors
from tests.unit.client.callers import Caller, MakeCaller
from tests.unit.client.scripted import Scripted, refusing

CODE = grpc.StatusCode


def test_every_reason_of_the_catalogue_has_a_class() -> None:
    reasons = {
        name.lower()
        for name in error_reason_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"].values_by_name
    }
    assert reasons - {"error_reason_unspecified"} == set(errors.BY_CODE)


def test_every_class_of_the_tree_is_drawn_in_the_docstring() -> None:
    assert errors.__doc__ is not None
    kinds: list[type] = [errors.PromptreelError, *errors.PromptreelError.__subclasses__()]
    assert [kind.__name__ for kind in kinds if kind.__name__ not in errors.__doc__] == []


def raised(caller: Caller) -> errors.PromptreelError:
    with pytest.raises(errors.PromptreelError) as caught:
        caller.call(lambda client: client.prompt_runs.retrieve("run_1"))
    return caught.value


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (CODE.INVALID_ARGUMENT, "EMPTY_TARGET", errors.InvalidRequestError),
        (CODE.UNAUTHENTICATED, "UNAUTHENTICATED", errors.AuthenticationError),
        (CODE.PERMISSION_DENIED, "SCOPE_MISSING", errors.PermissionDeniedError),
        (CODE.NOT_FOUND, "VIDEO_LEVEL_NOT_CONFIGURED", errors.NotFoundError),
        (CODE.FAILED_PRECONDITION, "NOT_RETRYABLE", errors.ConflictError),
        (CODE.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED", errors.IdempotencyError),
        (CODE.RESOURCE_EXHAUSTED, "TOO_LARGE", errors.TooLargeError),
        (CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED", errors.RateLimitError),
        (CODE.INTERNAL, "INTERNAL", errors.InternalError),
        (CODE.FAILED_PRECONDITION, "A_REASON_OF_TOMORROW", errors.ConflictError),
    ],
)
def test_a_refusal_is_an_error_of_its_reason(
    server: Scripted,
    caller: Caller,
    code: grpc.StatusCode,
    reason: str,
    kind: type[errors.PromptreelError],
) -> None:
    server.on("GetPromptRun", refusing(code, reason, "Do this.", metadata={"run_id": "run_1"}))
    error = raised(caller)
    assert type(error) is kind
    assert (error.code, error.message) == (reason.lower(), "Do this.")
    assert error.details == {"run_id": "run_1"}


def test_an_invalid_request_names_its_fields(server: Scripted, caller: Caller) -> None:
    script = refusing(CODE.INVALID_ARGUMENT, "INVALID_REQUEST", violations={"limit": "at most 100"})
    server.on("GetPromptRun", script)
    error = raised(caller)
    assert isinstance(error, errors.InvalidRequestError)
    assert error.field_violations == (
        errors.FieldViolation(field="limit", description="at most 100"),
    )


def test_a_rate_limit_says_when_to_come_back(server: Scripted, caller: Caller) -> None:
    script = refusing(CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_after=1.5)
    server.on("GetPromptRun", script)
    assert raised(caller).retry_after == 1.5


def test_an_error_carries_the_id_that_the_call_was_made_with(
    server: Scripted, caller: Caller
) -> None:
    server.on("GetPromptRun", refusing(CODE.NOT_FOUND, "NOT_FOUND"))
    error = raised(caller)
    assert error.request_id == server.seen[0].metadata["x-request-id"]


def test_the_servers_own_request_id_goes_before_ours(server: Scripted, caller: Caller) -> None:
    script = refusing(CODE.NOT_FOUND, "NOT_FOUND", metadata={"request_id": "req_7", "run_id": "r"})
    server.on("GetPromptRun", script)
    error = raised(caller)
    assert (error.request_id, error.details) == ("req_7", {"run_id": "r"})


def test_a_message_that_the_details_hold_shortened_is_read_whole(
    server: Scripted, caller: Caller
) -> None:
    server.on("GetPromptRun", refusing(CODE.NOT_FOUND, "NOT_FOUND", "long " * 200))
    error = raised(caller)
    assert error.code == "not_found"
    assert len(error.message) == 1000


def test_a_status_without_details_is_an_error_of_its_code(server: Scripted, caller: Caller) -> None:
    server.on("GetPromptRun", refusing(CODE.PERMISSION_DENIED, message="A proxy says no."))
    error = raised(caller)
    assert isinstance(error, errors.PermissionDeniedError)
    assert error.message == "A proxy says no."


def test_an_rpc_that_the_server_does_not_have_is_an_internal_error(caller: Caller) -> None:
    error = raised(caller)
    assert isinstance(error, errors.InternalError)
    assert error.code == "grpc_unimplemented"


def test_a_server_that_is_not_there_is_unavailable(make_caller: MakeCaller) -> None:
    error = raised(make_caller("127.0.0.1:1"))
    assert isinstance(error, errors.UnavailableError)
    assert "can't be reached" in error.message


def test_details_that_are_no_status_are_left_alone(server: Scripted, caller: Caller) -> None:
    def refuse(request: object, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(CODE.NOT_FOUND, "Not here.")

    server.on("GetPromptRun", refuse)
    assert isinstance(raised(caller), errors.NotFoundError)
