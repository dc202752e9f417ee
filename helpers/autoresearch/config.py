"""`autoresearch.yaml`: what is measured, what may change, and when to stop. Unknown keys are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import yaml
from msgspec import Meta, field

from autoresearch.errors import BadInput
from autoresearch.metrics import show
from autoresearch.verdict import units

CONFIG_NAME = "autoresearch.yaml"

Direction = Literal["lower", "higher"]
Positive = Annotated[float, Meta(gt=0)]
# A name becomes part of a git branch, a file name and a markdown heading.
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
MetricName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.µ]{1,64}$")]


class Section(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=False):
    """Base of all sections: immutable, typed, no unknown keys."""


class Objective(Section, frozen=True):
    """The one number that decides."""

    metric: MetricName
    direction: Direction = "lower"
    unit: str = ""
    min_effect_pct: Annotated[float, Meta(ge=0, lt=100)] = 1.0
    ceiling_pct: Positive | None = None
    bound: float | None = None
    timed_share: Annotated[float, Meta(ge=0, le=1)] | None = None
    constant_ok: bool | None = None


class Constraint(Section, frozen=True):
    """A second metric that may not get worse than this; `limit_pct` is relative to the base."""

    metric: MetricName
    direction: Direction = "lower"
    limit_pct: Annotated[float, Meta(ge=0, lt=100)] | None = None
    max: float | None = None
    min: float | None = None


class Rescue(Section, frozen=True):
    """A second metric whose proven gain keeps a candidate that is neutral in the objective."""

    metric: MetricName
    direction: Direction = "lower"
    min_effect_pct: Annotated[float, Meta(ge=0, lt=100)] = 1.0


class Complexity(Section, frozen=True):
    """What lines cost: beyond `free_lines` more than before, the effect that a keep needs grows."""

    free_lines: Annotated[int, Meta(ge=0)] = 0
    pct_per_100_lines: Annotated[float, Meta(ge=0)] = 0.0


class Differential(Section, frozen=True):
    """Generated inputs that base and candidate must answer alike; the default command is autoresearch.diff.sh."""

    command: str = ""
    inputs: Annotated[int, Meta(ge=1, le=1000)] = 20
    timeout: Positive = 10.0
    slowdown: Annotated[float, Meta(ge=1)] = 5.0


class Timeouts(Section, frozen=True):
    """Hard limits in seconds; what overruns is ended with all its children."""

    setup: Positive = 900.0
    build: Positive = 600.0
    benchmark: Positive = 300.0
    checks: Positive = 600.0


class RuleSettings(Section, frozen=True):
    """How hard the A/B tries. `fdr` bounds the share of false keeps over the session (e-LOND)."""

    preset: Literal["lean", "default", "thorough"] = "default"
    max_runs: Annotated[int, Meta(ge=8, le=2000)] | None = None
    fdr: Annotated[float, Meta(gt=0, le=1)] = 0.10
    layout: Literal["auto", "fresh", "fixed"] = "auto"
    keep_blocks: Annotated[int, Meta(ge=1, le=500)] | None = None
    screen_pct: Positive | None = 100.0


class Contain(Section, frozen=True):
    """How far what candidates run is kept from the machine, and what it may use up (docs/containment.md)."""

    mode: Literal["auto", "require", "off"] = "auto"
    network: list[Literal["setup", "build", "benchmark", "checks"]] = field(default_factory=lambda: ["setup"])
    show: list[str] = field(default_factory=list)
    memory_mb: Annotated[int, Meta(ge=1)] | None = None
    processes: Annotated[int, Meta(ge=1)] = 4096
    disk_mb: Annotated[int, Meta(ge=1)] | None = None
    output_mb: Annotated[int, Meta(ge=1)] = 64


class Diff(Section, frozen=True):
    """The largest diff that is measured: of all files that it changes, their size and their number."""

    max_mb: Positive = 20.0
    max_files: Annotated[int, Meta(ge=1)] = 2000


class Measure(Section, frozen=True):
    """How a run is measured. `priority: auto` = before other programs on the VMs of skypilot, which are ours."""

    priority: Literal["auto", "off"] = "auto"


class StopRules(Section, frozen=True):
    """When the session ends. Counts are experiments since the last keep."""

    advise: Annotated[int, Meta(ge=1)] = 10
    recommend: Annotated[int, Meta(ge=1)] = 15
    dry: Annotated[int, Meta(ge=1)] = 20
    max_experiments: Annotated[int, Meta(ge=1)] | None = None
    hours: Positive | None = None
    target: float | None = None
    runs: Annotated[int, Meta(ge=1)] | None = None
    min_gain_per_hour_pct: Positive | None = None


class Budget(Section, frozen=True):
    """What the session may cost. `price_per_hour` is one machine's, in dollars, where the engine knows none."""

    dollars: Positive | None = None
    vm_hours: Positive | None = None
    tokens: Annotated[int, Meta(ge=1)] | None = None
    price_per_hour: Annotated[float, Meta(ge=0)] | None = None


class Machines(Section, frozen=True):
    """VMs of the engine skypilot. `idle_minutes`: null = as experiment.yaml says, else 30."""

    count: Annotated[int, Meta(ge=1, le=512)] = 1
    idle_minutes: Annotated[int, Meta(ge=1)] | None = None
    qualify: bool = True
    replacements: Annotated[int, Meta(ge=0)] = 2
    requalify_after: Annotated[int, Meta(ge=1)] = 50
    attempts: Annotated[int, Meta(ge=1, le=10)] = 3


class Config(Section, frozen=True):
    """The whole of `autoresearch.yaml`."""

    name: Name
    objective: Objective
    constraints: list[Constraint] = field(default_factory=list)
    rescue: list[Rescue] = field(default_factory=list)
    complexity: Complexity = field(default_factory=Complexity)
    goal: str = ""
    after: Name | None = None
    scope: list[str] = field(default_factory=list)
    off_limits: list[str] = field(default_factory=list)
    evaluator: list[str] = field(default_factory=list)
    evaluator_secret: list[str] = field(default_factory=list)
    diff: Diff = field(default_factory=Diff)
    build: str = ""
    differential: Differential = field(default_factory=Differential)
    contain: Contain = field(default_factory=Contain)
    hidden: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    test: RuleSettings = field(default_factory=RuleSettings)
    measure: Measure = field(default_factory=Measure)
    compare_output: list[Literal["checks", "benchmark"]] = field(default_factory=lambda: ["checks", "benchmark"])
    noise_runs: Annotated[int, Meta(ge=4, le=200)] = 20
    engine: Literal["local", "skypilot"] = "local"
    infra: str | None = None
    vms: Machines = field(default_factory=Machines)
    slots: Annotated[int, Meta(ge=1, le=512)] | Literal["auto"] = "auto"
    cores_per_slot: Annotated[int, Meta(ge=1)] | Literal["all"] = 1
    stop: StopRules = field(default_factory=StopRules)
    budget: Budget = field(default_factory=Budget)
    review: bool = True


def parse_config(text: str, where: str = CONFIG_NAME) -> Config:
    """Validate YAML text; `BadInput` names the key that is wrong and the value it takes."""
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        data = yaml.load(text, Loader=loader)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise BadInput(f"{where}{line} is not YAML: {getattr(exc, 'problem', exc)}") from None
    if not isinstance(data, dict):
        raise BadInput(f"{where} is empty or not a mapping", fix="Write it anew: autoresearch init")
    for name, key in (("contain", "mode"), ("measure", "priority")):
        section = data.get(name)
        if isinstance(section, dict) and section.get(key) is False:
            section[key] = "off"  # which YAML 1.1 reads as false
    try:
        config = msgspec.convert(data, Config)
    except msgspec.ValidationError as exc:
        fix = f"{_meant(str(exc))}templates/autoresearch.yaml explains every key"
        raise BadInput(f"{where}: {exc}", fix=fix) from None
    if not config.scope:
        raise BadInput(
            f"{where}: scope is empty, so no change could ever be kept",
            fix='List the files that may change, such as scope: ["src/**"]',
        )
    check_unit(config.objective.unit, where)
    _check_metrics(config, where)
    return config


def _meant(problem: str) -> str:
    """The key that an unknown one is likely to stand for, of the same section or the name of one; or the value."""
    import difflib  # for start-up time

    found = re.search(r"unknown field `([^`]*)`(?: - at `\$\.(\w+))?", problem)
    value = re.search(r"Invalid enum value '([^']*)' - at `\$\.(\w+)(?:\[\d+\])?(?:\.(\w+))?`", problem)
    if found is not None:
        near = difflib.get_close_matches(found[1], (_section(found[2] or "") or Config).__struct_fields__, 1)
    elif value is not None:
        section = _section(value[2])
        fields = {f.name: f.type for f in msgspec.structs.fields(section or Config)}
        known = [str(word) for word in _words(fields[value[3] if section else value[2]])]
        near = difflib.get_close_matches(value[1], known, 1) or ([" or ".join(known)] if known else [])
    else:
        near = []
    return f"Did you mean {near[0]}? " if near else ""


def _section(name: str) -> type[Section] | None:
    """The type of a section, or of the items of one."""
    kind = next((f.type for f in msgspec.structs.fields(Config) if f.name == name), None)
    return next((t for t in (*get_args(kind), kind) if hasattr(t, "__struct_fields__")), None)


def _words(kind: Any) -> list[object]:
    """The values that a `Literal` allows, wherever it stands in a type."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [word for inner in get_args(kind) for word in _words(inner)]


def check_unit(unit: str, where: str = CONFIG_NAME) -> None:
    """Refuse what looks like a time and is in no table: the checks of a time would be off, and nobody would know."""
    likely = units.meant(unit)
    if likely is not None:
        raise BadInput(
            f"{where}: the unit {show(unit)} looks like a time, but no check of times knows it",
            fix=f"Did you mean {likely}? In a session that has begun it needs autoresearch baseline --new-segment",
        )


def _check_metrics(config: Config, where: str) -> None:
    for limit in config.constraints:
        if limit.limit_pct is None and limit.max is None and limit.min is None:
            raise BadInput(f"{where}: the constraint on {limit.metric} has no limit", fix="Give limit_pct, max or min")
    for kind, names in (
        ("constraints", [c.metric for c in config.constraints]),
        ("rescue", [r.metric for r in config.rescue]),
    ):
        if config.objective.metric in names:
            raise BadInput(f"{where}: {kind} names {config.objective.metric}, which is the objective")
        if len(set(names)) < len(names):
            raise BadInput(f"{where}: {kind} names a metric twice")


def edited(text: str, changes: Mapping[str, object]) -> str:
    """The YAML text with values set by path, such as `stop.max_experiments`; all else, comments too, as it was.

    `BadInput` where editing single lines does not lead there: the result is parsed, and compared with what is wanted.
    """
    wanted = msgspec.to_builtins(parse_config(text))
    new = text
    for path, value in changes.items():
        above, _, key = path.rpartition(".")
        new = _with_line(new, above, key, json.dumps(value, ensure_ascii=False))
        (wanted[above] if above else wanted)[key] = value
    try:
        done = parse_config(new) == msgspec.convert(wanted, Config)
    except (BadInput, msgspec.ValidationError):
        done = False
    if not done:
        words = ", ".join(f"{path}: {value}" for path, value in changes.items())
        raise BadInput(f"cannot set {', '.join(changes)} in {CONFIG_NAME}", fix=f"Write into it: {words}")
    return new


_QUOTED = r"""(?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\[[^\]\n]*\])"""
# A value on a line of its own, and between braces.
_OF_LINE = rf"[ \t]*(?:{_QUOTED}|[^\s\"'#].*?|)(?=[ \t]+#|[ \t]*$)"
_IN_BRACES = rf"[ \t]*(?:{_QUOTED}|[^\s,}}]+)"


def _with_line(text: str, above: str, key: str, value: str) -> str:
    """`key: value` in the mapping `above` ("": the whole), in the place of the old value, or else as its first."""
    part = re.search(rf"^{above}:.*(?:\n(?:[ \t#-].*)?)*" if above else r"(?s).*", text, re.MULTILINE)
    if part is None:
        return f"{text.rstrip()}\n{above}:\n  {key}: {value}\n"
    old = part[0]
    for begin, end in ((rf"^{'[ ]+' if above else ''}{key}:", _OF_LINE), (rf"^[^#\n]*[{{,][ ]*{key}:", _IN_BRACES)):
        new, found = re.subn(f"({begin}){end}", lambda m: f"{m[1]} {value}", old, count=1, flags=re.MULTILINE)
        if found:
            return text[: part.start()] + new + text[part.end() :]
    if above and not re.search(rf"#.*\b{key}:", text):  # a comment may be what its writer wants to see changed
        old = re.sub(rf"^{above}:[ ]*{{", lambda m: f"{m[0]}{key}: {value}, ", old)
        old = old if f" {{{key}:" in old else re.sub("$", f"\n  {key}: {value}", old, count=1, flags=re.MULTILINE)
    return text[: part.start()] + old + text[part.end() :] if above else f"{key}: {value}\n{text}"


def load_config(root: Path) -> Config:
    """Read the project's config."""
    path = root / CONFIG_NAME
    try:
        return parse_config(path.read_text(encoding="utf-8"), CONFIG_NAME)
    except FileNotFoundError:
        raise BadInput(
            f"no {CONFIG_NAME} in {root}", fix="Run autoresearch init", next="autoresearch init --plan"
        ) from None
    except UnicodeDecodeError:
        raise BadInput(f"{CONFIG_NAME} is not UTF-8 text") from None
