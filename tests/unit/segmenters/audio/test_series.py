"""Numbers that are kept as a byte each."""

import numpy as np
import pytest

from promptreel_server.segmenters.audio.series import Growing, Scale, Series

DECIBELS = Scale(least=-120.0, step=0.5)


def test_a_series_keeps_numbers_to_within_half_a_step() -> None:
    numbers = np.linspace(-120, 7, 1000)
    kept = Series.of(DECIBELS, numbers)
    assert len(kept) == 1000
    assert np.abs(kept[:] - numbers).max() <= 0.25 + 1e-5


@pytest.mark.parametrize(("beyond", "end"), [(-300.0, -120.0), (50.0, 7.5)])
def test_what_is_beyond_the_scale_is_put_at_its_end(beyond: float, end: float) -> None:
    assert Series.of(DECIBELS, np.array([beyond]))[:].tolist() == [end]


def test_a_series_that_grew_in_pieces_is_whole_and_begins_anew() -> None:
    numbers = np.arange(-120, -20, 0.001)
    growing = Growing(DECIBELS)
    for piece in np.array_split(numbers, 77):
        growing.add(piece)
    whole = growing.taken()
    assert np.array_equal(whole[:], Series.of(DECIBELS, numbers)[:])
    assert len(growing.taken()) == 0
