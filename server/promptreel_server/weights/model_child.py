"""The inside of a model process: answers calls, one at a time, until its pipe ends.

Run as `python -m promptreel_server.weights.model_child MODULE:CLASS PARENT NICENESS`. Messages are
pickles with their length before them; they come from and go to the server that started this.
"""

import ctypes
import importlib
import os
import pickle
import signal
import struct
import sys
from collections.abc import Generator
from typing import IO, Any

from promptreel_server.errors import OperationFailure

LENGTH = struct.Struct(">Q")
_PR_SET_PDEATHSIG = 1


def packed(message: object) -> bytes:
    """A message as it goes through the pipe."""
    body = pickle.dumps(message, protocol=5)
    return LENGTH.pack(len(body)) + body


def main() -> None:
    """Build the model and serve it."""
    entry, parent, niceness = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _tie_to(parent)
    os.nice(niceness)
    calls, replies = _own_pipe()
    options = _read(calls)
    module, _, name = entry.partition(":")
    try:
        model = getattr(importlib.import_module(module), name)(**options)
    except Exception as error:  # noqa: BLE001  # whatever it is, the server must hear of it
        _write(replies, _failure(error))
        return
    _write(replies, ("done", None))
    try:
        while True:
            method, arguments = _read(calls)
            _answer(getattr(model, method), arguments, replies)
    except (EOFError, BrokenPipeError):
        return


def _answer(method: Any, arguments: tuple[Any, ...], replies: IO[bytes]) -> None:
    try:
        found = method(*arguments)
        if isinstance(found, Generator):
            found = _follow(found, replies)
        reply: tuple[Any, ...] = ("done", found)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  # a failed call must not end the others
        reply = _failure(error)
    _write(replies, reply)


def _follow(steps: Generator[Any, None, Any], replies: IO[bytes]) -> Any:
    while True:
        try:
            _write(replies, ("progress", next(steps)))
        except StopIteration as end:
            return end.value


def _failure(error: Exception) -> tuple[str, str | None, str]:
    if isinstance(error, OperationFailure):
        return ("failed", error.failure_code.value, error.message)
    return ("failed", None, f"{type(error).__name__}: {error}")


def _tie_to(parent: int) -> None:
    """Die with the server, even by SIGKILL; a Ctrl-C at the terminal is for the server alone."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the server is gone")


def _own_pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Keep stdin and stdout for messages; what a library prints goes to stderr."""
    calls, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return calls, replies


def _read(calls: IO[bytes]) -> Any:
    head = calls.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return pickle.loads(calls.read(LENGTH.unpack(head)[0]))  # noqa: S301  # the server wrote it


def _write(replies: IO[bytes], message: object) -> None:
    replies.write(packed(message))
    replies.flush()


if __name__ == "__main__":
    main()
