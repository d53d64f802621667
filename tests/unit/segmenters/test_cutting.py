"""How shots, sounds and limits become segments."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptreel_server.segmenters.boundary_choice import Lengths, Place, chosen
from promptreel_server.segmenters.content_boundaries import by_content
from promptreel_server.segmenters.even_windows import joined, parts, windows
from promptreel_server.segmenters.segmenter import Limits
from promptreel_server.segmenters.shot_grouping import whole_shots
from promptreel_server.segmenters.signals import Signals, Span

LIMITS = Limits()
seconds = st.fractions(min_value=Fraction(1, 50), max_value=200, max_denominator=90_000)


def span(start: float, end: float) -> Span:
    return Span(start=Fraction(str(start)), end=Fraction(str(end)))


def shots(*lengths: float) -> tuple[Span, ...]:
    edges = [Fraction(0)]
    for length in lengths:
        edges.append(edges[-1] + Fraction(str(length)))
    return joined(edges)


def lengths(spans: tuple[Span, ...]) -> list[float]:
    return [float(one.duration) for one in spans]


def covers(spans: tuple[Span, ...], whole: Span) -> bool:
    inner = all(a.end == b.start for a, b in pairwise(spans))
    return inner and spans[0].start == whole.start and spans[-1].end == whole.end


def test_even_windows_are_all_of_one_length_but_the_last() -> None:
    assert lengths(windows(span(0, 25), Fraction(10))) == [10, 10, 5]


def test_a_last_window_under_a_tenth_joins_its_neighbour() -> None:
    assert lengths(windows(span(0, 20.9), Fraction(10))) == [10, 10.9]
    assert lengths(windows(span(0, 21), Fraction(10))) == [10, 10, 1]


def test_windows_start_where_the_medium_does() -> None:
    assert windows(span(3.5, 8.5), Fraction(2))[1] == span(5.5, 7.5)


def test_a_medium_shorter_than_a_tenth_of_a_window_is_one() -> None:
    assert windows(span(0, 0.04), Fraction(10)) == (span(0, 0.04),)


@given(whole=seconds, length=seconds)
def test_windows_cover_without_gap_or_overlap(whole: Fraction, length: Fraction) -> None:
    spans = windows(Span(start=Fraction(-7, 3), end=Fraction(-7, 3) + whole), length)
    assert covers(spans, Span(start=Fraction(-7, 3), end=Fraction(-7, 3) + whole))


@given(whole=seconds, count=st.integers(1, 40))
def test_parts_are_equal_and_cover(whole: Fraction, count: int) -> None:
    spans = parts(Span(start=Fraction(0), end=whole), count)
    assert len({one.duration for one in spans}) == 1
    assert covers(spans, Span(start=Fraction(0), end=whole))


def test_long_shots_are_segments_of_their_own() -> None:
    assert lengths(whole_shots(shots(3, 10, 4), LIMITS)) == [3, 10, 4]


def test_a_run_of_very_short_shots_is_one_segment() -> None:
    assert lengths(whole_shots(shots(5, *[0.5] * 10, 5), LIMITS)) == [5, 5, 5]


def test_a_short_shot_alone_joins_its_shorter_neighbour() -> None:
    assert lengths(whole_shots(shots(9, 1, 4), LIMITS)) == [9, 5]
    assert lengths(whole_shots(shots(4, 1, 9), LIMITS)) == [5, 9]


def test_a_medium_shorter_than_the_shortest_segment_is_one() -> None:
    assert lengths(whole_shots(shots(0.5, 0.6), LIMITS)) == [1.1]


def test_an_overlong_shot_is_divided_evenly() -> None:
    assert lengths(whole_shots(shots(150), LIMITS)) == [50, 50, 50]


def test_an_overlong_shot_is_divided_where_it_is_quiet_nearby() -> None:
    divided = whole_shots(shots(150), LIMITS, (span(46, 46.4), span(101, 102)))
    assert lengths(divided) == [46.2, 55.3, 48.5]


@given(st.lists(seconds, min_size=1, max_size=30))
def test_whole_shots_keep_the_limits_and_the_edges(given_lengths: list[Fraction]) -> None:
    edges = [Fraction(0)]
    for length in given_lengths:
        edges.append(edges[-1] + length)
    spans = whole_shots(joined(edges), LIMITS)
    assert covers(spans, Span(start=Fraction(0), end=edges[-1]))
    assert all(one.duration <= LIMITS.longest for one in spans)
    assert len(spans) == 1 or all(one.duration >= LIMITS.shortest for one in spans)


def test_the_worthiest_places_within_the_limits_are_chosen() -> None:
    places = [Place(at=Fraction(at), worth=worth) for at, worth in ((4, 1), (6, 0.9), (12, 1))]
    limits = Lengths(shortest=Fraction(5), longest=Fraction(60), target=Fraction(30), pull=0.01)
    assert chosen(span(0, 20), places, limits) == (span(0, 6), span(6, 12), span(12, 20))


def test_a_place_worth_less_than_nothing_is_used_only_for_want_of_another() -> None:
    limits = Lengths(shortest=Fraction(5), longest=Fraction(60), target=Fraction(30), pull=0.01)
    reluctant = [Place(at=Fraction(40), worth=-1.0)]
    assert chosen(span(0, 59), reluctant, limits) == (span(0, 59),)
    assert chosen(span(0, 80), reluctant, limits) == (span(0, 40), span(40, 80))


def talking(*sentences: tuple[float, float], until: float, **more: tuple[Span, ...]) -> Signals:
    spoken = tuple(span(*sentence) for sentence in sentences)
    edges = [0.0, *(edge for sentence in sentences for edge in sentence), until]
    silence = tuple(span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a)
    empty: tuple[Span, ...] = ()
    return Signals(speech=spoken, silence=silence, music=empty, pauses=more.get("pauses", empty))


def test_sound_is_cut_in_the_pauses_between_sentences() -> None:
    signals = talking((0, 9), (10, 18), (19, 30), until=30)
    assert by_content(signals, span(0, 30), LIMITS) == (
        span(0, 9.5),
        span(9.5, 18.5),
        span(18.5, 30),
    )


def test_a_long_silence_is_a_segment_of_its_own() -> None:
    cut = by_content(talking((0, 9), (29, 40), until=40), span(0, 40), LIMITS)
    assert [(float(one.start), float(one.end)) for one in cut] == [
        (0, 9.1),
        (9.1, 28.9),
        (28.9, 40),
    ]


def test_sentences_are_gathered_where_they_are_too_short() -> None:
    cut = by_content(talking((0, 2), (3, 5), (6, 8), until=9), span(0, 9), LIMITS)
    assert len(cut) == 1


def test_a_pause_within_a_sentence_is_left_alone() -> None:
    signals = talking((0, 50), until=50, pauses=(span(20, 20.4),))
    assert by_content(signals, span(0, 50), LIMITS) == (span(0, 50),)


def test_endless_talk_is_cut_in_its_longest_moment_of_quiet() -> None:
    signals = talking((0, 100), until=100, pauses=(span(47, 47.2), span(52, 52.4)))
    assert by_content(signals, span(0, 100), LIMITS) == (span(0, 52.2), span(52.2, 100))


def test_a_shot_that_begins_in_a_pause_draws_the_cut_to_it() -> None:
    spoken = talking((0, 15), (16, 40), until=40)
    signals = Signals(
        shots=(span(0, 15.7), span(15.7, 40)),
        speech=spoken.speech,
        silence=spoken.silence,
        music=(),
        pauses=(),
    )
    assert by_content(signals, span(0, 40), LIMITS) == (span(0, 15.7), span(15.7, 40))


def test_a_shot_that_begins_in_a_word_does_not_cut_it() -> None:
    spoken = talking((0, 40), until=40)
    signals = Signals(
        shots=(span(0, 20), span(20, 40)),
        speech=spoken.speech,
        silence=spoken.silence,
        music=(),
        pauses=(),
    )
    assert by_content(signals, span(0, 40), LIMITS) == (span(0, 40),)


def test_a_video_without_speech_is_cut_by_its_shots() -> None:
    signals = Signals(shots=shots(3, 8), speech=())
    assert lengths(by_content(signals, span(0, 11), LIMITS)) == [3, 8]


def test_with_neither_speech_nor_shots_windows_are_even() -> None:
    assert lengths(by_content(Signals(shots=shots(70)), span(0, 70), LIMITS)) == [30, 30, 10]


@pytest.mark.parametrize(
    "wrong",
    [
        {"shortest": Fraction(0)},
        {"shortest": Fraction(40)},
        {"spoken_shortest": Fraction(31)},
        {"target": Fraction(61)},
    ],
)
def test_limits_that_no_segmentation_can_meet_are_refused(wrong: dict[str, Fraction]) -> None:
    with pytest.raises(ValueError, match=r"segment|target"):
        Limits(**wrong)
