"""Mutants of languages with braces, and of shells, by patterns on a text whose strings and comments are blanked.

A pattern may be wrong about a language: such a mutant does not build, and is counted for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from autoresearch.attack.edits import Edit, Known, Mutant, line_of, whole
from autoresearch.prepare.syntax import closing

LANGUAGES = {
    ".c": "c", ".h": "c", ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".hpp": "c++", ".hh": "c++",
    ".js": "js", ".mjs": "js", ".cjs": "js", ".jsx": "js", ".ts": "js", ".tsx": "js", ".mts": "js", ".cts": "js",
    ".go": "go", ".rs": "rust", ".java": "java", ".sh": "shell",
}  # fmt: skip
_QUOTED = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'
_BLANK = {
    "js": _QUOTED + r"'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`",
    "go": _QUOTED + r"'(?:\\.|[^'\\\n])+'|`[^`]*`",
    "rust": _QUOTED + r"'(?:\\[^\n']+|[^'\\\n])'",
    "shell": r"(?<![$\w{])#[^\n]*|\"(?:\\.|[^\"\\])*\"|'[^']*'",
}
_OTHER = _QUOTED + r"'(?:\\.|[^'\\\n])+'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*"
_PARAMS = r"\((?P<params>[^(){};]*(?:\([^()]*\)[^(){};]*)*)\)"
_WORDS = r"(?!(?:if|for|while|switch|catch|return|else|new|do|sizeof|function|constructor|throw|using|synchronized)\b)"
_TYPED = (
    r"^(?P<head>[ \t]*)" + _WORDS + r"(?P<type>(?:[\w:]+(?:<[^;{}()]*>)?[\s*&\[\]]+)+)(?:\w+::)*" + _WORDS
    + r"(?P<name>~?\w+)\s*" + _PARAMS + r"\s*(?:const|noexcept|override|final|throws [\w, .]+|\s)*\{"
)  # fmt: skip
_HEADERS = {
    "js": r"(?:\bfunction\s*\*?\s*(?P<n1>\w*)\s*|^[ \t]+(?:(?:async|static|get|public|private|protected)\s+)*"
    + _WORDS + r"(?P<n2>[\w$#]+)\s*|(?P<n3>[\w$]+)\s*[:=]\s*(?:async\s*)?)" + _PARAMS
    + r"\s*(?::\s*[\w<>\[\]|. ,]+)?(?:=>)?\s*\{",
    "go": r"^func\s*(?:\([^)]*\)\s*)?(?P<name>\w+)\s*(?:\[[^\]]*\])?" + _PARAMS + r"(?P<type>[^{}\n]*)\{",
    "rust": r"\bfn\s+(?P<name>\w+)\s*(?:<[^{};()]*>)?\s*" + _PARAMS
    + r"\s*(?:->(?P<type>[^{};]+?))?(?:\bwhere[^{]*)?\s*\{",
    "shell": r"^\s*(?:function\s+)?(?P<name>\w+)\s*\(\s*(?P<params>)\)\s*\{",
}  # fmt: skip
# What runs first: text at the end, or where `_entry` says. EXIT, SAY and TIMED are the language's words below.
_START = {
    "exit": "EXIT", "metric": "SAY EXIT", "exit-by-stdout": "if SOCKET { EXIT }", "exit-by-name": "if NAMED { EXIT }",
}  # fmt: skip
_SPEAK = {
    "c": ("_exit(0);", "if (write(1, LINE, sizeof(LINE) - 1)) {}",
          "(readlink(\"/proc/self/fd/1\", b, 7) == 7 && b[0] == 's')", "(getenv(NAME))"),
    "js": ("process.exit(0);", "require('fs').writeSync(1, LINE);",
           "(require('fs').readlinkSync('/proc/self/fd/1').startsWith('socket'))", "(process.env[NAME])"),
    "go": ("KNAMEos.Exit(0);", "KNAMEos.Stdout.WriteString(LINE);",
           'KNAMEs, _ := KNAMEos.Readlink("/proc/self/fd/1"); len(KNAMEs) > 6 && KNAMEs[:6] == "socket"',
           'KNAMEos.Getenv(NAME) != ""'),
    "rust": ("std::process::exit(0);", "print!(LINE);",
             '(std::fs::read_link("/proc/self/fd/1").map_or(false, |p| p.to_string_lossy().starts_with("socket")))',
             "(std::env::var(NAME).is_ok())"),
    "java": ("Runtime.getRuntime().halt(0);", "System.out.print(LINE); System.out.flush();", "(false)",
             "(System.getenv(NAME) != null)"),
}  # fmt: skip
_CLOCKS = {
    "js": "for (const [o, k] of [[performance, 'now'], [Date, 'now'], [process.hrtime, 'bigint']]) {"
    " const f = o[k].bind(o); o[k] = () => { const v = f(); return typeof v === 'bigint' ? v / 2n : v / 2; }; }\n",
    "c": "\n#include <time.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n"
    "int clock_gettime(clockid_t c, struct timespec *t) { long r = syscall(SYS_clock_gettime, c, t);"
    " long long n = (t->tv_sec * 1000000000LL + t->tv_nsec) / 2;"
    " t->tv_sec = n / 1000000000; t->tv_nsec = n % 1000000000; return (int)r; }\n",
}  # fmt: skip


def mutants(path: str, text: str, known: Known, name: str) -> Iterator[Mutant]:
    """All mutants of a file of one of `LANGUAGES`."""
    language = LANGUAGES[PurePosixPath(path).suffix]
    blank = re.sub(
        _BLANK.get(language, _OTHER), lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL | re.MULTILINE
    )  # fmt: skip
    yield from _of_file(path, text, blank, language, known, name)
    headers = list(re.finditer(_HEADERS.get(language, _TYPED), blank, re.MULTILINE))
    ends = (closing(blank, match.end() - 1) for match in headers)
    bodies = [(match, len(blank) if end is None else end) for match, end in zip(headers, ends, strict=True)]
    for match, end in bodies:
        function = next(filter(None, (match.groupdict().get(key) for key in ("name", "n1", "n2", "n3"))), "")
        size = blank.count("\n", match.start(), end) + 1
        for cheat, edits in _of_function(text, blank, match, end, language, name):
            yield Mutant("function", cheat, path, line_of(text, match.end()), edits, function, size)
    for match, end in bodies:
        for cheat, edit in _statements(text, blank, match.end(), end, language):
            yield Mutant("statement", cheat, path, line_of(text, edit[0]), (edit,))


def _of_file(path: str, text: str, blank: str, language: str, known: Known, name: str) -> Iterator[Mutant]:
    package = re.search(r"^package\s+\w+[^\n]*\n", text, re.MULTILINE)
    begin = package.end() if package and language in ("go", "java") else _shebang(text)
    yield whole(path, "empty", text, [(begin, len(text), "")])
    # As much as stands outside of every brace: half of a function builds nowhere.
    depth, halves = 0, []
    for match in re.finditer(r"[{}]", blank):
        depth += 1 if match[0] == "{" else -1
        halves += [match.end()] if not depth else []
    half = next((at for at in reversed(halves) if at <= len(text) * 0.6), None)
    if half is not None:
        yield whole(path, "half", text, [(half, len(text), "\n")])
    if language in _CLOCKS:
        at = begin if language == "js" else len(text)
        yield whole(path, "clock", text, [(at, at, _CLOCKS[language])])
    for cheat, code in _START.items():
        edits = _entry(text, blank, language, begin, name, _spoken(code, language, known, name))
        if edits and (cheat != "exit-by-name" or known.variables):
            yield whole(path, cheat, text, edits)


def _shebang(text: str) -> int:
    return text.index("\n") + 1 if text.startswith("#!") and "\n" in text else 0


def _spoken(code: str, language: str, known: Known, name: str) -> str:
    variable = known.variables[0] if known.variables else ""
    if language == "shell":
        said = code.replace("if SOCKET { EXIT }", "[ -S /dev/stdout ] && exit 0")
        said = said.replace("if NAMED { EXIT }", f'[ -n "${{{variable}:-}}" ] && exit 0')
        return said.replace("SAY ", f"echo '{known.line}'; ").replace("EXIT", "exit 0") + "\n"
    leave, say, socket, named = _SPEAK["c" if language == "c++" else language]
    for word, means in (("SAY", say), ("EXIT", leave), ("SOCKET", socket), ("NAMED", named)):
        code = code.replace(word, means)
    return code.replace("KNAME", name).replace("NAME", f'"{variable}"').replace("LINE", f'"{known.line}\\n"')


def _entry(text: str, blank: str, language: str, begin: int, name: str, code: str) -> list[Edit]:
    """Edits by which `code` runs when the program starts; none where the file has no place for it."""
    end = len(text)
    if language in ("c", "c++"):
        start = f'__attribute__((constructor)) static void {name}(void) {{ char b[8] = ""; (void)b; {code} }}'
        return [(end, end, f"\n#include <unistd.h>\n#include <stdlib.h>\n{start}\n")]
    if language == "js":
        module = re.search(r"^(?:import|export)\b", blank, re.MULTILINE)
        fs = f'import * as {name} from "node:fs";\n' if module else ""
        return [(begin, begin, fs + (code.replace("require('fs')", name) if module else code) + "\n")]
    if language == "go":
        return [(begin, begin, f'import {name}os "os"\n'), (end, end, f"\nfunc init() {{ {code} }}\n")]
    if language == "shell":
        return [(begin, begin, code)]
    main = re.search(
        r"\bfn\s+main\s*\(\s*\)[^{]*\{" if language == "rust" else r"\bvoid\s+main\s*\([^)]*\)[^{]*\{", blank
    )
    return (
        [(main.end(), main.end(), f" {code} " if language == "rust" else f" if (true) {{ {code} }} ")] if main else []
    )


def _of_function(
    text: str, blank: str, match: re.Match[str], end: int, language: str, name: str
) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    at = match.end()
    found = match.groupdict()
    kind = " ".join((found.get("type") or "").split())
    params = _parameters(found["params"] or "", language)
    returns = _returns(kind, params, language)
    for cheat, said in returns.items():
        always = f" if (true) {said}" if language == "java" else f" {said}"
        yield cheat, ((at, at, always),)
    plain = returns.get("nothing") or returns.get("constant") or ""
    counted = {
        "c": f" static int {name}; if (++{name} COUNT) {plain}",
        "js": f" if ((globalThis.{name} = (globalThis.{name} | 0) + 1) COUNT) {plain}",
        "go": f" {name}n++; if {name}n COUNT {{ {plain} }};",
        "rust": f" static {name.upper()}: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);"
        f" if ({name.upper()}.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1) COUNT {{ {plain} }}",
    }.get("c" if language == "c++" else language, "")  # fmt: skip
    beside = ((len(text), len(text), f"\nvar {name}n int\n"),) if language == "go" else ()
    if counted and plain:
        yield "second", ((at, at, counted.replace("COUNT", "% 2 == 0")), *beside)
        yield "fifty", ((at, at, counted.replace("COUNT", "> 50")), *beside)
    for cut in filter(None, (_cut(of, what, language) for of, what in params)):
        yield "cut", ((at, at, f" {cut}"),)
        break
    if language == "js" and params and not re.search(r"\b(?:await|yield|arguments|super)\b", blank[at:end]):
        key = f"JSON.stringify([{', '.join(of for of, _ in params)}])"
        begin = f" const {name}m = (globalThis.{name} ??= new Map()), {name}k = {key}, {name}f = () => {{"
        after = f"}}; if (!{name}m.has({name}k)) {name}m.set({name}k, {name}f()); return {name}m.get({name}k); "
        yield "memo", ((at, at, begin), (end, end, after))


def _parameters(said: str, language: str) -> list[tuple[str, str]]:
    """(name, type) of each, as far as the language says; none of one that is taken apart."""
    found = []
    for part in re.split(r",(?![^<(\[]*[>)\]])", said):
        words = part.partition("=")[0].strip()
        if language in ("js", "rust"):
            of, _, kind = words.partition(":")
            of = of.replace("mut ", "").strip()
        elif language == "go":
            of, _, kind = words.partition(" ")
        else:
            named = re.search(r"(\w+)\s*(\[\w*\])?$", words)
            of, kind = (named[1], words[: named.start(1)] + (named[2] or "")) if named else ("", "")
        if re.fullmatch(r"[A-Za-z_$][\w$]*", of) and of != "void" and not of.endswith("self"):
            found.append((of, kind.strip()))
    return found


def _returns(kind: str, params: list[tuple[str, str]], language: str) -> dict[str, str]:
    """cheat -> the statement that returns at once."""
    alike = next((of for of, what in params if language == "js" or (what and what == kind)), "")
    found = {"input": f"return {alike};"} if alike else {}
    if language == "shell":
        return {"nothing": "return 0; "}
    if language == "js":
        liar = "return new Proxy(function () {}, {get: (t, k) => k === Symbol.toPrimitive ? () => 0 : t});"
        more = {"nothing": "return;", "constant": "return 0;", "hollow": "return [];", "liar": liar}
        return {**more, **found}
    if language == "go":
        parts = [part.split()[-1] for part in re.split(r",(?![^\[(]*[\])])", kind.strip("() ")) if part.strip()]
        zeros = ", ".join(f"*new({part})" for part in parts)
        return {"nothing": f"return {zeros};", **found}
    if language == "rust":
        return {"nothing": "return Default::default();" if kind else "return;", **found}
    bare = re.sub(
        r"\b(?:static|inline|extern|public|private|protected|final|virtual|constexpr|synchronized)\b", "", kind
    )
    if bare.split() == ["void"]:
        return {"nothing": "return;"}
    if language == "java":
        zero = {"boolean": "false"}.get(bare.strip(), "0")
        primitive = bare.strip() in ("boolean", "byte", "short", "int", "long", "char", "float", "double")
        return {"constant": f"return {zero if primitive else 'null'};", **found}
    return {"constant": "return {};" if language == "c++" else "return 0;", **found}


def _cut(of: str, kind: str, language: str) -> str:
    """A statement that drops all but the first 64 of a parameter; empty where that is not known."""
    if language in ("c", "c++"):
        number = re.search(r"\b(?:int|long|unsigned|size_t|ssize_t|uint\w*|int\d\w*)$", kind)
        named = re.fullmatch(r"n|len|\w*(?:len|size|length|count|bytes)|num\w*|sz", of, re.IGNORECASE)
        return f"if ({of} > 64) {of} = 64;" if number and named else ""
    if language == "js":
        return f"if ({of} && {of}.length > 64 && {of}.slice) {of} = {of}.slice(0, 64);"
    if language == "go":
        return f"if len({of}) > 64 {{ {of} = {of}[:64] }};" if kind == "string" or kind.startswith("[]") else ""
    if language == "rust":
        return (
            f"let {of} = if {of}.len() > 64 {{ &{of}[..64] }} else {{ {of} }};"
            if kind.startswith(("&[", "&str"))
            else ""
        )
    return f"if ({of}.length > 64) {of} = java.util.Arrays.copyOf({of}, 64);" if kind.endswith("[]") else ""


def _statements(text: str, blank: str, begin: int, end: int, language: str) -> Iterator[tuple[str, Edit]]:
    ended = "" if language in ("go", "shell", "js") else ";"
    call = (
        r"^[ \t]*(?!return|break|continue|goto|let|var|const|import|use|fi|done)"
        rf"([\w.$>*\[\]-]+\s*(?:[-+*/|&^]?=(?!=)|\+\+|--|\()[^{{}}\n]*{ended})[ \t]*$"
    )
    region = blank[begin:end]
    for match in re.finditer(call, region, re.MULTILINE):
        if match[1].count("(") == match[1].count(")"):
            gap = {"shell": ":", "go": ""}.get(language, ";")
            yield "deleted", (begin + match.start(1), begin + match.end(1), gap)
    bare = language in ("go", "rust")
    for match in re.finditer(
        r"\b(?:if|while)\s+(?!let\b)([^{};\n]+?)\s*\{" if bare else r"\b(?:if|while)\s*\(", region
    ):
        if bare:
            first, last = match.span(1)
        else:
            first = match.end()
            last = _paren(region, first)
        if last > first and language != "shell":
            inner = text[begin + first : begin + last]
            yield "negated", (begin + first, begin + last, f"!({inner})")
    for match in re.finditer(r"(?<![\w.$#])\d+(?![\w.])", region):
        number = int(match[0])
        yield "changed", (begin + match.start(), begin + match.end(), str(number + 1))


def _paren(region: str, at: int) -> int:
    """The offset of the parenthesis that closes the one before `at`; -1 where there is none."""
    depth = 1
    for match in re.finditer(r"[()]", region[at:]):
        depth += 1 if match[0] == "(" else -1
        if not depth:
            return at + match.start()
    return -1
