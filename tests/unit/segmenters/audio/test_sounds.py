"""What is speech, music, noise and silence, and where sentences end."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from promptreel_server.segmenters.audio.audio_pass import LEVEL, STEP, TONE, VOICE, Heard, Listener
from promptreel_server.segmenters.audio.events import sounds
from promptreel_server.segmenters.audio.series import Series
from promptreel_server.segmenters.audio.speech import talk
from promptreel_server.segmenters.audio.voice_activity import SAMPLE_RATE, WINDOW, Voice

Samples = NDArray[np.int16]


def noise(seconds: float, level: float) -> Samples:
    chance = np.random.default_rng(3)
    loud = 32768 * 10 ** (level / 20)
    return chance.normal(0, loud, round(seconds * SAMPLE_RATE)).astype(np.int16)


def chord(seconds: float) -> Samples:
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * pitch * at) for pitch in (262, 330, 392, 1048, 2096))
    return (1500 * np.asarray(tones)).astype(np.int16)


def loud_chord(windows: int) -> NDArray[np.float32]:
    samples = (noise(4, -28) + chord(4))[: windows * WINDOW].astype(np.float32)
    return samples * np.float32(1 / 32768)


def heard(*parts: Samples, start: Fraction = Fraction(0), piece: int = 9_999) -> Heard:
    samples = np.concatenate(parts)
    listener = Listener()
    for first in range(0, len(samples), piece):
        at = start + Fraction(first, SAMPLE_RATE)
        listener.feed(samples[first : first + piece], at)
    (stretch,) = listener.finish()
    return stretch


def spoken(*runs: tuple[float, float], until: float, voice: float = 0.99) -> Heard:
    """What would be heard of talk in these seconds: loud, with silence in between."""
    count = round(until / float(STEP))
    probability = np.full(count, 0.02, np.float16)
    level = np.full(count, -75, np.float16)
    for start, end in runs:
        windows = slice(round(start / float(STEP)), round(end / float(STEP)))
        probability[windows], level[windows] = voice, -25
    return Heard(
        start=Fraction(0),
        voice=Series.of(VOICE, probability),
        level=Series.of(LEVEL, level),
        tone=Series.of(TONE, np.full(count, 1, np.float16)),
    )


def sentences(stretch: Heard) -> list[tuple[float, float]]:
    found = talk(stretch).sentences
    return [(round(float(stretch.at(a)), 1), round(float(stretch.at(b)), 1)) for a, b in found]


@pytest.mark.parametrize("sound", [noise(4, -30), noise(4, -60), chord(4), noise(4, -120)])
def test_noise_music_and_silence_are_no_speech(sound: Samples) -> None:
    assert sounds([heard(sound)]).speech == ()


def test_music_noise_and_silence_are_told_apart() -> None:
    told = sounds([heard(chord(4), noise(4, -30), noise(4, -120))])
    (music,), (silence,) = told.music, told.silence
    assert float(music.start) == 0
    assert float(music.end) == pytest.approx(4, abs=0.6)
    assert float(silence.start) == pytest.approx(8, abs=0.3)


def test_what_is_heard_does_not_depend_on_how_it_arrives() -> None:
    parts = (chord(3), noise(2, -30))
    one, other = heard(*parts, piece=333), heard(*parts, piece=50_000)
    np.testing.assert_allclose(one.voice[:], other.voice[:], atol=VOICE.step * 1.01)
    np.testing.assert_allclose(one.tone[:], other.tone[:], atol=TONE.step * 1.01)


def test_sound_is_placed_on_the_clock_of_the_container() -> None:
    late = heard(chord(2), start=Fraction(7, 2))
    assert late.start == Fraction(7, 2)
    assert float(late.end) == pytest.approx(5.5, abs=0.04)


def test_sound_that_is_missing_for_a_moment_counts_as_silence() -> None:
    listener = Listener()
    listener.feed(chord(2), Fraction(0))
    listener.feed(chord(2), Fraction(5))
    (stretch,) = listener.finish()
    assert float(stretch.end) == pytest.approx(7, abs=0.04)
    silent = round(3.5 / float(STEP))
    assert stretch.level[silent : silent + 1].max() < -100


def test_after_a_long_gap_listening_begins_anew() -> None:
    listener = Listener()
    listener.feed(chord(2), Fraction(0))
    listener.feed(chord(2), Fraction(1_000_000))
    assert [float(stretch.start) for stretch in listener.finish()] == [0, 1_000_000]


def test_a_short_pause_stays_within_a_sentence_and_a_longer_one_ends_it() -> None:
    assert sentences(spoken((1, 4), (4.3, 7), (7.7, 12), until=13)) == [(1, 7), (7.7, 12)]


def test_a_speaker_who_pauses_for_effect_is_not_cut() -> None:
    slow = spoken((1, 3), (4.1, 4.6), (4.9, 5.2), (6.3, 8.4), (9, 11.2), until=14)
    assert sentences(slow) == [(1, 11.2)]


def test_a_silence_of_two_seconds_ends_any_sentence() -> None:
    assert sentences(spoken((1, 3), (5, 5.6), (7.6, 9), until=10)) == [(1, 3), (5, 5.6), (7.6, 9)]


def test_an_instrument_that_sounds_like_a_voice_for_a_moment_is_no_speech() -> None:
    stretch = spoken((3, 3.2), until=8, voice=0.8)
    loud = Heard(
        start=stretch.start,
        voice=stretch.voice,
        level=Series.of(LEVEL, np.full(len(stretch.level), -24.0)),
        tone=stretch.tone,
    )
    assert sentences(loud) == []
    assert sentences(stretch) == [(3, 3.2)]


def test_the_network_answers_the_same_in_pieces_as_at_once() -> None:
    samples = loud_chord(90)
    at_once = Voice().probabilities(samples)
    piecewise = Voice()
    pieces = [
        piecewise.probabilities(samples[first : first + 7 * WINDOW])
        for first in range(0, len(samples), 7 * WINDOW)
    ]
    np.testing.assert_allclose(np.concatenate(pieces), at_once, atol=1e-5)


def test_the_network_agrees_with_the_original() -> None:
    vad = pytest.importorskip("faster_whisper.vad", reason="the original comes with [local]")
    samples = loud_chord(120)
    original = vad.get_vad_model()(samples.copy()).ravel()
    np.testing.assert_allclose(Voice().probabilities(samples), original, atol=0.02)
