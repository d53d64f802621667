"""How likely somebody talks, every 32 ms: the Silero network, computed with numpy.

The weights are those of Silero VAD v6 at 16 kHz (MIT, see `silero/`), a short-time spectrum, four
convolutions and one LSTM. It is small enough that matrix products take 2 ms a second of sound.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

SAMPLE_RATE = 16000
WINDOW = 512
"""Samples that each probability speaks for."""
OVERLAP = 64
"""Samples before its window that the network hears, too."""
SPECTRUM_SIZE, SPECTRUM_STEP = 256, 128
PADDING = 128
"""Samples mirrored at the end of a window."""
WEIGHTS = Path(__file__).with_name("silero") / "weights.npz"

Samples = NDArray[np.float32]


class Voice:
    """Listens to one medium from its start; keeps what the network remembers of it."""

    def __init__(self) -> None:
        """Begin in silence."""
        self._weights = _weights()
        size = len(self._weights["lstm_hidden"][0])
        self._hidden = np.zeros(size, np.float32)
        self._cell = np.zeros(size, np.float32)
        self._before = np.zeros(OVERLAP, np.float32)

    def probabilities(self, samples: Samples) -> Samples:
        """Answer the probability of speech (0..1) in each WINDOW of samples (-1..1).

        The number of samples must be a multiple of WINDOW; calls follow each other in time.
        """
        if len(samples) == 0:
            return np.zeros(0, np.float32)
        heard = np.concatenate([self._before, samples])
        self._before = heard[-OVERLAP:].copy()
        windows = sliding_window_view(heard, WINDOW + OVERLAP)[::WINDOW]
        features = self._features(_spectra(windows))
        weights = self._weights
        said = np.maximum(self._remembered(features), 0) @ weights["output_weight"]
        probabilities: Samples = _sigmoid(said + weights["output_bias"])
        return probabilities

    def _features(self, spectra: Samples) -> Samples:
        """Convolve spectra (n, 4, 129) down to one vector a window (n, 128)."""
        for layer, step in enumerate((1, 2, 2, 1)):
            padded = np.pad(spectra, ((0, 0), (1, 1), (0, 0)))
            around = sliding_window_view(padded, 3, axis=1)[:, ::step]
            kernel = self._weights[f"conv{layer}_weight"]
            flat = around.reshape(*around.shape[:2], -1) @ kernel.reshape(len(kernel), -1).T
            flat += self._weights[f"conv{layer}_bias"]
            spectra = np.maximum(flat, 0).astype(np.float32)
        return spectra[:, 0]

    def _remembered(self, features: Samples) -> Samples:
        """Run the LSTM over the windows in turn: its outputs (n, 128)."""
        hidden_weight = self._weights["lstm_hidden"].T.copy()
        inputs = features @ self._weights["lstm_input"].T + self._weights["lstm_bias"]
        outputs = np.empty((len(features), len(self._hidden)), np.float32)
        for turn, given in enumerate(inputs):
            gates = given + self._hidden @ hidden_weight
            enter, leave, keep, new = gates.reshape(4, -1)
            self._cell = _sigmoid(keep) * self._cell + _sigmoid(enter) * np.tanh(new)
            self._hidden = _sigmoid(leave) * np.tanh(self._cell)
            outputs[turn] = self._hidden
        return outputs


def _spectra(windows: Samples) -> Samples:
    """The magnitudes (n, 4, 129) of the short-time spectra of windows (n, WINDOW + OVERLAP)."""
    padded = np.pad(windows, ((0, 0), (0, PADDING)), mode="reflect")
    pieces = sliding_window_view(padded, SPECTRUM_SIZE, axis=1)[:, ::SPECTRUM_STEP]
    hann = np.hanning(SPECTRUM_SIZE + 1)[:SPECTRUM_SIZE].astype(np.float32)
    spectra: Samples = np.abs(np.fft.rfft(pieces * hann, axis=2)).astype(np.float32)
    return spectra


def _sigmoid(number: Samples) -> Samples:
    squashed: Samples = (1 / (1 + np.exp(-number))).astype(np.float32)
    return squashed


@cache
def _weights() -> dict[str, Samples]:
    with np.load(WEIGHTS) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}
