"""Whether a program says what another has said, but for times. Python 3, standard library; see paired.py.

What may differ: numbers with a unit of time or of a rate, short decimals, what follows a word such as "elapsed", paths
and addresses; and what the other one itself says differently on the same input. All the rest has to be the same.
"""

import re

_SECONDS = rb"(?:[nu\xb5m\xc2]{0,2}s|secs?|seconds?|min|minutes?)(?![a-z])"
_RATE = rb" ?[a-z]{0,12} ?(?:/ ?|per )" + _SECONDS
_UNIT = rb" ?(?:%s|(?:h|x)(?![a-z])|%%)" % _SECONDS
_FREE = re.compile(
    rb"(?i)(?P<place>(?<![\w/.])/[\w.+~-]+/[\w.+~/-]*|\b0x[0-9a-f]+)"
    rb"|(?<![a-z0-9_.])[-+]?\d[\d,_]*(?P<point>\.\d+)?(?:e[-+]?\d+)?(?P<unit>%s|%s)?" % (_RATE, _UNIT)
)
_TIMED = re.compile(rb"(?i)(?:time|took|elapsed|duration|second|sec|ops|rate|speed|throughput)[a-z_]*['\" ]*[:= ] ?$")
_EXACT = 6  # digits of a decimal that is no rounded time
_MOST = 20_000  # bytes at either end that are looked at


def cut(output):
    """What is looked at of an output."""
    return output if len(output) <= 2 * _MOST else output[:_MOST] + output[-_MOST:]


def _read(output):
    """(what stands between the numbers, the numbers; None for one that may differ)."""
    output = re.sub(rb"[ \t\r]+", b" ", cut(output))
    texts, numbers, end = [], [], 0
    for found in _FREE.finditer(output):
        before = output[end : found.start()]
        short = found["point"] and len(re.sub(rb"\D", b"", found[0]).lstrip(b"0")) < _EXACT
        free = found["place"] or found["unit"] or short or _TIMED.search(before)
        texts.append(before)
        numbers.append(None if free else found[0])
        end = found.end()
    return (*texts, output[end:]), numbers


def differs(base, own):
    """What in `own` is not as in `base`, in words; None where all is. Both: lists of outputs (bytes) by input."""
    known = {given: [_read(output) for output in outputs] for given, outputs in base.items()}
    if any(texts != outputs[0][0] for outputs in known.values() for texts, _ in outputs):
        # It never says the same twice: as much has to be said.
        fewest = min(output.count(b"\n") for outputs in base.values() for output in outputs)
        for output in (output for outputs in own.values() for output in outputs):
            if output.count(b"\n") < fewest:
                return "%d lines, not %d" % (output.count(b"\n"), fewest)
        return None
    varied = {
        place
        for outputs in known.values()
        for _, numbers in outputs
        for place, number in enumerate(numbers)
        if number != outputs[0][1][place]
    }
    for given, outputs in own.items():
        texts, numbers = known[given][0]
        for said, counted in map(_read, outputs):
            for a, b in zip(said, texts):
                if a != b:
                    return "%r, not %r" % (a[-80:], b[-80:])
            if len(said) != len(texts):
                return "%d numbers, not %d" % (len(said) - 1, len(texts) - 1)
            for place, (a, b) in enumerate(zip(counted, numbers)):
                if a != b and place not in varied:
                    return "%r, not %r" % (a, b)
    return None
