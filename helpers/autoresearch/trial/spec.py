"""`trial.json`: what to build and measure. Read strictly, as it decides what a number means."""

from __future__ import annotations

import json
from typing import Any, Mapping, NamedTuple

from autoresearch.trial.contain import MODES as CONTAIN_MODES
from autoresearch.trial.contain import STAGES, Settings
from autoresearch.trial.differential import DifferentialPlan
from autoresearch.trial.limits import Limits
from autoresearch.verdict.rule import FIXED_LAYOUT_MARGIN_PCT

PROTOCOL = 1
MODES = ("single", "ab", "noise")
LAYOUTS = ("auto", "fresh", "fixed")
# Seconds, used where the spec names none.
TIMEOUTS = {"setup": 900.0, "build": 600.0, "benchmark": 300.0, "checks": 600.0}


class SpecError(ValueError):
    """The spec is not usable; the message says which key and what it takes."""


class Spec(NamedTuple):
    """One trial. Commands are lines for `sh -c`, run in `subdir` of the tree; None: there is none."""

    experiment: str
    mode: str
    metric: str
    direction: str
    min_effect_pct: float
    values_per_run: int | None
    build: str
    benchmark: str
    checks: str | None
    deps: str | None
    timeouts: Mapping[str, float]
    runs: int
    preset: str
    alpha: float | None
    max_runs: int | None
    seed: int | str
    layout: str
    subdir: str
    env: Mapping[str, str]
    env_pass: tuple[str, ...]
    # An A/B that is an estimate, not a decision: this many blocks, whatever the rule says meanwhile.
    fixed_blocks: int | None = None
    # Second metrics that decide something: as the metric itself, they may not contradict themselves within a run.
    guarded: tuple[str, ...] = ()
    # What a keep must prove beyond 0 where every run had the same build: its layout may have given so much.
    layout_margin_pct: float = FIXED_LAYOUT_MARGIN_PCT
    # The metric is a size or a count.
    counted: bool = False
    # An A/B goes on to so many blocks after a keep, or a discard, for what else is judged by its readings.
    min_blocks: int = 0
    min_blocks_discard: int = 0
    # Generated inputs that must be answered alike on both sides; and whether hidden.tar holds further checks.
    differential: DifferentialPlan | None = None
    hidden: bool = False
    # The evaluator's files and their sha256, by path from the tree's top: no build may change them.
    evaluator: Mapping[str, str] = {}
    # Those of them that no process of the program may read.
    secret: tuple[str, ...] = ()
    contain: Settings = Settings()
    limits: Limits = Limits()
    # Benchmarks run before other programs on this machine.
    priority: bool = False
    # Whose output must say what the base's says: "checks", "benchmark"; and the digest of what checks said at the
    # baseline, where that is the same each time.
    compare: tuple[str, ...] = ()
    said: str = ""
    # The metric is a rate whose run shows it only if that does a set amount of work: at a baseline, find out; in an
    # A/B, what was found (`trial.pace`).
    paced: bool = False
    fixed: str = ""


def parse_spec(text: str) -> Spec:
    """Read the JSON text of a spec; `SpecError` names what is wrong."""
    try:
        data = json.loads(text)
    except ValueError as exc:
        raise SpecError("not JSON: %s" % exc) from None
    if not isinstance(data, dict) or data.get("protocol") != PROTOCOL:
        raise SpecError("protocol must be %d" % PROTOCOL)
    metric = _mapping(data, "metric")
    test = _mapping(data, "test")
    timeouts = {**TIMEOUTS, **{k: float(v) for k, v in _mapping(data, "timeouts").items() if v is not None}}
    mode = _choice(data, "mode", MODES, None)
    subdir = str(data.get("subdir") or "").strip("/")
    if ".." in subdir.split("/"):
        raise SpecError("subdir must stay inside the tree")
    values_per_run = metric.get("values_per_run")
    return Spec(
        experiment=str(data.get("experiment", "")),
        mode=mode,
        metric=_text(metric, "name"),
        direction=_choice(metric, "direction", ("lower", "higher"), "lower"),
        min_effect_pct=float(metric.get("min_effect_pct", 1.0)),
        values_per_run=None if values_per_run is None else _positive(values_per_run, "values_per_run"),
        build=str(data.get("build") or "").strip(),
        benchmark=_text(data, "benchmark"),
        checks=data.get("checks") or None,
        deps=data.get("deps") or None,
        timeouts=timeouts,
        runs=_positive(data.get("runs") or (20 if mode == "noise" else 1), "runs"),
        preset=str(test.get("preset") or "default"),
        alpha=None if test.get("alpha") is None else float(test["alpha"]),
        max_runs=None if test.get("max_runs") is None else _positive(test["max_runs"], "test.max_runs"),
        seed=test.get("seed", 0),
        layout=_choice(data, "layout", LAYOUTS, "auto"),
        subdir=subdir,
        env={str(k): str(v) for k, v in _mapping(data, "env").items()},
        env_pass=tuple(str(name) for name in data.get("env_pass") or ()),
        fixed_blocks=None if test.get("fixed_blocks") is None else _positive(test["fixed_blocks"], "test.fixed_blocks"),
        guarded=tuple(str(name) for name in metric.get("guarded") or ()),
        layout_margin_pct=float(metric.get("layout_margin_pct", FIXED_LAYOUT_MARGIN_PCT)),
        counted=bool(metric.get("counted")),
        min_blocks=_positive(test.get("min_blocks") or 1, "test.min_blocks"),
        min_blocks_discard=_positive(test.get("min_blocks_discard") or 1, "test.min_blocks_discard"),
        differential=_differential(_mapping(data, "differential")),
        hidden=bool(data.get("hidden")),
        evaluator={str(path): str(digest) for path, digest in _mapping(data, "evaluator").items()},
        secret=tuple(str(path) for path in data.get("secret") or ()),
        contain=_settings(_mapping(data, "contain")),
        limits=_limits(_mapping(data, "contain")),
        priority=bool(data.get("priority")),
        compare=tuple(str(name) for name in data.get("compare") or ()),
        said=str(data.get("said") or ""),
        paced=bool(metric.get("paced")),
        fixed=str(data.get("fixed") or ""),
    )


def _limits(data: Mapping[str, Any]) -> Limits:
    given = {name: _positive(data[name], "contain." + name) for name in Limits._fields if data.get(name)}
    return Limits(**given)


def _settings(data: Mapping[str, Any]) -> Settings:
    network = data.get("network", list(Settings().network))
    if not isinstance(network, list) or not set(network) <= set(STAGES):
        raise SpecError("contain.network must be a list of %s" % ", ".join(STAGES))
    return Settings(
        mode=_choice(data, "mode", CONTAIN_MODES, "auto"),
        network=tuple(network),
        show=tuple(str(path) for path in data.get("show") or ()),
    )


def _differential(data: Mapping[str, Any]) -> DifferentialPlan | None:
    if not data:
        return None
    inputs, timeout = _positive(data.get("inputs"), "differential.inputs"), float(data.get("timeout") or 10)
    return DifferentialPlan(_text(data, "command"), inputs, timeout, float(data.get("slowdown") or 5))


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key) or {}
    if not isinstance(value, dict):
        raise SpecError("%s must be an object" % key)
    return value


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise SpecError("%s must be a non-empty text" % key)
    return value


def _choice(data: Mapping[str, Any], key: str, allowed: tuple[str, ...], default: str | None) -> str:
    value = data.get(key, default)
    if value not in allowed:
        raise SpecError("%s must be one of %s, not %r" % (key, ", ".join(allowed), value))
    return str(value)


def _positive(value: Any, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SpecError("%s must be a whole number from 1, not %r" % (key, value))
    return value
