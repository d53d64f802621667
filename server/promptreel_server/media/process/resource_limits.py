"""Puts limits on itself, ties its life to its parent's, and becomes another program.

Run as `python -I -S resource_limits.py PARENT CPU_SECONDS ADDRESS_SPACE FILE_BYTES OPEN_FILES
PROGRAM ARG…`.
It imports nothing of the server: its start is paid for by every child.
"""

import ctypes
import os
import resource
import sys

PR_SET_PDEATHSIG = 1
# Numbers, because `import signal` (for its enums) would double what a start costs.
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25
SIG_DFL = None
CANNOT_START = 127


def leash(parent: int, cpu: int, memory: int, file_bytes: int, open_files: int) -> None:
    """Limit this process; it gets SIGKILL as soon as the thread that started it is gone.

    Sizes are bytes, `cpu` is seconds. Exits at once where the parent is gone already: it may have
    died before the kernel was told to watch it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel does not tie this process to its parent")
    if os.getppid() != parent:
        sys.exit(CANNOT_START)
    # Python ignores these two, and a program started by it would go on ignoring them.
    libc.signal(SIGPIPE, SIG_DFL)
    libc.signal(SIGXFSZ, SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def main() -> None:
    """Leash this process and become the program; exit with 127 where it can't be started."""
    parent, cpu, memory, file_bytes, open_files = map(int, sys.argv[1:6])
    program = sys.argv[6:]
    try:
        leash(parent, cpu, memory, file_bytes, open_files)
        os.execv(program[0], program)  # noqa: S606  (no shell is wanted)
    except (OSError, ValueError) as error:
        print(f"{program[0]} can't be started: {error}", file=sys.stderr)
        sys.exit(CANNOT_START)


if __name__ == "__main__":
    main()
