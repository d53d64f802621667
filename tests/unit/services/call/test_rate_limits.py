import pytest

from promptreel_server.errors import RateLimited
from promptreel_server.services.call.rate_limits import RateLimits


class _Hands:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _calls_let_in(limits: RateLimits, key: str, count: int) -> int:
    let_in = 0
    for _ in range(count):
        try:
            limits.take(key)
        except RateLimited:
            continue
        let_in += 1
    return let_in


def test_a_burst_is_let_in_and_then_the_pace_holds() -> None:
    clock = _Hands()
    limits = RateLimits(per_second=10.0, burst=5, seconds=clock)

    assert _calls_let_in(limits, "key_1", 20) == 5
    clock.now += 0.35
    assert _calls_let_in(limits, "key_1", 20) == 3
    clock.now += 60
    assert _calls_let_in(limits, "key_1", 20) == 5


def test_a_refusal_says_when_to_come_back_and_then_lets_in() -> None:
    clock = _Hands()
    limits = RateLimits(per_second=2.0, burst=1, seconds=clock)
    limits.take("key_1")

    with pytest.raises(RateLimited) as refused:
        limits.take("key_1")

    assert refused.value.retry_after == pytest.approx(0.5)
    clock.now += 0.5
    limits.take("key_1")


def test_keys_do_not_slow_each_other() -> None:
    limits = RateLimits(per_second=1.0, burst=1, seconds=_Hands())

    assert [_calls_let_in(limits, f"key_{number}", 3) for number in range(4)] == [1, 1, 1, 1]
