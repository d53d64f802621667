"""Text from a server as a terminal may get it: without control and direction characters.

Titles, names and what models say come from strangers. An escape sequence in them could move the
cursor, rename the window or write a link; a direction character shows a file name backwards.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_DIRECTION = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROL = (*(code for code in range(0x20) if chr(code) not in "\t\n"), *range(0x7F, 0xA0))
_UNSAFE = (*_CONTROL, *_DIRECTION)
_SHOWN = dict.fromkeys(_UNSAFE, "\N{REPLACEMENT CHARACTER}")
_ESCAPED = {code: f"\\u{code:04x}" for code in _UNSAFE}


def safe(text: str) -> str:
    """Put a mark in the place of each character that a terminal would act on."""
    return text.translate(_SHOWN)


def safe_json(text: str) -> str:
    """Escape such characters in JSON, which still says the same."""
    return text.translate(_ESCAPED)


def safe_console(**options: Any) -> "Console":
    """Make a console of rich that shows texts safely; its own styles stay."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class SafeConsole(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                if segment.control:
                    yield segment
                else:
                    yield Segment(safe(segment.text), segment.style)

    return SafeConsole(**options)
