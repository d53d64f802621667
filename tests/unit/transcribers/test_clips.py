"""Which stretches of a recording are heard, and where long ones are parted."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from promptreel_server.transcribers.clips import (
    LONGEST_CLIP,
    Stretch,
    clips,
    resting_place,
)


def test_sentences_parted_by_short_pauses_are_heard_together() -> None:
    assert clips([(1.0, 4.0), (5.0, 9.0), (20.0, 22.0)], []) == [(1.0, 9.0), (20.0, 22.0)]


def test_no_clip_is_longer_than_the_model_hears() -> None:
    assert clips([(0.0, 20.0), (20.5, 40.0)], []) == [(0.0, 20.0), (20.5, 40.0)]
    assert clips([(0.0, 60.0)], []) == [(0.0, 20.0), (20.0, 40.0), (40.0, 60.0)]


def test_silence_gives_nothing_to_hear() -> None:
    assert clips([], []) == []


def test_singing_that_was_not_taken_for_speech_is_heard_too() -> None:
    assert clips([], [(10.0, 13.0), (14.0, 18.0)]) == [(10.0, 18.0)]
    assert clips([(0.0, 12.0)], [(10.0, 20.0)]) == [(0.0, 20.0)]


def test_short_calls_of_singing_within_music_are_passed_over() -> None:
    assert clips([], [(10.4, 11.8), (22.1, 22.8), (28.7, 29.7)]) == []


def test_a_window_is_parted_in_its_last_pause() -> None:
    speech = [(0.0, 50.0), (52.0, 90.0), (91.0, 120.0)]
    assert resting_place(speech, 120.0, 60.0) == 90.5


def test_a_window_that_ends_in_silence_is_not_parted() -> None:
    assert resting_place([(0.0, 50.0), (52.0, 90.0)], 120.0, 60.0) == 120.0
    assert resting_place([], 120.0, 60.0) == 120.0


def test_a_window_without_a_pause_is_parted_at_its_end() -> None:
    assert resting_place([(0.0, 120.0)], 120.0, 60.0) == 120.0
    assert resting_place([(0.0, 30.0), (31.0, 120.0)], 120.0, 60.0) == 120.0


_STRETCHES = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 400)), max_size=12).map(
    lambda pairs: _disjoint([(start / 10, (start + long) / 10) for start, long in pairs])
)


def _disjoint(stretches: list[Stretch]) -> list[Stretch]:
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if not found or start > found[-1][1]:
            found.append((start, end))
    return found


@given(speech=_STRETCHES, singing=_STRETCHES)
def test_clips_ascend_and_cover_all_speech(speech: list[Stretch], singing: list[Stretch]) -> None:
    heard = clips(speech, singing)
    assert all(end - start <= LONGEST_CLIP + 1e-6 for start, end in heard)
    assert all(a[1] <= b[0] + 1e-6 for a, b in pairwise(heard))
    for start, end in speech:
        middle = (start + end) / 2
        assert any(first <= middle <= last for first, last in heard)


@given(speech=_STRETCHES)
def test_a_resting_place_cuts_no_speech(speech: list[Stretch]) -> None:
    length = 350.0
    place = resting_place(speech, length, 100.0)
    assert place == length or all(not start < place < end for start, end in speech)
    assert place == length or place >= 100.0
