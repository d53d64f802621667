"""A transcript's stretches: every word in one of them, written as it is in the whole."""

import itertools

import pytest

from promptreel_server.domain.segment import Transcript, Word


def transcript(text: str, *words: str) -> Transcript:
    """A word a second."""
    timed = (Word(text=word, start=at, end=at + 0.8) for at, word in enumerate(words))
    return Transcript(text=text, language=None, words=tuple(timed))


@pytest.mark.parametrize(
    ("whole", "first", "second"),
    [
        (
            transcript("He was ill-disposed.", "He", "was", "ill", "-disposed."),
            "He was",
            "ill-disposed.",
        ),
        (transcript("今日は雨です", "今日", "は", "雨", "です"), "今日は", "雨です"),
        (transcript("no no no no", "no", "no", "no", "no"), "no no", "no no"),
    ],
)
def test_a_stretch_is_written_as_in_the_whole(whole: Transcript, first: str, second: str) -> None:
    assert whole.within(0, 2).text == first
    assert whole.within(2, 4).text == second


def test_adjacent_stretches_share_no_word_and_miss_none() -> None:
    whole = transcript("a b c d e", *"abcde")
    edges = [0.0, 0.4, 1.39, 1.4, 3.3, 9.0]
    parts = [whole.within(start, end) for start, end in itertools.pairwise(edges)]
    assert [word for part in parts for word in part.words] == list(whole.words)


def test_a_stretch_without_words_is_empty() -> None:
    assert transcript("a b", "a", "b").within(5, 9) == Transcript(text="", language=None, words=())
    assert transcript("").within(0, 1).text == ""
