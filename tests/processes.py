"""The processes that tests start, each test's apart from those of others."""

from contextlib import suppress
from pathlib import Path

import psutil


def children_with_open(path: Path) -> list[psutil.Process]:
    """The processes below this one that have a file open; some may end while they are looked at."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any(Path(opened.path) == path for opened in child.open_files()):
                found.append(child)
    return found
