"""Rounds of the program, each paired with a round of a frozen reference. Python 3, standard library; needs os.fork.

A machine runs the same code at two speeds, a factor 1.7 apart, in stretches of 0.03 s to seconds, when another is busy
on the same physical core; and other programs take turns on it. A round of the reference, right before or behind a round
of the program on the same input, meets the same machine: their ratio hardly knows of it. Own time (stopwatch.py)
leaves out the turns of others; the median over the rounds leaves out those that were disturbed all the same.

The reference is the program as it was at the start, copied to evaluator/ and frozen: the same kind of work. It is never
changed in a session. 30 rounds or more of 1 to 20 ms, 0.2 to 5 s in all; each round on an input of its own.

    from signed_metric import metric        # this and paired BEFORE anything of the project
    import paired

    def load():                             # runs in the reference's process
        sys.path.insert(0, REFERENCE)
        from project import work
        return work

    reference = paired.Reference(load, inputs)
    from project import work                # only now
    result = paired.rounds(work, reference, seed=1)
    metric("time_s", NOMINAL * result.ratio)

NOMINAL is a constant: the seconds that the reference takes for a round here, once measured (`reference_s`). It cancels
out in every comparison and makes the ratio read as seconds.

A candidate may gain in most rounds and lose as much in a few, which a median does not see: print `mean_ratio` too, and
name it under `constraints:` where that matters. Processor time that the program uses in the reference's turns is added
to its own. A child that it starts and never waits for is in neither: look for one when you review.
"""

import os
import random
import struct
import sys
from collections import namedtuple
from contextlib import suppress
from statistics import median
from time import process_time

from stopwatch import Span, Stopwatch

_ANSWER = struct.Struct("ddd")

# ratio: median of the rounds' own time, program to reference. mean_ratio: all rounds together.
# reference_s: median of the reference's own time.
# waited: share of the rounds' time in which other programs had the core, 0 to 1; None where nobody knows.
# spread: slow to quick rounds of the reference (90th to 10th percentile of own time per round), 1.0 = one speed.
Result = namedtuple("Result", "ratio mean_ratio reference_s waited spread")


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

    def turn(self, number, write=os.write, read=os.read):
        """The Span of the reference on input `number`."""
        with suppress(BrokenPipeError):  # it has ended: nothing is there to read either
            write(self._ask, struct.pack("i", number))
        answer = read(self._hear, _ANSWER.size)
        if len(answer) < _ANSWER.size:
            raise SystemExit("paired: the reference ended before its time")
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
    watch, draw, inputs = Stopwatch(), random.Random(seed), reference.inputs
    if not watch.knows_delay:
        print("paired: no /proc/self/schedstat here: own time is wall time, and load shows", file=sys.stderr)

    def program(number):
        given = inputs[number]
        watch.start()
        answer = work(given)
        span = watch.stop()
        if check is not None:
            check(answer, given)
        return span

    def opponent(number):
        """The reference's Span, and the processor time that this process used meanwhile."""
        used = process_time()
        span = reference.turn(number)
        return span, process_time() - used

    program(0)
    reference.turn(0)
    own, theirs, waited, clock = [], [], 0.0, 0.0
    for number in range(len(inputs)):
        first = draw.random() < 0.5
        mine = program(number) if first else None
        other, beside = opponent(number)
        mine = mine or program(number)
        own.append(mine.own + beside)
        theirs.append(other.own)
        for span in (mine, other):
            waited += span.wall - span.own
            clock += span.wall
    reference.close()
    ranked = sorted(theirs)
    tenth = len(ranked) // 10
    return Result(
        ratio=median(a / b for a, b in zip(own, theirs)),
        mean_ratio=sum(own) / sum(theirs),
        reference_s=median(theirs),
        waited=waited / clock if watch.knows_delay else None,
        spread=ranked[-1 - tenth] / ranked[tenth],
    )
