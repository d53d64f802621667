"""Puts limits on itself, ties its life to its parent's, and becomes another program.

Run as `python -I -S resource_limits.py PARENT CPU_SECONDS ADDRESS_SPACE FILE_BYTES OPEN_FILES CAGED
PROGRAM ARG…`; CAGED is 1 for a program that reads what strangers send, else 0.
It imports nothing of the server: its start is paid for by every child.

A caged program gets what it reads and writes as open descriptors. Landlock lets it open nothing but
itself and libraries, execute nothing but itself, connect nowhere and signal nobody outside; seccomp
refuses sockets, new processes, tracing and whatever reaches into other processes or the kernel's
rarer parts. No privilege is needed. Where the kernel lacks one of them, the rest holds.
"""

import ctypes
import os
import resource
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
# Numbers, because `import signal` (for its enums) would double what a start costs.
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25
SIG_DFL = None
CANNOT_START = 127
EPERM, ENOSYS = 1, 38

LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
FILE_RIGHTS_BY_ABI = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
ALL_FILE_RIGHTS = 0xFFFF
ALL_NET_RIGHTS, ALL_SCOPES = 0x3, 0x3
DIRECTORY, REGULAR = 0o040000, 0o100000
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/dev/urandom")
LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")

RET_KILL, RET_ERRNO, RET_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
CLONE_THREAD = 0x10000
X32 = 0x40000000
ARCHITECTURES = {
    # AUDIT_ARCH, clone and clone3, and what is refused. In order: fork, vfork (where there are
    # such), socket, connect, accept, sendto, bind, listen, socketpair, accept4, kill, tkill,
    # ptrace, process_vm_readv and _writev, mount, umount2, pivot_root, chroot, unshare, setns,
    # keyctl, add_key, request_key, bpf, perf_event_open, userfaultfd.
    "x86_64": (
        0xC000003E,
        (56, 435),
        "57 58 41 42 43 44 49 50 53 288 62 200 101 310 311 165 166 155 161 272 308 250 248 249 "
        "321 298 323",
    ),
    "aarch64": (
        0xC00000B7,
        (220, 435),
        "198 203 202 206 200 201 199 242 129 130 117 270 271 40 39 41 51 97 268 219 217 218 280 "
        "241 282",
    ),
}
IO_URING = (425, 426, 427)
"""The same everywhere."""


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


def landlock_version() -> int:
    """Answer the version of Landlock that the kernel has; 0: none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)))


def confine_files(program: str) -> bool:
    """Let this process open and execute nothing but a program and what it is linked with.

    Answers whether the kernel can. Descriptors that are open stay usable.
    """
    version = landlock_version()
    if not version:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    rights = FILE_RIGHTS_BY_ABI.get(version, ALL_FILE_RIGHTS)
    words = [rights]
    words += [ALL_NET_RIGHTS] if version >= 4 else []
    words += [ALL_SCOPES] if version >= 6 else []
    attributes = (ctypes.c_uint64 * len(words))(*words)
    ruleset = libc.syscall(
        LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(ctypes.sizeof(attributes)), 0
    )
    if ruleset < 0:
        return False
    allowed = dict.fromkeys(LIBRARIES, READ_FILE | READ_DIR)
    allowed |= {"/dev/null": READ_FILE | WRITE_FILE}
    allowed |= dict.fromkeys((*LOADERS, program), READ_FILE | EXECUTE)
    allowed |= {program.rpartition("/")[0] or "/": READ_FILE | READ_DIR}
    for path, access in allowed.items():
        _allow(libc, ruleset, path, access)
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208  (pathlib takes long to load)
        _allow_given(libc, ruleset, int(descriptor))
    taken: int = libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return taken == 0


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # this machine has none
    if not _is(descriptor, DIRECTORY):
        access &= ~READ_DIR
    _add(libc, ruleset, descriptor, access)
    os.close(descriptor)


def _allow_given(libc: ctypes.CDLL, ruleset: int, descriptor: int) -> None:
    """Let a program open by name again the files that it is given: an old ffmpeg has to."""
    try:
        if descriptor > 2 and _is(descriptor, REGULAR):
            _add(libc, ruleset, descriptor, READ_FILE)
    except OSError:
        return  # the one that the list was read by


def _is(descriptor: int, kind: int) -> bool:
    return os.fstat(descriptor).st_mode & 0o170000 == kind


def _add(libc: ctypes.CDLL, ruleset: int, descriptor: int, access: int) -> None:
    rule = access.to_bytes(8, sys.byteorder) + descriptor.to_bytes(4, sys.byteorder)
    libc.syscall(LANDLOCK_ADD_RULE, ruleset, 1, rule, 0)


def refuse_calls() -> bool:
    """Refuse system calls that no decoder needs; answers whether the kernel can."""
    known = ARCHITECTURES.get(os.uname().machine)
    if known is None:
        return False
    architecture, (clone, clone3), refused = known
    code = [
        (LOAD, 0, 0, 4),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, RET_KILL),
        (LOAD, 0, 0, 0),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, RET_ERRNO | EPERM),
    ]
    for number in (*map(int, refused.split()), *IO_URING):
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, RET_ERRNO | EPERM)]
    # Its flags are out of a filter's reach: the C library then makes threads by clone.
    code += [(EQUAL, 0, 1, clone3), (RETURN, 0, 0, RET_ERRNO | ENOSYS)]
    code += [
        (EQUAL, 0, 3, clone),
        (LOAD, 0, 0, 16),
        (ANY_BIT, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, RET_ERRNO | EPERM),
        (RETURN, 0, 0, RET_ALLOW),
    ]
    program = b"".join(
        op.to_bytes(2, sys.byteorder) + bytes((yes, no)) + value.to_bytes(4, sys.byteorder)
        for op, yes, no, value in code
    )
    held = ctypes.create_string_buffer(program)
    filter_program = (ctypes.c_uint64 * 2)(len(code), ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    done: int = libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_program), 0, 0)
    return done == 0


def cage(program: str) -> bool:
    """Confine this process to what a decoder needs; answers whether the kernel could all of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    confined = confine_files(program)
    return refuse_calls() and confined


def main() -> None:
    """Leash this process and become the program; exit with 127 where it can't be started."""
    parent, cpu, memory, file_bytes, open_files, caged = map(int, sys.argv[1:7])
    program = sys.argv[7:]
    try:
        leash(parent, cpu, memory, file_bytes, open_files)
        if caged:
            cage(program[0])
        os.execv(program[0], program)  # noqa: S606  (no shell is wanted)
    except (OSError, ValueError) as error:
        print(f"{program[0]} can't be started: {error}", file=sys.stderr)
        sys.exit(CANNOT_START)


if __name__ == "__main__":
    main()
