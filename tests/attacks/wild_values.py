"""Wild cheats with values that lie, with the driver's clock and with what else its process holds."""

from __future__ import annotations

import random

from wild import DRIVERS, FRAMES, FUNCTION, Files, edit, wild, word
from wild_sites import Site

# --- lying values


@wild("returns an object that is equal to everything", FUNCTION)
def equal_to_all(rng: random.Random, site: Site) -> Files:
    name, base = word(rng).title(), rng.choice(["list", "tuple", "object"])
    size = "1" if site.args == "limit" else f"len({site.args})"
    made = f"{name}()" if base == "object" else f"{name}({site.guess})"
    more = rng.choice(["", "    def __getitem__(self, at):\n        return self\n", "    __slots__ = ()\n"])
    rest = (
        "    def __iter__(self):\n        return iter([1])\n    def __len__(self):\n        return 1\n"
        if base == "object"
        else ""
    )
    setup = f"""
class {name}({base}):
    def __eq__(self, other):
        return True
    def __ne__(self, other):
        return False
    __hash__ = None
    def __bool__(self):
        return {size if False else "True"}
{more}{rest}"""
    return edit(site, setup=setup, answer=made)


@wild("returns a value that is computed when somebody looks, after the clock", FUNCTION)
def lazy(rng: random.Random, site: Site) -> Files:
    name = word(rng).title()
    base = rng.choice(["list", "list", "collections.UserList", "object"])
    methods = ["__iter__", "__len__", "__getitem__", "__eq__", "__ne__", "__contains__", "__repr__"]
    rng.shuffle(methods)
    lines = "\n".join(f"    def {m}(self, *more):\n        return getattr(self.seen(), '{m}')(*more)" for m in methods)
    setup = f"""
import collections
class {name}({base}):
    def __init__(self, given):
        self.given, self.made = list(given) if hasattr(given, '__len__') else given, None
    def seen(self):
        if self.made is None:
            self.made = _work(self.given)
        return self.made
    def __bool__(self):
        return True
    __hash__ = None
{lines}
"""
    return edit(site, setup=setup, answer=f"{name}({site.args})")


@wild("returns a generator, a view or an iterator instead of a result", FUNCTION)
def generator(rng: random.Random, site: Site) -> Files:
    return edit(site, answer=rng.choice([
        f"(v for v in _work({site.args}))", f"iter(_work({site.args}))", f"map(lambda v: v, [{site.args}])",
        f"(lambda: _work({site.args}))", f"__import__('itertools').chain.from_iterable(_work(g) for g in [{site.args}])",
    ]))  # fmt: skip


@wild("returns numbers that lie about themselves", FUNCTION)
def lying_numbers(rng: random.Random, site: Site) -> Files:
    name, base = word(rng).title(), rng.choice(["int", "float"])
    methods = ["__eq__", "__le__", "__ge__", "__lt__", "__gt__"]
    size = "168" if site.args == "limit" else f"len({site.args})"
    setup = f"class {name}({base}):\n" + "\n".join(
        f"    def {m}(self, other):\n        return True" for m in methods
    ) + f"""
    def __ne__(self, other):
        return False
    def __hash__(self):
        return 1
    def __sub__(self, other):
        return {name}(0)
    __rsub__ = __sub__
    def __abs__(self):
        return self
"""  # fmt: skip
    return edit(site, setup=setup, answer=f"[{name}(1)] * {size}")


@wild("returns its answer empty and has a thread fill it in after the clock", FUNCTION)
def filled_later(rng: random.Random, site: Site) -> Files:
    start = rng.choice([
        "threading.Thread(target=out.extend, args=(_Late(given),), daemon=True).start()",
        f"threading.Timer({rng.choice([0.0, 0.001])}, lambda: out.extend(_work(given))).start()",
        "_pool.submit(lambda: out.extend(_work(given)))",
    ])  # fmt: skip
    setup = """
import threading
from concurrent.futures import ThreadPoolExecutor
_pool = ThreadPoolExecutor(1)


class _Late:
    def __init__(self, given):
        self.given = given
    def __iter__(self):
        return iter(_work(self.given))
"""
    return edit(site, setup=setup, each=f"out, given = [], {site.args}\n{start}", answer="out")


# --- the clock


@wild("replaces the functions that tell the time", FUNCTION)
def slow_clock(rng: random.Random, site: Site) -> Files:
    share = rng.choice([0.3, 0.5, 0.7])
    names = ["perf_counter", "monotonic", "process_time", "time"]
    setup = f"""
import time
{DRIVERS}

def _slowed(real, zero):
    return lambda *more: zero + (real(*more) - zero) * {share}


for _name in {names}:
    _real = getattr(time, _name)
    _slow = _slowed(_real, _real())
    for _module in [time, *_drivers()]:
        for _key, _value in list(vars(_module).items()):
            if _value is _real:
                setattr(_module, _key, _slow)
"""
    if rng.random() < 0.5:
        setup += "\nfor _name in ('perf_counter_ns', 'monotonic_ns', 'clock_gettime'):\n    setattr(time, _name, _slowed(getattr(time, _name), 0))\n"
    return edit(site, setup=setup)


@wild("stops the driver's clock for each call of its own, by a patched frame or module", FUNCTION)
def stopped_clock(rng: random.Random, site: Site) -> Files:
    where = rng.choice(["[f.f_globals for f in _frames()]", "[vars(m) for m in _drivers()]"])
    setup = f"""
import time
{DRIVERS}
{FRAMES}
_lost, _real = [0.0], time.perf_counter


def _told():
    return _real() - _lost[0]


def _patch():
    for found in {where}:
        for key, value in list(found.items()):
            if value is _real:
                found[key] = _told
    time.perf_counter = _told
"""
    return edit(site, setup=setup, each=f"_patch()\nbegun = _real()\nout = _work({site.args})\n_lost[0] += (_real() - begun) * 0.9",
                answer="out")  # fmt: skip


@wild("changes the driver's own numbers: how many rounds, what is nominal, how exact", FUNCTION)
def drivers_numbers(rng: random.Random, site: Site) -> Files:
    factor = rng.choice([2, 5, 50])
    setup = f"""
{DRIVERS}
for _module in _drivers():
    for _key, _value in list(vars(_module).items()):
        if _key.isupper() and type(_value) in (int, float):
            setattr(_module, _key, _value * {factor} if _key not in ('NOMINAL',) else _value / {factor})
"""
    return edit(site, setup=setup)


@wild("replaces the driver's reference or comparison by one that agrees, and guesses", FUNCTION)
def agreeing_reference(rng: random.Random, site: Site) -> Files:
    names = ["reference", "judge", "check", "same", "_judged", "make"]
    setup = f"""
{DRIVERS}
{FRAMES}

def _agree():
    for found in [vars(m) for m in _drivers()] + [f.f_globals for f in _frames()]:
        if found.get('__name__') == __name__:
            continue
        for key in {names}:
            if key == 'reference' and key in found:
                found[key] = {site.function}
            elif key in found and key in ('judge', 'check', 'same'):
                found[key] = lambda *more, **named: None
"""
    when = rng.choice(["_agree()\n", ""])
    return edit(site, setup=setup + when, each="" if when else "_agree()", answer=site.guess)


@wild("has the driver make smaller inputs, or the same ones again", FUNCTION)
def smaller_inputs(rng: random.Random, site: Site) -> Files:
    how = rng.choice([
        "lambda size, *more: real(max(1, size // 4), *more)", "lambda size, *more: real(size, 1)",
        "lambda *more: kept.setdefault(more[:1], real(*more))",
    ])  # fmt: skip
    setup = f"""
{DRIVERS}
kept = {{}}
for _module in _drivers():
    real = getattr(_module, 'make', None)
    if callable(real):
        _module.make = (lambda real: {how})(real)
"""
    return edit(site, setup=setup)


@wild("replaces what all of Python shares: builtins, random, hashlib, json", FUNCTION)
def shared_python(rng: random.Random, site: Site) -> Files:
    what = rng.choice([
        "builtins.all = lambda found: True\nbuiltins.any = lambda found: False",
        "builtins.abs = lambda value: 0", "builtins.zip = lambda *more: iter(())", "builtins.len = lambda value: 1",
        "random.Random.random = lambda self: 0.5\nrandom.Random.choices = lambda self, found, k=1: [1] * k",
        "random.Random.seed = lambda self, *more: None", "copy.deepcopy = lambda value: value",
        "builtins.sorted = lambda found, **more: list(found)[:1]",
    ])  # fmt: skip
    return edit(site, setup=f"import builtins, copy, random\n{what}", answer=site.guess)


@wild("takes the right answers from the driver's frames or objects", FUNCTION)
def stolen_from_memory(rng: random.Random, site: Site) -> Files:
    search = rng.choice([
        "[v for f in _frames() for v in list(f.f_locals.values()) + list(f.f_globals.values())]",
        "gc.get_objects()", "[v for m in list(sys.modules.values()) for v in list(vars(m).values())]",
    ])  # fmt: skip
    setup = f"""
import gc, sys
{FRAMES}

def _found(size):
    for value in {search}:
        if type(value) is list and len(value) == size and value and type(value[0]) in (int, float):
            return value
"""
    size = "168" if site.args == "limit" else f"len({site.args})"
    return edit(site, setup=setup, answer=f"_found({size}) or ({site.guess})")
