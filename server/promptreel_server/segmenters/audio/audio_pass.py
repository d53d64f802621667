"""What is heard as samples stream by: how loud it is, whether somebody talks, how tonal it is."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.audio.series import Growing, Scale, Series
from promptreel_server.segmenters.audio.voice_activity import SAMPLE_RATE, WINDOW, Samples, Voice

STEP = Fraction(WINDOW, SAMPLE_RATE)
"""Seconds that one window lasts."""
FLOOR = -120.0
"""The level of nothing at all, in decibels below full scale."""
LONGEST_GAP = Fraction(30)
"""Sound may be missing for as long and count as silence; after more, listening begins anew."""
TONE_WINDOWS = 16
"""Windows over which a spectrum is averaged before it is asked for tones: half a second."""
TONE_BANDS = 9
"""Bands over which a spectrum is smoothed to see what stands out of it."""
STEADY = 1e-10
MOST_AT_ONCE = 128 * WINDOW
"""Samples listened to at once: what the network makes of them takes many times their room."""

VOICE = Scale(least=0.0, step=1 / 255)
LEVEL = Scale(least=FLOOR, step=0.5)
TONE = Scale(least=0.0, step=1 / 16)
"""How finely the three are kept."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One stretch of sound, a number a window, from `start` (seconds on the container's clock).

    `voice` is the probability of speech, 0..1. `level` is in decibels below full scale. `tone` is
    how far single bands stand out of the averaged spectrum, in decibels: under 2 for noise.
    """

    start: Fraction
    voice: Series
    level: Series
    tone: Series

    def at(self, window: int) -> Fraction:
        """When a window begins."""
        return self.start + window * STEP

    @property
    def end(self) -> Fraction:
        """When the last window ends."""
        return self.at(len(self.voice))


class Listener:
    """Takes the sound of one medium as it is decoded; keeps three bytes of every 32 ms."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self._stretches: list[Heard] = []
        self._begin(Fraction(0))

    def feed(self, samples: NDArray[np.int16], start: Fraction) -> None:
        """Take samples at SAMPLE_RATE; `start` is when the first is heard, in seconds."""
        if not self._heard_any:
            self._begin(start)
        missing = start - (self._start + Fraction(self._count, SAMPLE_RATE))
        if missing > LONGEST_GAP:
            self._close()
            self._begin(start)
        elif missing * SAMPLE_RATE >= WINDOW:
            self._take(np.zeros(int(missing * SAMPLE_RATE), np.float32))
        elif -missing * SAMPLE_RATE >= WINDOW:
            samples = samples[int(-missing * SAMPLE_RATE) :]
        self._take(samples.astype(np.float32) * np.float32(1 / 32768))

    def finish(self) -> tuple[Heard, ...]:
        """Answer the stretches that were heard, in order; usually there is one."""
        self._close()
        return tuple(self._stretches)

    def _begin(self, start: Fraction) -> None:
        self._start = start
        self._count = 0
        self._heard_any = False
        self._voice = Voice()
        self._rest = np.zeros(0, np.float32)
        self._spectra = np.zeros((0, WINDOW // 2 + 1), np.float32)
        self._voices, self._levels, self._tonality = Growing(VOICE), Growing(LEVEL), Growing(TONE)

    def _take(self, samples: Samples) -> None:
        self._heard_any = True
        self._count += len(samples)
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) // WINDOW * WINDOW
        self._rest = waiting[whole:]
        for first in range(0, whole, MOST_AT_ONCE):
            self._hear(waiting[first : min(first + MOST_AT_ONCE, whole)])

    def _hear(self, samples: Samples) -> None:
        windows = samples.reshape(-1, WINDOW)
        power = np.einsum("ij,ij->i", windows, windows) / WINDOW
        level = np.maximum(10 * np.log10(power + 10 ** (FLOOR / 10)), FLOOR)
        self._voices.add(self._voice.probabilities(samples))
        self._levels.add(level)
        self._tonality.add(self._tones(windows))

    def _tones(self, windows: Samples) -> Samples:
        """How far bands stand out, in the mean over the half second that ends with each window."""
        hann = np.hanning(WINDOW).astype(np.float32)
        spectra = np.abs(np.fft.rfft(windows * hann, axis=1)).astype(np.float32) ** 2
        behind = np.concatenate([self._spectra, spectra])
        self._spectra = behind[-(TONE_WINDOWS - 1) :]
        sums = np.cumsum(np.concatenate([np.zeros_like(behind[:1]), behind]), axis=0, dtype=float)
        ends = np.arange(len(behind) - len(windows), len(behind)) + 1
        means = sums[ends] - sums[np.maximum(ends - TONE_WINDOWS, 0)]
        decibels = 10 * np.log10(means + STEADY)
        smooth = np.cumsum(np.pad(decibels, ((0, 0), (TONE_BANDS, 0))), axis=1)
        smooth = (smooth[:, TONE_BANDS:] - smooth[:, :-TONE_BANDS]) / TONE_BANDS
        half = TONE_BANDS // 2
        result: Samples = (decibels[:, half:-half] - smooth[:, 2 * half :]).std(axis=1)
        return result

    def _close(self) -> None:
        if len(self._rest):
            self._hear(np.pad(self._rest, (0, WINDOW - len(self._rest))))
            self._rest = self._rest[:0]
        voice = self._voices.taken()
        if len(voice):
            level, tone = self._levels.taken(), self._tonality.taken()
            self._stretches.append(Heard(start=self._start, voice=voice, level=level, tone=tone))
