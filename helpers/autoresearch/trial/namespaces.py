"""A private view of the machine for one command, made with Linux namespaces and nothing else.

Called in a forked child, before exec. Three processes take part: the child itself stays outside and hands on the
exit code; its child is PID 1 of a new PID namespace, makes the mounts, gives up all privileges and waits; the
grandchild becomes the command. When PID 1 ends, the kernel ends all that is left inside.
See namespaces(7), mount_namespaces(7), user_namespaces(7) and capabilities(7).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from typing import Callable, Iterable, List, NamedTuple, Optional, Tuple

from autoresearch.trial import processes

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _NOATIME, _NODIRATIME, _BIND, _REC, _PRIVATE, _RELATIME = (
    1, 2, 4, 8, 32, 1024, 2048, 4096, 16384, 1 << 18, 1 << 21,
)  # fmt: skip
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY, _SYS_MOUNT_SETATTR = -100, 0x8000, 1, 442
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
# What root keeps, as in a container: owners and modes of its own files, and (outside a user namespace) perf.
# None of them can undo a mount, make a device or reach another process.
_KEPT = (0, 1, 3, 4, 5, 6, 7, 10, 38)  # CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID BIND PERFMON
_LAST_CAP = 63
# Root may write these by file mode alone, without any capability.
_PROC_READ_ONLY = ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi")
_PROC_MASKED = ("kcore", "keys", "timer_list", "kmsg", "kpagecount", "kpageflags", "vmallocinfo", "slabinfo")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

Bind = Tuple[str, str, bool]  # source, target, writable; the source as seen before any of the mounts


class MachineView(NamedTuple):
    """What the command sees. Paths are real (no links), and applied in this order."""

    first: Tuple[Bind, ...]  # what replaces whole areas, such as /tmp
    hidden: Tuple[str, ...]  # directories that become empty
    binds: Tuple[Bind, ...]
    masked: Tuple[str, ...]  # files that become empty
    overlays: Tuple[Tuple[str, str, str], ...]  # directory, where its changes go, overlayfs's work directory
    devices: Tuple[str, ...]  # nodes and directories below /dev, beside the usual ones
    shm_bytes: int
    user: bool = True  # in a user namespace; False: root that has none
    proc: bool = True  # a /proc of its own; False: the machine's, where containers allow no other


def enter(view: MachineView, network: bool, cwd: str, report: int, pin: Optional[Callable[[], None]] = None) -> None:
    """Return only in the process that is to become the command. What fails is written to fd `report`, and raised."""
    step = "namespaces"
    try:
        _unshare(view, network)
        _fork_relay()
        processes.die_with_parent()
        step = "mounts"
        _call("unshare", _NEWNS)  # only here: the relay keeps the /proc in which it has a number
        _mounts(view)
        if not network:
            step = "loopback"
            _loopback_up()
        step = "directory"
        os.chdir(cwd)
        step = "privileges"
        _drop_privileges(keep=os.geteuid() == 0)
        step = "process"
        _fork_init()
        os.setsid()
        if pin is not None:
            pin()
    except BaseException as exc:
        os.write(report, ("%s: %s" % (step, exc)).encode("utf-8", "replace")[:400])
        raise


# --- processes


def _unshare(view: MachineView, network: bool) -> None:
    flags = _NEWPID | _NEWIPC | _NEWUTS | (0 if network else _NEWNET)
    if not view.user:
        _call("unshare", flags)
        return
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        _call("unshare", flags | _NEWUSER)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", "%d %d 1" % (uid, uid))
        _write("/proc/self/gid_map", "%d %d 1" % (gid, gid))
        return
    # Root keeps all its ids, so that unpacking an archive may set owners; only a process outside may map them.
    maps = [(name, _identity("/proc/self/" + name)) for name in ("uid_map", "gid_map")]
    me = os.getpid()
    ready, go = os.pipe()
    helper = os.fork()
    if helper == 0:
        code = 1
        try:
            os.close(go)  # or it would wait for itself where the kernel refuses (in a chroot, say)
            if os.read(ready, 1):
                for name, text in maps:
                    _write("/proc/%d/%s" % (me, name), text)
                code = 0
        finally:
            os._exit(code)
    try:
        _call("unshare", flags | _NEWUSER)
        os.write(go, b"x")
    finally:
        os.close(go)
        os.close(ready)
        _, status = os.waitpid(helper, 0)
    if status:
        raise OSError("cannot map the user ids")


def _identity(path: str) -> str:
    with open(path, encoding="ascii") as file:
        rows = [line.split() for line in file]
    return "".join("%s %s %s\n" % (inside, inside, count) for inside, _, count in rows)


def _fork_relay() -> None:
    """Fork PID 1 and return in it; stay behind as the process that the caller waits for."""
    child = os.fork()
    if child == 0:
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    processes.die_with_parent()  # unsharing may have taken it back
    _close_all()
    _, status = os.waitpid(child, 0)
    os._exit(_shell_code(status))


def _fork_init() -> None:
    """Fork the command and return in it; stay behind as PID 1, which reaps, and ends all when the command ends."""
    # Not to be traced by what runs inside: it says how the command ended.
    processes.prctl(_PR_SET_DUMPABLE, 0)
    command = os.fork()
    if command == 0:
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # which PID 1 ignores
    _close_all()
    while True:
        pid, status = os.wait()
        if pid == command:
            os._exit(_shell_code(status))


def _shell_code(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _close_all() -> None:
    # Popen waits for the other end of one of these, and a pipe of the command must not stay open here.
    for name in os.listdir("/proc/self/fd"):
        try:
            os.close(int(name))
        except OSError:
            continue  # the listing's own


# --- mounts


def _mounts(view: MachineView) -> None:
    _mount("none", "/", None, _REC | _PRIVATE)
    sources = {bind: os.open(bind[0], os.O_PATH | os.O_CLOEXEC) for bind in (*view.first, *view.binds)}
    layers = {o[0]: tuple(os.open(p, os.O_PATH | os.O_CLOEXEC) for p in o) for o in view.overlays}
    devices = _open_devices(view.devices)
    empty = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
    writable = [_bind(sources[bind], bind) for bind in view.first]
    for path in view.hidden:
        if _place(path, True):
            _mount("tmpfs", path, "tmpfs", _NOSUID | _NODEV, "mode=755,size=1m")
    writable += [_bind(sources[bind], bind) for bind in view.binds]
    for path in view.masked:
        if _place(path, False):
            _mount(_fd_path(empty), path, None, _BIND)
    for path, fds in layers.items():
        if _place(path, True):
            options = "lowerdir=%s,upperdir=%s,workdir=%s" % tuple(map(_fd_path, fds))
            # volatile: nothing to be written to disk at the end, which would take a run's time and more.
            options += ",volatile" + (",userxattr" if view.user else "")
            _mount("overlay", path, "overlay", _NOSUID | _NODEV, options)
            writable.append(path)
    _dev(devices, view.shm_bytes)
    _read_only(["/dev/shm", "/dev/pts", *filter(None, writable)])
    if view.proc:
        _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
        if os.geteuid() == 0:
            _guard_proc(empty)
    opened = (fd for fds in layers.values() for fd in fds)
    for fd in (empty, *sources.values(), *opened, *(fd for _, fd in devices)):
        os.close(fd)


def _bind(fd: int, bind: Bind) -> str:
    """Put a source at its target; returns the target if it is to be writable."""
    _, target, writable = bind
    _place(target, os.path.isdir(_fd_path(fd)), create=True)
    _mount(_fd_path(fd), target, None, _BIND | _REC)
    return target if writable else ""


def _fd_path(fd: int) -> str:
    return "/proc/self/fd/%d" % fd


def _place(path: str, directory: bool, create: bool = False) -> bool:
    """Whether there is something to mount on at `path`; made when asked for."""
    if os.path.isdir(path) if directory else os.path.isfile(path):
        return True
    if not create:
        return False
    os.makedirs(path if directory else os.path.dirname(path), mode=0o755, exist_ok=True)
    if not directory:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    return True


def _open_devices(extra: Iterable[str]) -> List[Tuple[str, int]]:
    found = []
    for path in (*("/dev/" + name for name in _DEVICES), *extra):
        if os.path.exists(path):
            found.append((path, os.open(path, os.O_PATH | os.O_CLOEXEC)))
    return found


def _dev(devices: List[Tuple[str, int]], shm_bytes: int) -> None:
    _mount("tmpfs", "/dev", "tmpfs", _NOSUID, "mode=755,size=1m")
    for path, fd in devices:
        _place(path, os.path.isdir(_fd_path(fd)), create=True)
        _mount(_fd_path(fd), path, None, _BIND | _REC)
    for name, target in (
        ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"),
    ):  # fmt: skip
        os.symlink(target, "/dev/" + name)
    os.mkdir("/dev/shm", 0o1777)
    _mount("tmpfs", "/dev/shm", "tmpfs", _NOSUID | _NODEV, "mode=1777,size=%d" % shm_bytes)
    os.mkdir("/dev/pts", 0o755)
    _mount("devpts", "/dev/pts", "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=620")


def _guard_proc(empty: int) -> None:
    for name in _PROC_READ_ONLY:
        path = "/proc/" + name
        if os.path.exists(path):
            _mount(path, path, None, _BIND | _REC)
            _mount("none", path, None, _BIND | _REMOUNT | _RDONLY | _NOSUID | _NODEV | _NOEXEC)
    for name in _PROC_MASKED:
        if os.path.exists("/proc/" + name):
            _mount(_fd_path(empty), "/proc/" + name, None, _BIND)


def _read_only(but: Iterable[str]) -> None:
    """Make every mount read-only, except those at the given places."""
    try:
        _mount_setattr("/", _MOUNT_ATTR_RDONLY, 0, _AT_RECURSIVE)
        for path in but:
            _mount_setattr(path, 0, _MOUNT_ATTR_RDONLY, 0)
    except OSError:  # Linux before 5.12: one by one
        spared = set(but)
        for path, flags in _mount_points():
            if path not in spared:
                try:
                    _mount("none", path, None, _BIND | _REMOUNT | _RDONLY | flags)
                except PermissionError:
                    if os.access(path, os.F_OK):
                        raise


def _mount_setattr(path: str, put: int, clear: int, flags: int) -> None:
    attributes = struct.pack("QQQQ", put, clear, 0, 0)
    size = ctypes.c_size_t(len(attributes))
    _check(
        _libc().syscall(
            ctypes.c_long(_SYS_MOUNT_SETATTR), ctypes.c_int(_AT_FDCWD), path.encode("utf-8", "surrogateescape"),
            ctypes.c_uint(flags), attributes, size,
        ),
        "mount_setattr " + path,
    )  # fmt: skip


def _mount_points() -> List[Tuple[str, int]]:
    """Every mount with the flags that a remount has to repeat (proc(5), mountinfo)."""
    names = {
        "nosuid": _NOSUID, "nodev": _NODEV, "noexec": _NOEXEC, "noatime": _NOATIME,
        "nodiratime": _NODIRATIME, "relatime": _RELATIME,
    }  # fmt: skip
    found = []
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            fields = line.split()
            path = os.fsdecode(fields[4].decode("unicode_escape").encode("latin-1"))
            flags = 0
            for option in fields[5].decode().split(","):
                flags |= names.get(option, 0)
            found.append((path, flags))
    return found


# --- network, privileges, system calls


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # SIOCSIFFLAGS with IFF_UP and IFF_RUNNING, netdevice(7)
        fcntl.ioctl(probe, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))


def _drop_privileges(keep: bool) -> None:
    kept = _KEPT if keep else ()
    processes.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(_LAST_CAP + 1):
        if number not in kept:
            processes.prctl(_PR_CAPBSET_DROP, number)  # EINVAL beyond the kernel's last
    mask = sum(1 << number for number in kept)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    held = _held()
    low, high = low & held, high & (held >> 32)
    _check(_libc().capset(header, struct.pack("IIIIII", low, low, 0, high, high, 0)), "capset")
    if processes.prctl(_PR_SET_NO_NEW_PRIVS, 1) != 0:
        raise OSError("no_new_privs was refused")


def _held() -> int:
    """The permitted capabilities of this process."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return next((int(line.split()[1], 16) for line in file if line.startswith("CapPrm")), 0)


def _libc() -> ctypes.CDLL:
    if processes.LIBC is None:
        raise OSError("namespaces are Linux only, this is %s" % sys.platform)
    return processes.LIBC


def _call(name: str, *args: int) -> None:
    _check(getattr(_libc(), name)(*args), name)


def _mount(source: str, target: str, kind: Optional[str], flags: int, options: Optional[str] = None) -> None:
    encoded = [None if t is None else t.encode("utf-8", "surrogateescape") for t in (source, target, kind, options)]
    result = _libc().mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    _check(result, "mount %s" % target)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (what, os.strerror(number)))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
