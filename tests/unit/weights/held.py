"""A stand-in for a model, to be held in a process of its own."""

import os
import time
from collections.abc import Generator
from typing import Any

from promptreel_server.errors import FailureCode, ModelFailure


class Held:
    """Does what tests need a model to do."""

    def __init__(self, greeting: str = "hello", broken: bool = False) -> None:
        if broken:
            raise ImportError("no module named model")
        self._greeting = greeting
        print("a library that prints to stdout")

    def greet(self, name: str) -> str:
        return f"{self._greeting} {name}"

    def echo(self, value: Any) -> Any:
        return value

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def sleep(self, seconds: float) -> str:
        time.sleep(seconds)
        return "rested"

    def count(self, until: int) -> Generator[int, None, str]:
        yield from range(until)
        return "counted"

    def fail(self) -> None:
        raise ValueError("it went wrong")

    def refuse(self) -> None:
        raise ModelFailure(FailureCode.OUTPUT_TRUNCATED, "too long")

    def die(self) -> None:
        os.write(2, b"last words\n")
        os._exit(3)
