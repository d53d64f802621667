"""Making many segments' fields short enough for one prompt."""

from hypothesis import given
from hypothesis import strategies as st

from promptreel_server.extractors.chat.condensing import batches, condensed, source_lines
from promptreel_server.extractors.extractor import SynthesisSource


def test_each_source_is_a_line_with_its_times() -> None:
    sources = [
        SynthesisSource(segment_id="a", start=0.0, end=5.04, fields={"x": "1", "y": ["p", "q"]}),
        SynthesisSource(segment_id="b", start=5.04, end=9.0, fields={}),
    ]
    assert source_lines(sources) == [
        "[0.0-5.0 s] x: 1; y: p, q",
        "[5.0-9.0 s] nothing extracted",
    ]


@given(st.lists(st.text("ab c", min_size=1, max_size=60), max_size=30), st.integers(5, 80))
def test_batches_keep_every_character_in_order_and_their_bound(lines: list[str], most: int) -> None:
    found = batches(lines, most)
    assert all(len(text) <= most for text in found)
    assert "".join(found).replace("\n", "") == "".join(lines)


async def test_what_fits_is_not_condensed() -> None:
    async def never(text: str) -> str | None:
        raise AssertionError(text)

    assert await condensed(["one", "two"], 100, never) == "one\ntwo"
    assert await condensed([], 100, never) == ""


async def test_what_does_not_fit_is_condensed_in_levels_and_every_line_is_read() -> None:
    read: list[str] = []

    async def halve(text: str) -> str | None:
        read.append(text)
        return text[: len(text) // 2]

    lines = [f"line {number:03d} " + "x" * 40 for number in range(64)]
    found = await condensed(lines, 400, halve)
    assert found is not None
    assert len(found) <= 400
    assert all(any(line in text for text in read) for line in lines)
    assert len(read) > 8


async def test_a_model_that_fails_or_never_gets_shorter_yields_nothing() -> None:
    async def fail(_text: str) -> str | None:
        return None

    async def repeat(text: str) -> str | None:
        return text

    lines = ["x" * 90] * 10
    assert await condensed(lines, 100, fail) is None
    assert await condensed(lines, 100, repeat) is None
