"""Rounds of the program, each paired with a round of a frozen reference. Python 3, standard library; needs os.fork.

A machine runs the same code at two speeds, a factor 1.7 apart, in stretches of 0.03 s to seconds, when another is busy
on the same physical core; and other programs take turns on it. A round of the reference, right before or behind a round
of the program on the same input, meets the same machine: their ratio hardly knows of it. Own time (stopwatch.py)
leaves out the turns of others; the median over the rounds leaves out those that were disturbed all the same.

The reference is the program as it was at the start, copied to evaluator/reference and frozen: the same kind of work. It
is never changed in a session. 30 rounds or more of 1 to 20 ms, 0.2 to 5 s in all; each round on an input of its own.

A function, with a reference in a process of its own:

    from signed_metric import metric        # this and paired BEFORE anything of the project
    import paired

    def load():                             # runs in the reference's process
        sys.path.insert(0, "evaluator/reference/src")
        from project import work
        return work

    reference = paired.Reference(load, inputs)
    from project import work                # only now
    paired.tell(metric, paired.rounds(work, reference, seed=1), NOMINAL)

A program of any language, a process a round, with its input on stdin:

    result = paired.commands(["./build/tool"], inputs, seed=1)    # its twin runs in evaluator/reference
    paired.tell(metric, result, NOMINAL)

NOMINAL is a constant: the seconds that the reference takes for a round here, once measured (`ref_s`). It cancels out in
every comparison and makes the ratio read as seconds.

What would make a number better without better work is seen or counted. Processor time that the program uses in the
reference's turns, with children that it waits for, is added to its own; a program may leave no process behind its
round; a reference that was stopped, ended or changed ends the benchmark. A gain in most rounds with a loss in a few
shows in `time_mean_s`. The reference gets no untimed call to warm its caches: who would cool them has to read as much
memory as they hold, in his own time, and gains less than that costs. A child that a function starts and never waits for
is in no account here.
"""

import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections import namedtuple
from contextlib import suppress
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

from stopwatch import Span, Stopwatch, cpu_seconds

_ANSWER = struct.Struct("ddd")

# ratio: median of the rounds' own time, program to reference. mean_ratio: all rounds together.
# reference_s: median of the reference's own time.
# waited: share of the rounds' time in which other programs had the core, 0 to 1; None where nobody knows.
# spread: slow to quick rounds of the reference (90th to 10th percentile of own time per round), 1.0 = one speed.
# wall_s, cpu_s: of all the program's rounds. reference_cpu_s: of all the reference's.
Result = namedtuple("Result", "ratio mean_ratio reference_s waited spread wall_s cpu_s reference_cpu_s")


def tell(metric, result, nominal, name="time_s"):
    """Print the value `name`, and beside it what guards it and what the run met, by `metric` of signed_metric.py."""
    metric(name, nominal * result.ratio)
    metric("time_mean_s", nominal * result.mean_ratio)
    metric("time_wall_s", result.wall_s)
    metric("time_cpu_s", result.cpu_s)
    metric("ref_s", result.reference_s)
    metric("ref_cpu_s", result.reference_cpu_s)
    metric("own_time", result.waited is not None)  # 0: it is wall time
    if result.waited is not None:
        metric("waited_pct", 100 * result.waited)
    metric("speed_spread", result.spread)


class Reference:
    """A process that runs `load()` once and then, whenever it is asked, the function that came of it on the next input.

    Make it before the project is imported, or it inherits the candidate. `load` runs in that process only."""

    def __init__(self, load, inputs):
        self.inputs = inputs
        orders, answers = os.pipe(), os.pipe()
        sys.stdout.flush()
        self._child = os.fork()
        if self._child == 0:
            try:
                os.close(orders[1])
                os.close(answers[0])
                _serve(load(), inputs, orders[0], answers[1])
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:  # nothing of the benchmark may run twice
                os._exit(1)
        os.close(orders[0])
        os.close(answers[1])
        self._ask, self._hear = orders[1], answers[0]

    def turn(self, number, write=os.write, read=os.read, look=os.waitpid):
        """The Span of the reference on input `number`."""
        with suppress(BrokenPipeError):  # it has ended: nothing is there to read either
            write(self._ask, struct.pack("i", number))
        answer = read(self._hear, _ANSWER.size)
        if len(answer) < _ANSWER.size:
            raise SystemExit("paired: the reference ended before its time")
        if look(self._child, os.WNOHANG | os.WUNTRACED | os.WCONTINUED) != (0, 0):
            raise SystemExit("paired: somebody stopped the reference: its time is worth nothing")
        return Span(*_ANSWER.unpack(answer))

    def close(self):
        os.close(self._ask)
        os.waitpid(self._child, 0)


def _serve(work, inputs, orders, answers):
    watch = Stopwatch()
    while True:
        order = os.read(orders, 4)
        if not order:
            os._exit(0)
        given = inputs[struct.unpack("i", order)[0]]
        watch.start()
        work(given)
        os.write(answers, _ANSWER.pack(*watch.stop()))


def rounds(work, reference, seed, check=None):
    """Run `work` on every input of the reference, in pairs whose order is drawn from `seed`; a Result.

    `check(answer, input)`, untimed, raises where an answer is wrong. The first input is run once more before, so that
    nothing is done for the first time in a pair."""
    watch, inputs = _watch(), reference.inputs

    def program(number):
        given = inputs[number]
        watch.start()
        answer = work(given)
        span = watch.stop()
        if check is not None:
            check(answer, given)
        return span

    def opponent(number):
        used = cpu_seconds()
        span = reference.turn(number)
        return span, cpu_seconds() - used

    program(0)
    reference.turn(0)
    result = _pairs(len(inputs), program, opponent, seed, watch.knows_delay)
    reference.close()
    return result


def _watch():
    watch = Stopwatch()
    if not watch.knows_delay:
        print("paired: no /proc/self/schedstat here: own time is wall time, and load shows", file=sys.stderr)
    return watch


def _pairs(count, program, opponent, seed, knows_delay):
    """The Result of `count` pairs: `program` gives a Span, `opponent` one and what the program used meanwhile."""
    draw, own, theirs, waited, clock, wall, cpu, cpu_there = random.Random(seed), [], [], 0.0, 0.0, 0.0, 0.0, 0.0
    for number in range(count):
        first = draw.random() < 0.5
        mine = program(number) if first else None
        other, beside = opponent(number)
        mine = mine or program(number)
        own.append(mine.own + beside)
        theirs.append(other.own)
        wall, cpu, cpu_there = wall + mine.wall, cpu + mine.cpu + beside, cpu_there + other.cpu
        for span in (mine, other):
            waited += span.wall - span.own
            clock += span.wall
    ranked = sorted(theirs)
    tenth = len(ranked) // 10
    return Result(
        ratio=median(a / b for a, b in zip(own, theirs)),
        mean_ratio=sum(own) / sum(theirs),
        reference_s=median(theirs),
        waited=waited / clock if knows_delay else None,
        spread=ranked[-1 - tenth] / ranked[tenth],
        wall_s=wall,
        cpu_s=cpu,
        reference_cpu_s=cpu_there,
    )


class Command:
    """A program that is started anew for each round: `words`, in the directory `at`; its input comes on stdin."""

    def __init__(self, words, at="."):
        self.words, self.at = words, at

    def run(self, given, watch):
        """(Span, what it printed) for the bytes `given`; the benchmark ends where it fails or leaves a process."""
        home = os.open(".", os.O_RDONLY)
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            stdin.write(given)
            stdin.seek(0)
            streams = [(os.POSIX_SPAWN_DUP2, file.fileno(), n) for n, file in enumerate((stdin, stdout, stderr))]
            usual = [signal.SIGPIPE, signal.SIGXFSZ]  # Python ignores them; its children should not

            def spawn():
                return os.posix_spawnp(self.words[0], self.words, os.environ, file_actions=streams, setsigdef=usual)

            try:
                os.chdir(self.at)
                span, status, _ = watch.child(spawn)
            finally:
                os.fchdir(home)
                os.close(home)
            if status:
                stderr.seek(0)
                sys.stderr.write(stderr.read()[-4000:].decode("utf-8", "replace"))
                how = "signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "exit %d" % (status >> 8)
                raise SystemExit("paired: %s in %s ended with %s" % (" ".join(self.words)[:200], self.at, how))
            late = _left_behind()
            stdout.seek(0)
            return Span(span.wall, span.cpu + late, span.own + late), stdout.read()


def commands(command, inputs, seed, check=None, reference="evaluator/reference", same=True):
    """As `rounds`, for a program that is a process a round; `inputs` are bytes for its stdin.

    The same `command` runs in the directory `reference`, where the program is as it was at the start. `check(answer,
    input)` sees what it printed; with `same`, the reference has to print the same. All of it once the clock is read."""
    watch, answers = _watch(), {}
    own, twin = Command(command), Command(command, reference)
    _adopt_orphans()

    def judged(number, answer):
        if same and answers.setdefault(number, answer) != answer:
            raise SystemExit("paired: input %d: another answer than the reference's" % number)

    def program(number):
        frozen = _states(reference)
        span, answer = own.run(inputs[number], watch)
        if _states(reference) != frozen:
            raise SystemExit("paired: the program wrote to %s" % reference)
        if check is not None:
            check(answer, inputs[number])
        judged(number, answer)
        return span

    def opponent(number):
        span, answer = twin.run(inputs[number], watch)
        judged(number, answer)
        return span, 0.0

    opponent(0)  # first: what it makes for itself, compiled files say, is its own
    program(0)
    return _pairs(len(inputs), program, opponent, seed, watch.knows_delay)


def _states(directory):
    """What changes when anything below `directory` is written, made or removed."""
    found = {}
    for where, _, names in os.walk(directory):
        for path in (where, *(os.path.join(where, name) for name in names)):
            state = os.lstat(path)
            found[path] = (state.st_ino, state.st_mode, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    return found


def _adopt_orphans():
    """Whatever the program's processes leave behind becomes ours, where the system can do that (Linux)."""
    with suppress(ImportError, OSError, AttributeError, TypeError):
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _left_behind(most=1.0):
    """Processor seconds of what a round left behind, once that has ended; the benchmark ends where it stays."""
    limit, used = time.monotonic() + most, getrusage(RUSAGE_CHILDREN)
    with suppress(ChildProcessError):  # none is left
        while os.waitpid(-1, os.WNOHANG) != (0, 0) or time.monotonic() < limit:
            time.sleep(0.0005)
        raise SystemExit("paired: the program leaves a process behind its round: its work is in no account")
    now = getrusage(RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
