"""Rounds of the program, each paired with a round of a frozen reference. Python 3, standard library; needs os.fork.

A machine runs the same code at two speeds, a factor 1.7 apart, in stretches of 0.03 s to seconds, when another is busy
on the same physical core; and other programs take turns on it. A round of the reference, right before or behind a round
of the program on the same input, meets the same machine: their ratio hardly knows of it. Own time (stopwatch.py)
leaves out the turns of others; the median over the rounds leaves out those that were disturbed all the same.

The reference is the program as it was at the start, copied to evaluator/reference and frozen: the same kind of work. It
is never changed in a session. 30 rounds or more of 1 to 20 ms, 0.2 to 5 s in all; each round on an input of its own.

A Python function, in processes of its own that have nothing of the benchmark's (worker.py):

    from signed_metric import metric
    import paired

    program = paired.Function("project", "src", "work")  # work() of src/project.py
    reference = paired.Function("project", "evaluator/reference/src", "work")
    paired.tell(metric, paired.rounds(program, reference, inputs, seed, check=judge), NOMINAL)

Where its data happen to lie in memory makes a process up to some percent slower or quicker than another of the same
code, for as long as it lives. So both are launched anew all along the run, and one run's luck is the mean of many.

A program of any language, a process a round, with its input on stdin:

    result = paired.commands(["./build/tool"], inputs, seed=1)    # its twin runs in evaluator/reference
    paired.tell(metric, result, NOMINAL)

Or one that stays and answers line by line, so that its start is not timed: `paired.served`, with the same arguments.

NOMINAL is a constant: the seconds that the reference takes for a round here, once measured (`ref_s`). It cancels out in
every comparison and makes the ratio read as seconds.

What would make a number better without better work is seen or counted. Processor time that the program uses between
its rounds, with children that it waits for, is added to its own, and so is what it leaves behind; a process that stays
there ends the benchmark, and so does a reference that was stopped, ended or changed. An answer is plain data, complete
when the clock stops, and is judged when the program has ended. A gain in most rounds with a loss in a few shows in
`time_mean_s`. The reference gets no untimed call to warm its caches: who would cool them has to read
as much memory as they hold, in his own time, and gains less than that costs.
"""

import atexit
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from contextlib import contextmanager, suppress
from math import exp, log
from resource import RUSAGE_CHILDREN, getrusage
from statistics import fmean, median

import worker
from stopwatch import Span, Stopwatch, cpu_seconds_of

_TAKING = 1.25  # the processor time that two processes need for the same input differs by less
_HERE = os.path.dirname(os.path.abspath(__file__))

# What a round calls: the function `name` of the module `source`, with `path` first on its path (see worker.py).
Function = namedtuple("Function", "source path name")

# ratio: median of the rounds' own time, program to reference. mean_ratio: all rounds together.
# reference_s: median of the reference's own time.
# waited: share of the rounds' time in which other programs had the core, 0 to 1; None where nobody knows.
# spread: slow to quick rounds of the reference (90th to 10th percentile of own time per round), 1.0 = one speed.
# own_s, wall_s, cpu_s: of all the program's rounds. reference_cpu_s: of all the reference's.
# memory_mb: the most that a process of the program had; None for a function.
Result = namedtuple("Result", "ratio mean_ratio reference_s waited spread own_s wall_s cpu_s reference_cpu_s memory_mb")


def together(results):
    """One Result of several, each counting alike: geometric means of what is a ratio, sums of what is in seconds."""
    columns = Result(*zip(*results))
    waited = [share for share in columns.waited if share is not None]
    memory = [most for most in columns.memory_mb if most is not None]
    return Result(
        ratio=_geometric(columns.ratio),
        mean_ratio=_geometric(columns.mean_ratio),
        reference_s=sum(columns.reference_s),
        waited=fmean(waited) if waited else None,
        spread=_geometric(columns.spread),
        own_s=sum(columns.own_s),
        wall_s=sum(columns.wall_s),
        cpu_s=sum(columns.cpu_s),
        reference_cpu_s=sum(columns.reference_cpu_s),
        memory_mb=max(memory, default=None),
    )


def _geometric(values):
    return exp(fmean(map(log, values)))


def tell(metric, result, nominal, name="time_s"):
    """Print the value `name`, and beside it what guards it and what the run met, by `metric` of signed_metric.py."""
    metric(name, nominal * result.ratio)
    metric("time_mean_s", nominal * result.mean_ratio)
    metric("time_own_s", result.own_s)
    metric("time_wall_s", result.wall_s)
    metric("time_cpu_s", result.cpu_s)
    metric("ref_s", result.reference_s)
    metric("ref_cpu_s", result.reference_cpu_s)
    metric("own_time", result.waited is not None)  # 0: it is wall time
    if result.waited is not None:
        metric("waited_pct", 100 * result.waited)
    metric("speed_spread", result.spread)
    if result.memory_mb is not None:
        metric("memory_mb", round(result.memory_mb, 3))


class Twin:
    """A process that runs `load()` once and then, whenever it is asked, the function that came of it on an input; or
    what a `Function` names, in a process that has nothing of the benchmark's.

    It is timed from here, by the system's account of it: what it does to clocks of its own does not count. What it
    answers comes back inside the round, as plain data. `others`: twins that were made before, whose pipes this one must
    not hold."""

    def __init__(self, name, load, inputs, others=()):
        self._name, self._inputs, self._function = name, inputs, None
        if isinstance(load, Function):
            self._function, frozen = load.name, name == "reference"
            with _ends_with():
                self._line = worker.Worker(load.source, load.path, frozen=frozen, name=name)
        else:
            self._line = self._forked(load, others)
        self._watch, self._rested = Stopwatch(self._line.pid), None
        self.taking, self.answers = 0.0, []  # processor seconds of taking inputs; (what it answered, an input)

    def _forked(self, load, others):
        orders, answers = os.pipe(), os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                for end in (orders[1], answers[0]):
                    os.close(end)
                for twin in others:
                    twin._line.let_go()
                work, inputs = load(), self._inputs
                worker.serve(orders[0], answers[1], lambda _: lambda number: work(inputs[number]))
                worker.leave()
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:  # nothing of the benchmark may run twice
                os._exit(1)
        os.close(orders[0])
        os.close(answers[1])
        return worker.Line(child, orders[1], answers[0], self._name)

    def turn(self, number):
        """The Span of a round on input `number`, with the processor time since the round before."""
        one, line, given = self._line.pid, self._line, self._inputs[number]
        begun = cpu_seconds_of(one)
        beside = 0.0 if self._rested is None else begun - self._rested
        with _ends_with():
            line.give(self._function or "", given if self._function else number)
            self.taking += cpu_seconds_of(one) - begun
            self._watch.start()
            said = line.run()
            span = self._watch.stop()
        if os.waitpid(one, os.WNOHANG | os.WUNTRACED | os.WCONTINUED) != (0, 0):
            raise SystemExit("paired: somebody stopped the %s: its time is worth nothing" % self._name)
        self.answers.append((said, given))
        self._rested = cpu_seconds_of(one)
        return Span(span.wall, span.cpu + beside, span.own + beside)

    def judge(self, check, others=()):
        """Look at all that it answered; `check(answer, input)`, where there is one, raises. `others`: right ones."""
        with _ends_with():
            for said, given in self.answers:
                answer = worker.plain(said)
                if check is not None:
                    check(answer, given)
            for (said, _), (right, _) in zip(self.answers, others):
                if said != right and worker.plain(said) != worker.plain(right):
                    raise SystemExit("paired: another answer than the reference's")

    def close(self):
        self._watch.close()
        self._line.close()


@contextmanager
def _ends_with():
    """What the program did not do ends the benchmark, with what it says of it."""
    try:
        yield
    except worker.Failed as failed:
        sys.stderr.write(failed.trace)
        raise SystemExit("paired: %s" % failed) from None


def rounds(program, reference, inputs, seed, check=None, launches=10, same=False):
    """Run what `program()` and `reference()` give on every input, in pairs whose order is drawn from `seed`; a Result.

    Each is a `Function`, or gives a function when it is called, in a copy of this process. `check(answer, input)`, when
    both have ended, raises where an answer of the program is wrong; with `same`, the reference has to answer the same.
    `launches`: how often both are started anew; each time the first input is run once before, so that nothing is done
    for the first time in a pair. Fewer where loading takes long, 1 for what gets quicker as it runs."""
    watch, draw, pairs, frozen = _watch(), random.Random(seed), _Pairs(), _files(_HERE)
    adopt_orphans()
    each = -(-len(inputs) // launches)

    def uncompiled():
        # What stands compiled beside the reference, the program may have put there.
        sys.pycache_prefix, sys.dont_write_bytecode = os.path.join(_HERE, "none"), True
        return reference()

    for start in range(0, len(inputs), each):
        made = {}
        for name in draw.sample(("program", "reference"), 2):
            load = program if name == "program" else reference if isinstance(reference, Function) else uncompiled
            made[name] = Twin(name, load, inputs, made.values())
        for twin in made.values():
            twin.turn(0)
        for number in range(start, min(start + each, len(inputs))):
            pairs.add(number, made["program"].turn, made["reference"].turn, draw)
        for twin in made.values():
            twin.close()
        # An input is taken before the clock starts, by both alike: what one does beyond that is work.
        early = max(0.0, made["program"].taking - _TAKING * made["reference"].taking)
        pairs.late(left_behind() + early, number + 1 - start)
        made["program"].judge(check, made["reference"].answers if same else ())
    if _files(_HERE) != frozen:
        raise SystemExit("paired: the program wrote to %s, where the reference is" % _HERE)
    return pairs.result(watch.knows_delay)


def _files(directory):
    """What changes when a file below `directory` is written, made or removed; compiled ones aside."""
    found = states(directory)
    return {path: state for path, state in found.items() if not os.path.isdir(path) and "__pycache__" not in path}


def _watch():
    watch = Stopwatch()
    if not watch.knows_delay:
        print("paired: no /proc/self/schedstat here: own time is wall time, and load shows", file=sys.stderr)
    return watch


class _Pairs:
    """Spans of the program and of the reference, round by round."""

    def __init__(self):
        self._own, self._theirs = [], []

    def add(self, number, program, opponent, draw):
        """A pair on input `number`: both give a Span; which comes first is drawn."""
        first = draw.random() < 0.5
        mine = program(number) if first else None
        self._theirs.append(opponent(number))
        self._own.append(mine or program(number))

    def late(self, seconds, count):
        """Processor time of what the last `count` rounds left behind: the program's, in equal shares."""
        share = seconds / count
        self._own[-count:] = [Span(s.wall, s.cpu + share, s.own + share) for s in self._own[-count:]]

    def result(self, knows_delay):
        own, theirs, spans = [s.own for s in self._own], [s.own for s in self._theirs], self._own + self._theirs
        clock = sum(span.wall for span in spans)
        ranked = sorted(theirs)
        tenth = len(ranked) // 10
        return Result(
            ratio=median(a / b for a, b in zip(own, theirs)),
            mean_ratio=sum(own) / sum(theirs),
            reference_s=median(theirs),
            waited=max(0.0, 1.0 - (sum(own) + sum(theirs)) / clock) if knows_delay else None,
            spread=ranked[-1 - tenth] / ranked[tenth],
            own_s=sum(own),
            wall_s=sum(span.wall for span in self._own),
            cpu_s=sum(span.cpu for span in self._own),
            reference_cpu_s=sum(span.cpu for span in self._theirs),
            memory_mb=None,
        )


def _stands(at):
    if not os.path.isdir(at):
        raise SystemExit("paired: no %s: copy the program as it is now there" % at)


class Server:
    """A program that stays: for each line on stdin it does a round, and prints one line."""

    def __init__(self, words, at, env):
        _stands(at)
        self._words, self._rested = words, None
        self._process = subprocess.Popen(words, cwd=at, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self._watch = Stopwatch(self._process.pid)

    def turn(self, line):
        """(Span, what it printed) of a round on `line`, with the processor time since the round before."""
        one = self._process.pid
        beside = 0.0 if self._rested is None else cpu_seconds_of(one) - self._rested
        self._watch.start()
        with suppress(BrokenPipeError):  # it has ended: nothing is there to read either
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        span = self._watch.stop()
        if not answer.endswith(b"\n") or os.waitpid(one, os.WNOHANG | os.WUNTRACED | os.WCONTINUED) != (0, 0):
            raise SystemExit("paired: %s ended before its time, or was stopped" % " ".join(self._words)[:200])
        self._rested = cpu_seconds_of(one)
        return Span(span.wall, span.cpu + beside, span.own + beside), answer

    def close(self):
        self._watch.close()
        self._process.communicate()


class Command:
    """A program that is started anew for each round: `words`, in the directory `at`; its input comes on stdin."""

    def __init__(self, words, at=".", env=os.environ):
        _stands(at)
        self.words, self.at, self.env, self.errors = words, at, env, b""

    def run(self, given, watch):
        """(Span, what it printed, memory in MB) for the bytes `given`; ends the benchmark where it fails."""
        home = os.open(".", os.O_RDONLY)
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            stdin.write(given)
            stdin.seek(0)
            streams = [(os.POSIX_SPAWN_DUP2, file.fileno(), n) for n, file in enumerate((stdin, stdout, stderr))]
            usual = [signal.SIGPIPE, signal.SIGXFSZ]  # Python ignores them; its children should not

            def spawn():
                return os.posix_spawnp(self.words[0], self.words, self.env, file_actions=streams, setsigdef=usual)

            try:
                os.chdir(self.at)
                span, status, usage = watch.child(spawn)
            finally:
                os.fchdir(home)
                os.close(home)
            if status:
                for file in (stdout, stderr):
                    file.seek(0)
                    sys.stderr.write(file.read()[-4000:].decode("utf-8", "replace"))
                how = "signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "exit %d" % (status >> 8)
                raise SystemExit("paired: %s in %s ended with %s" % (" ".join(self.words)[:200], self.at, how))
            late = left_behind()
            stdout.seek(0)
            stderr.seek(0)
            self.errors = stderr.read()  # what it said beside its answer, the last time
            memory = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
            return Span(span.wall, span.cpu + late, span.own + late), stdout.read(), memory


def commands(command, inputs, seed, check=None, reference="evaluator/reference", same=True):
    """As `rounds`, for a program that is a process a round; `inputs` are bytes for its stdin.

    The same `command` runs in the directory `reference`, where the program is as it was at the start. `check(answer,
    input)` sees what it printed; with `same`, the reference has to print the same, to the letter or, with "alike", but
    for times and what the reference itself says differently (alike.py). All of it once the clock is read."""
    watch, draw, pairs, memory, (mine, theirs) = _watch(), random.Random(seed), _Pairs(), [], environments()
    own, twin = Command(command, ".", mine), Command(command, reference, theirs)
    adopt_orphans()

    def run(given):
        span, answer, most = own.run(given, watch)
        memory.append(most)
        return span, answer

    watched = reference, theirs.get("HOME")
    program, opponent, settle = _judged(run, lambda given: twin.run(given, watch)[:2], inputs, check, watched, same)
    for number in range(len(inputs)):
        pairs.add(number, program, opponent, draw)
    settle()
    return pairs.result(watch.knows_delay)._replace(memory_mb=max(memory))


def served(command, inputs, seed, check=None, reference="evaluator/reference", same=True, launches=5, warm=3):
    """As `commands`, for a program that stays and answers line by line: `inputs` are bytes without line ends.

    `launches` as in `rounds`; each time the first `warm` rounds do not count: a compiler at run time needs some."""
    watch, draw, pairs, (mine, theirs) = _watch(), random.Random(seed), _Pairs(), environments()
    envs, watched = {".": mine, reference: theirs}, (reference, theirs.get("HOME"))
    adopt_orphans()
    each = -(-len(inputs) // launches)
    for start in range(0, len(inputs), each):
        made = {at: Server(command, at, envs[at]) for at in draw.sample((".", reference), 2)}
        turns = made["."].turn, made[reference].turn
        program, opponent, settle = _judged(*turns, inputs, check, watched, same, warm)
        for number in range(start, min(start + each, len(inputs))):
            pairs.add(number, program, opponent, draw)
        for server in made.values():
            server.close()
        settle()
        pairs.late(left_behind(), number + 1 - start)
    return pairs.result(watch.knows_delay)


def environments():
    """(the program's, the reference's): neither knows this run's seed or what signs it. In a trial, where HOME is the
    run's own, the reference has another: what the program leaves there, a start-up file say, is not read by it."""
    worker.forget()
    own = worker.environment()
    if "AUTORESEARCH_PAD" not in own:
        return own, own
    home = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return own, dict(own, HOME=home)


def _judged(run, twin, inputs, check, watched, same, warm=1):
    """The two sides of a pair, by an input's number, once both are warm: what they print is looked at, untimed. And
    what to call after the last pair, when all that they printed is there to be compared."""
    answers, base, own = {}, {}, {}
    at = [path for path in watched if path and path != os.environ.get("HOME")]
    if same == "alike":
        from alike import differs  # now, as the program could put another one there

    def judged(number, answer, heard):
        if same == "alike":
            heard.setdefault(inputs[number], []).append(answer)
        elif same and answers.setdefault(number, answer) != answer:
            raise SystemExit("paired: input %d: another answer than the reference's" % number)

    def program(number):
        frozen = [states(path) for path in at]
        span, answer = run(inputs[number])
        if [states(path) for path in at] != frozen:
            raise SystemExit("paired: the program wrote to %s" % " or ".join(at))
        if check is not None:
            check(answer, inputs[number])
        judged(number, answer, own)
        return span

    def opponent(number):
        span, answer = twin(inputs[number])
        judged(number, answer, base)
        return span

    def settle():
        told = differs(base, own) if same == "alike" else None
        if told:
            raise SystemExit("paired: another answer than the reference's: %s" % told)

    for number in range(min(warm, len(inputs))):
        opponent(number)  # first: what it makes for itself, compiled files say, is its own
        program(number)
    return program, opponent, settle


def states(directory):
    """What changes when anything below `directory` is written, made or removed."""
    found = {}
    for where, _, names in os.walk(directory):
        for path in (where, *(os.path.join(where, name) for name in names)):
            state = os.lstat(path)
            found[path] = (state.st_ino, state.st_mode, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    return found


def adopt_orphans():
    """Whatever the program's processes leave behind becomes ours, where the system can do that (Linux)."""
    with suppress(ImportError, OSError, AttributeError, TypeError):
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def left_behind(most=1.0):
    """Processor seconds of what was left behind, once that has ended; the benchmark ends where it stays."""
    limit, used = time.monotonic() + most, getrusage(RUSAGE_CHILDREN)
    with suppress(ChildProcessError):  # none is left
        while os.waitpid(-1, os.WNOHANG) != (0, 0) or time.monotonic() < limit:
            time.sleep(0.0005)  # lint: allow sleep
        raise SystemExit("paired: the program leaves a process behind: its work is in no account")
    now = getrusage(RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
