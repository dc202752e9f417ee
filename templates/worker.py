"""Calls a candidate's code in a process of its own, from which plain data alone come back. Python 3, its library.

    from signed_metric import metric
    import worker

    solve = worker.Worker("solve", "src")    # a new process imports the module `solve`, with src/ on its path
    answer = solve.call("solve", data)       # and calls its function `solve`

Timed: start the clock, `said = solve.ask("solve", data)`, stop it: the whole answer is there, and nobody changes it any
more. Then judge `worker.plain(said)`: an answer that nobody looks at need not be right. `paired.rounds` does both.

What comes back is made of int, float, str, bytes, bool, None, list, tuple and dict, exactly these types, or a numpy
array (alone, or in a short list or tuple). An object that computes when it is looked at, or is equal to everything, is
an error (`Failed`), and so is an exception of the program. The program has neither the evaluator's memory nor its
clock, its output or its secrets (`secret`): it holds what it was given. Where the evaluator needs more than a function
(an object that stays), name a file of the evaluator, such as "evaluator/adapter.py": it is run there, as the module.
"""

import fcntl
import marshal
import os
import re
import select
import shutil
import signal
import struct
import sys
import time
from contextlib import suppress

_MOST = 1 << 28  # bytes of one answer
_DEEPEST = 200  # lists within lists
_HERE = os.path.dirname(os.path.abspath(__file__))
with open(__file__, encoding="utf-8") as _file:  # what the worker runs: the last part of this file
    _CHILD = "import marshal, os, select, struct, sys, time\n#" + _file.read().split("\n# ---")[1] + "\nmain()\n"
_OWN = ("AUTORESEARCH_LAYOUT_SEED", "AUTORESEARCH_TOKEN", "AUTORESEARCH_SECRETS")  # the evaluator's alone


class Failed(Exception):
    """The program raised, ended, was late, or gave what is no plain data. `kinds`: the built-in exceptions it was."""

    def __init__(self, text, kinds=(), trace=""):
        super().__init__(text)
        self.kinds, self.trace = tuple(kinds), trace


def secret(path, folder=None):
    """Where this run's copy of a file listed under `evaluator_secret:` is. Read it before the first worker starts: then
    it is gone. `path` as in autoresearch.yaml; without a trial around, by hand say, it is the file itself."""
    folder = folder or os.environ.get("AUTORESEARCH_SECRETS", "")
    return os.path.join(folder, path) if folder else path


def forget():
    """Take away this run's copy of the secrets. A worker does that by itself; call it before you start a program."""
    folder = os.environ.pop("AUTORESEARCH_SECRETS", "")
    if folder:
        shutil.rmtree(folder)


def environment():
    """The variables for a program: all but the evaluator's own."""
    return {name: value for name, value in os.environ.items() if name not in _OWN}


class Line:
    """To a process that serves (`serve`). `limit`: seconds that one order may take."""

    def __init__(self, pid, ask, hear, name="program", limit=None):
        self.pid, self._ask, self._hear, self._name, self._limit = pid, ask, hear, name, limit

    def give(self, name, *given):
        """Hand over what the function `name` is to be called with; `run` calls it."""
        self._order(marshal.dumps((name, wire(given)), 2))

    def run(self):
        """Call what was given; the answer's bytes, for `plain`."""
        return self._order(b"")

    def ask(self, name, *given):
        """Both; the answer's bytes."""
        self.give(name, *given)
        return self.run()

    def call(self, name, *given):
        """What the function `name` answers."""
        return plain(self.ask(name, *given))

    def _order(self, body):
        if not self.pid:
            raise Failed("the %s has ended" % self._name)
        word = os.urandom(8)  # lint: allow random
        with suppress(BrokenPipeError):  # it has ended: nothing is there to read either
            put(self._ask, ORDER.pack(word, len(body)) + body)
        end = None if self._limit is None else time.monotonic() + self._limit
        same, state, size = ANSWER.unpack(self._take(ANSWER.size, end))
        if same != word or size > _MOST:
            raise Failed("the %s ended before its time: it answers what was not asked" % self._name)
        said = self._take(size, end)
        if state == 0:
            return said
        kinds, text, trace = map(str, plain(said))
        raise Failed("the %s ended: %s" % (self._name, text[:300]), kinds.split(), trace)

    def _take(self, size, end):
        said = take(self._hear, size, end)
        if said is None:
            self.kill()
            raise Failed("the %s is late: more than %g s" % (self._name, self._limit))
        if len(said) < size:
            raise Failed("the %s ended before its time" % self._name)
        return said

    def let_go(self):
        """Close this side's ends."""
        os.close(self._ask)
        os.close(self._hear)

    def close(self):
        """Let it end, and wait for it."""
        if self.pid:
            self.let_go()
            os.waitpid(self.pid, 0)
            self.pid = 0

    def kill(self):
        """End it."""
        if self.pid:
            os.kill(self.pid, 9)
            self.close()


class Worker(Line):
    """A new process that imports `source` (a module, or a file that ends in .py) with `paths` first on its path.

    `frozen`: nothing compiled is read or written beside the sources."""

    def __init__(self, source, *paths, frozen=False, name="program", limit=None):
        forget()
        orders, answers = _pipe(), _pipe()
        files = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in (0, 1)]
        files += [(os.POSIX_SPAWN_DUP2, end, n) for n, end in ((3, orders[0]), (4, answers[1]))]
        words, usual = [sys.executable, "-I", "-S", "-c", _CHILD], [signal.SIGPIPE, signal.SIGXFSZ]
        pid = os.posix_spawn(sys.executable, words, environment(), file_actions=files, setsigdef=usual)
        for end in (orders[0], answers[1]):
            os.close(end)
        super().__init__(pid, orders[1], answers[0], name, limit)
        places = [path for path in sys.path if path and os.path.abspath(path) != _HERE]
        try:
            self.call("", source, [os.path.abspath(path) for path in paths], places, frozen)
        except BaseException:
            self.kill()
            raise


def _pipe():
    """Both ends beyond the numbers that a process starts with; large, so that an answer is soon out."""
    ends = os.pipe()
    far = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    with suppress(OSError):
        fcntl.fcntl(far[1], 1031, 1 << 20)  # F_SETPIPE_SZ, on Linux
    return far


def plain(said):
    """What an answer's bytes stand for; `Failed` where they are no plain data. Nothing of the sender's is run by it.

    Reads what marshal writes in version 2, of the types named above and no others; arrays by a mark of their own."""
    try:
        value, at = _value(said, 0, 0)
        if at != len(said):
            raise ValueError("more than one answer")
    except (ValueError, IndexError, TypeError, OverflowError, struct.error) as error:
        raise Failed("no plain data: %s" % str(error)[:200]) from None
    return value


_CONSTANTS = {b"N": None, b"T": True, b"F": False}
_COUNT = struct.Struct("<i")
_FLOAT = struct.Struct("<d")
# Lists of one type, which are most of what is long, are read at once: its letter before each, so many bytes.
_ALIKE = {b"g": (9, "d"), b"i": (5, "i")}


def _value(said, at, depth):
    """(the value that begins at `at`, where it ends)"""
    kind, at = said[at : at + 1], at + 1
    if kind in _CONSTANTS:
        return _CONSTANTS[kind], at
    if kind == b"g":
        return _FLOAT.unpack_from(said, at)[0], at + 8
    if kind == b"{":
        return _pairs(said, at, depth + 1)
    if kind not in (b"i", b"l", b"s", b"u", b"(", b"["):
        raise ValueError("a thing of another type (%r)" % kind)
    (count,), at = _COUNT.unpack_from(said, at), at + 4
    if kind == b"i":
        return count, at
    if kind == b"l":  # digits of 15 bits
        end = at + 2 * abs(count)
        digits = struct.unpack_from("<%dH" % abs(count), said, at)
        whole = int("0" + "".join(format(digit, "015b") for digit in reversed(digits)), 2)
        return -whole if count < 0 else whole, end
    if not 0 <= count <= len(said) - at:
        raise ValueError("longer than what was sent")
    if kind in (b"s", b"u"):
        text = said[at : at + count]
        return text if kind == b"s" else text.decode("utf-8", "surrogatepass"), at + count
    if depth > _DEEPEST:
        raise ValueError("lists within lists within lists")
    if kind == b"(" and said[at : at + 1] == b".":
        return _array(said, at + 1, count)
    first = said[at : at + 1]
    step, letter = _ALIKE.get(first, (0, ""))
    if step and count > 1 and said[at : at + step * count : step] == first * count:
        found = struct.unpack_from("<" + ("x" + letter) * count, said, at)
        return list(found) if kind == b"[" else found, at + step * count
    items = []
    for _ in range(count):
        item, at = _value(said, at, depth + 1)
        items.append(item)
    return items if kind == b"[" else tuple(items), at


def _pairs(said, at, depth):
    if depth > _DEEPEST:
        raise ValueError("dicts within dicts within dicts")
    found = {}
    while said[at : at + 1] != b"0":
        key, at = _value(said, at, depth)
        found[key], at = _value(said, at, depth)
    return found, at + 1


def _array(said, at, count):
    import numpy  # lint: allow setup-inside

    kind, at = _value(said, at, 0)
    shape, at = _value(said, at, 0)
    data, at = _value(said, at, 0)
    if count != 4 or type(kind) is not str or not re.match(r"[<>|=]?[biufc][0-9]{1,2}\Z", kind):
        raise ValueError("an array of another type (%r)" % (kind,))
    return numpy.frombuffer(data, kind).reshape(shape), at


# --- both sides: from here on the worker has it, too

ORDER = struct.Struct("<8sQ")  # a word that only who has got the order can answer with, and the size of what follows
ANSWER = struct.Struct("<8sBQ")  # that word, 0 for an answer or 1 for an exception, and the size of what follows


def put(file, data):
    """Write all of it."""
    sent = os.write(file, data)
    while sent < len(data):
        sent += os.write(file, memoryview(data)[sent : sent + (1 << 20)])


def take(file, size, end=None):
    """So many bytes; fewer where the other side has ended, None where they are not there at `end` (monotonic)."""
    parts = []
    while size:
        if end is not None and not select.select([file], [], [], max(0.0, end - time.monotonic()))[0]:
            return None
        parts.append(os.read(file, min(size, 1 << 20)))
        if not parts[-1]:
            break
        size -= len(parts[-1])
    return b"".join(parts)


def wire(value):
    """The same with arrays as their bytes; other objects are left to marshal, which takes the built-in types alone."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if torch and type(value) is getattr(torch, "Tensor", None):
        value = value.detach().cpu().numpy()
    if numpy and type(value) is getattr(numpy, "ndarray", None):
        return (..., value.dtype.str, value.shape, value.tobytes())
    if (numpy or torch) and type(value) in (list, tuple) and len(value) <= 64:
        return type(value)([wire(item) for item in value])
    return value


def unwire(value):
    """The other way; the arrays may be written to."""
    if type(value) is tuple and value[:1] == (...,):
        import numpy

        return numpy.frombuffer(value[3], value[1]).reshape(value[2]).copy()
    if type(value) in (list, tuple) and len(value) <= 64:
        return type(value)([unwire(item) for item in value])
    return value


def serve(orders, answers, find):
    """The worker: gets what to call and with what, then calls it at the next order and says all of what came of it.

    `find`: the function of a name. Whatever is done here may have been changed by the program: the other side believes
    the bytes alone, and its own clock."""
    dumps, loads = marshal.dumps, marshal.loads
    work = given = None
    while True:
        head = take(orders, ORDER.size)
        if len(head) < ORDER.size:
            return
        word, size = ORDER.unpack(head)
        try:
            if size:
                name, given = loads(take(orders, size))
                work, given, said = find(name), unwire(given), b""
            else:
                said = dumps(wire(work(*given)), 2)
            state = 0
        except BaseException as error:
            import traceback

            kinds = " ".join(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
            text = "%s: %s" % (type(error).__name__, str(error)[:1000])
            said, state = dumps((kinds, text, traceback.format_exc()[-4000:]), 2), 1
        put(answers, ANSWER.pack(word, state, len(said)) + said)


def leave():
    """End without what Python does at its end; what it printed is out, and a pool's workers, which wait, are ended."""
    if "multiprocessing" in sys.modules:
        for other in sys.modules["multiprocessing"].active_children():
            other.terminate()
    sys.stdout.flush()
    os._exit(0)


def main():
    """A worker that has just been started, and gets the program's place by its first order."""
    module = None

    def load(source, paths, usual, frozen):
        nonlocal module
        if frozen:
            sys.pycache_prefix, sys.dont_write_bytecode = os.path.join(os.sep, "none"), True
        sys.path[:] = [*paths, *sys.path, *(path for path in usual if path not in sys.path)]
        if source.endswith(".py"):
            module = type(sys)("adapter")
            with open(source, encoding="utf-8") as file:
                exec(compile(file.read(), source, "exec"), module.__dict__)
        else:
            module = __import__("importlib").import_module(source)

    def find(name):
        found = module if name else load
        for part in name.split(".") if name else ():
            found = getattr(found, part)
        return found

    serve(3, 4, find)
    leave()
