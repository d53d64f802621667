"""Calls are repeated where that is safe and may help, and not otherwise."""

import time

import grpc
import pytest

from promptreel.v2 import run_pb2
from promptreel_client import errors
from promptreel_client.attempts import MOST_ATTEMPTS, Attempts, backoff
from promptreel_client.errors import DeadlineError, UnavailableError
from tests.unit.client.callers import Caller, MakeCaller
from tests.unit.client.scripted import Scripted, answering, refusing

AWAY = refusing(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "Draining.", retry_after=0.05)
RUN = answering(run_pb2.PromptRun(run_id="run_1"))
TARGET = {"type": "playground"}


def test_a_read_is_asked_again_while_the_server_is_away(server: Scripted, caller: Caller) -> None:
    server.on("GetPromptRun", AWAY, AWAY, RUN)
    run = caller.call(lambda client: client.prompt_runs.retrieve("run_1"))
    assert run.run_id == "run_1"
    assert len(server.seen) == 3


def test_a_write_is_asked_again_with_its_key(server: Scripted, caller: Caller) -> None:
    server.on("ExecutePromptRun", AWAY, RUN)
    caller.call(lambda client: client.prompt_runs.execute(prompt_id="p", target=TARGET))
    keys = [seen.metadata["idempotency-key"] for seen in server.seen]
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_two_writes_have_two_keys_and_a_read_has_none(server: Scripted, caller: Caller) -> None:
    server.on("CancelPromptRun", RUN)
    server.on("GetPromptRun", RUN)
    for _ in range(2):
        caller.call(lambda client: client.prompt_runs.cancel("run_1"))
    caller.call(lambda client: client.prompt_runs.retrieve("run_1"))
    one, two, none = (seen.metadata.get("idempotency-key") for seen in server.seen)
    assert one != two
    assert none is None


def test_a_key_of_the_callers_is_kept(server: Scripted, caller: Caller) -> None:
    server.on("CancelPromptRun", RUN)
    caller.call(lambda client: client.prompt_runs.cancel("run_1", idempotency_key="mine"))
    assert server.seen[0].metadata["idempotency-key"] == "mine"


def test_a_call_is_asked_four_times_at_most(server: Scripted, caller: Caller) -> None:
    server.on("GetPromptRun", AWAY)
    with pytest.raises(UnavailableError, match="Draining"):
        caller.call(lambda client: client.prompt_runs.retrieve("run_1"))
    assert len(server.seen) == MOST_ATTEMPTS


def test_the_servers_delay_is_kept_to(server: Scripted, caller: Caller) -> None:
    patient = refusing(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", retry_after=7)
    server.on("GetPromptRun", patient, RUN)
    caller.call(lambda client: client.prompt_runs.retrieve("run_1"))
    assert caller.pauses == [7.0]


def test_a_delay_beyond_the_timeout_is_not_waited_for(
    server: Scripted, make_caller: MakeCaller
) -> None:
    patient = refusing(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", retry_after=60)
    server.on("GetPromptRun", patient)
    caller = make_caller(server.address)
    with pytest.raises(UnavailableError) as caught:
        caller.call(lambda client: client.prompt_runs.retrieve("run_1"))
    assert caught.value.retry_after == 60
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
        (grpc.StatusCode.ABORTED, "IDEMPOTENCY_IN_PROGRESS"),
    ],
)
def test_another_refusal_is_answered_at_once(
    server: Scripted, caller: Caller, code: grpc.StatusCode, reason: str
) -> None:
    server.on("CancelPromptRun", refusing(code, reason, retry_after=0.01))
    with pytest.raises(errors.PromptreelError):
        caller.call(lambda client: client.prompt_runs.cancel("run_1"))
    assert len(server.seen) == 1


def test_a_repeated_write_waits_for_its_own_first_attempt(server: Scripted, caller: Caller) -> None:
    in_hand = refusing(grpc.StatusCode.ABORTED, "IDEMPOTENCY_IN_PROGRESS", retry_after=0.01)
    server.on("CancelPromptRun", AWAY, in_hand, RUN)
    run = caller.call(lambda client: client.prompt_runs.cancel("run_1"))
    assert run.run_id == "run_1"


def test_a_call_that_takes_too_long_ends_with_a_deadline_error(
    server: Scripted, make_caller: MakeCaller
) -> None:
    server.on("GetPromptRun", lambda request, context: time.sleep(2))
    caller = make_caller(server.address, timeout=0.2)
    with pytest.raises(DeadlineError):
        caller.call(lambda client: client.prompt_runs.retrieve("run_1"))


def test_what_is_left_of_the_timeout_shrinks_and_ends() -> None:
    now = [100.0]
    attempts = Attempts(5.0, clock=lambda: now[0])
    now[0] = 104.0
    assert attempts.remaining() == 1.0
    now[0] = 105.0
    with pytest.raises(DeadlineError):
        attempts.remaining()


def test_without_a_timeout_an_attempt_may_take_as_long_as_it_needs() -> None:
    assert Attempts(None).remaining() is None


def test_delays_grow_to_ten_seconds_at_most() -> None:
    assert all(0 <= backoff(1) <= 0.2 for _ in range(50))
    assert all(0 <= backoff(50) <= 10 for _ in range(50))
    assert max(backoff(50) for _ in range(200)) > 5


def test_every_call_names_the_caller(server: Scripted, caller: Caller) -> None:
    server.on("GetPromptRun", RUN)
    caller.call(lambda client: client.prompt_runs.retrieve("run_1"))
    metadata = server.seen[0].metadata
    assert metadata["x-api-key"] == "sk_test"
    assert str(metadata["user-agent"]).startswith("promptreel-python/")
