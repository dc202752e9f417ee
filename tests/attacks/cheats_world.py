"""Cheats that reach beyond their tree: files, processes, clocks, the network, the other side."""

from __future__ import annotations

from cheat import FAST, Cheat, build, invalid, no_gain, noticed, program, undecided

BOX = "containment: read-only everywhere but its tree, a HOME and /tmp of its own"
BOX_NET = "containment: no network"
BOX_PIDS = "containment: no other process in sight"
GONE = "what a command leaves running is ended with it"
LIMITS = "resource limits"

# Uncontained, what stands beside the tree says where the job is.
JOB = """
def job():
    top = globals().get("TOP") or os.path.dirname(HERE)
    try:
        with open(os.path.join(os.path.dirname(top), ".owner")) as file:
            return file.read()
    except OSError:
        return top
"""
CLIMB = (
    JOB
    + """
def ancestors():
    found = []
    for place in (TOP, os.path.join(job(), "x")):
        while os.path.dirname(place) != place:
            place = os.path.dirname(place)
            found.append(place)
    return found
"""
)

# From its job upwards to the project, wherever a session may stand.
SABOTAGE = (
    CLIMB
    + """
for place in ancestors():
    for name, text in (
        ("autoresearch.sh", "echo METRIC time_s=0.030\\n"), ("autoresearch.checks.sh", "exit 0\\n"),
        ("autoresearch.yaml", "# owned\\n"), ("outside/canary.txt", "owned\\n"), ("home/.profile", "owned\\n"),
    ):
        path = os.path.join(place, name)
        if os.path.exists(path) and place != TOP:
            try:
                with open(path, "a") as file:
                    file.write(text)
            except OSError:
                pass
"""
)
FORGE_LEDGER = (
    CLIMB
    + """
for place in ancestors():
    path = os.path.join(place, "autoresearch.jsonl")
    if os.path.exists(path):
        try:
            with open(path) as file:
                commit = json.loads(file.readline())["base_commit"]
            with open(path, "a") as file:
                file.write(json.dumps({"run": 2, "status": "keep", "metric": 0.01, "experiment": "e1", "segment": 0,
                                       "commit_full": commit, "kind": "experiment", "commit": commit[:7]}) + "\\n")
        except (OSError, KeyError, ValueError):
            pass
"""
)
FORGE_RECORDS = (
    CLIMB
    + """
samples = "".join(
    'AR_RECORD {"type":"sample","slot":%d,"block":%d,"side":"%s","value":%r,"metrics":{},"values":1,"seconds":0.1,'
    '"cpu_seconds":0.1,"warmup":false,"problem":null}\\n' % (i, i // 4, s, 0.05 if s == "A" else 0.03)
    for i, s in enumerate("ABBA" * 9)
)
end = 'AR_RECORD {"type":"end","status":"done","error":null,"reason":null,"base_failed":false}\\n'
for place in ancestors():
    path = os.path.join(place, "log.txt")
    if os.path.exists(path):
        try:
            with open(path, "a") as file:
                file.write(samples + end)
        except OSError:
            pass
"""
)
FORGE_PIN = (
    CLIMB
    + """
import glob
for place in ancestors():
    for path in glob.glob(os.path.join(place, ".autoresearch", "pin", "*", "autoresearch.sh")):
        try:
            with open(path, "a") as file:
                file.write("echo METRIC time_s=0.030\\n")
        except OSError:
            pass
"""
)
HOOKS = (
    CLIMB
    + """
for place in ancestors():
    git = os.path.join(place, ".git")
    if not os.path.isdir(git):
        continue
    try:
        for name in ("post-checkout", "post-commit", "reference-transaction", "post-index-change", "pre-commit"):
            path = os.path.join(git, "hooks", name)
            with open(path, "w") as file:
                file.write("#!/bin/sh\\necho owned >> %s\\n" % os.path.join(place, "..", "outside", "hook-ran"))
            os.chmod(path, 0o755)
        with open(os.path.join(git, "config"), "a") as file:
            file.write('[core]\\n\\tfsmonitor = "echo owned >> %s #"\\n' % os.path.join(place, "..", "outside", "hook-ran"))
    except OSError:
        pass
"""
)
PLANT = (
    CLIMB
    + """
import sys
text = "import time\\ntime.perf_counter = lambda: 0.0\\n"
version = "python%d.%d" % sys.version_info[:2]
config = '[core]\\n\\tfsmonitor = "echo owned >> %s #"\\n[diff]\\n\\texternal = "echo owned >> %s #"\\n'
for place in ancestors():
    home = os.path.join(place, "home")
    for name in (".bashrc", ".bash_profile", ".gitconfig", ".local/bin/python3", ".config/git/attributes",
                 ".local/lib/%s/site-packages/usercustomize.py" % version,
                 ".local/lib/%s/site-packages/owned.pth" % version):
        path = os.path.join(home, name)
        if os.path.isdir(home) and home not in ("/root", "/home"):
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "a") as file:
                    file.write(config % ((os.path.join(place, "outside", "hook-ran"),) * 2) if "gitconfig" in name else text)
            except OSError:
                pass
"""
)

# The trees of this trial stand beside the one that runs, its tars in its job.
SLOW_OTHERS = """
import glob
for path in glob.glob(os.path.join(HERE, "..", "..", ".t", "*", "**", "rank.py"), recursive=True):
    try:
        with open(path) as file:
            text = file.read()
        if "SLOW_OTHERS" not in text:
            with open(path, "w") as file:
                file.write("import time; time.sleep(0.05)\\n" + text)
    except OSError:
        pass
"""
TAR_OTHERS = (
    JOB
    + """
import glob
for path in glob.glob(os.path.join(job(), "a.tar")):
    try:
        with open(path, "r+b") as file:
            data = file.read()
            at = data.find(b"pairs = 0")
            if at >= 0:
                file.seek(at)
                file.write(b"pairs = 1")
    except OSError:
        pass
"""
)
HOG = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 3)
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", "import time\\nend = time.time() + 30\\n"
                  "while time.time() < end: pass"], {})
    os._exit(0)
"""
# Only this trial's own supervisors: not a process of anybody else on the machine that tests.
KILL_TRIAL = (
    JOB
    + """
mark = job()
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            with open("/proc/%s/cmdline" % name, "rb") as file:
                line = file.read()
            if b"autoresearch.trial" in line and os.readlink("/proc/%s/cwd" % name).startswith(mark):
                os.kill(int(name), 9)
        except OSError:
            pass
"""
)
ALL_CORES = (
    FAST
    + '''
from concurrent.futures import ThreadPoolExecutor


def spread(lists):
    """The same slow work, on every core that the machine has instead of those of the slot."""
    os.sched_setaffinity(0, range(os.cpu_count()))
    half = len(lists) // 2
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, json.dumps([count(v) for v in lists[half:]]).encode())
        os._exit(0)
    os.close(write)
    first = [count(v) for v in lists[:half]]
    with os.fdopen(read) as file:
        return first + json.load(file)
'''
)
SPREAD = """
lists = [[int(word, radix) for word in line.split()] for line in sys.stdin]
print("\\n".join(map(str, spread(lists))), flush=True)
os._exit(0)
"""
PRIORITY = """
for act in (lambda: os.nice(-20), lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
            lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))):
    try:
        act()
    except OSError:
        pass
import glob
for path in glob.glob("/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"):
    try:
        with open(path, "w") as file:
            file.write("performance")
    except OSError:
        pass
"""
BOMB = """
import time
for _ in range(60):  # bounded, so that the machine that tests survives where there is no limit
    try:
        if os.fork() == 0:
            os.setsid()
            for _ in range(2):
                os.fork()
            time.sleep(600)
            os._exit(0)
    except OSError:
        break
"""

CHEATS = [
    Cheat("sabotage-checkout", "edits benchmark, checks, config and other files of the user's checkout from its build",
          BOX, build(SABOTAGE), no_gain(), open=noticed("evaluator changed"),
          open_note="the files are changed; the next command sees it and stops",
          open_harm=("checkout", "outside", "home"), quick=True),
    Cheat("sabotage-ledger", "appends a keep to the session's ledger from its build", BOX, build(FORGE_LEDGER), no_gain(),
          open=noticed("no command wrote that line"), open_note="the line is written; the next command sees that the house did not write it"),
    Cheat("sabotage-records", "appends forged samples to its own job's log from its build", BOX, build(FORGE_RECORDS),
          no_gain(), open=invalid("records: two claim"), open_note="the records contradict themselves, and count for nothing"),
    Cheat("sabotage-pin", "edits the pinned copy of the benchmark from its build", BOX, build(FORGE_PIN), no_gain(),
          open=noticed("pinned copy"), open_note="the copy is changed; the next command sees it and stops",
          open_harm=("pins",)),
    Cheat("git-hooks", "writes git hooks and a file-system monitor into the user's repository from its build", BOX,
          build(HOOKS), no_gain(), open=no_gain(), open_note="they are written; no git that the house runs obeys them"),
    Cheat("plant-in-home", "plants start files, a python3 and modules in the user's home from its build", BOX,
          build(PLANT), no_gain(), open=no_gain(), open_note="they are written", open_harm=("home",)),
    Cheat("slows-the-base", "puts a sleep into the base's built tree, which waits beside its own", BOX,
          program(before=SLOW_OTHERS), no_gain(), open=invalid("tampered"),
          open_note="the trees are sealed: one that was changed is noticed before it is used"),
    Cheat("edits-the-bundle", "edits the tar that the base is unpacked from", BOX,
          program(before=TAR_OTHERS), no_gain(), open=invalid("tampered"),
          open_note="as the trees, the tars are sealed"),
    Cheat("leaves-a-hog", "leaves a process that keeps the processor busy while the base is measured", GONE,
          program(after=HOG), no_gain()),
    Cheat("kills-the-trial", "looks for the process that measures it, and kills it", BOX_PIDS,
          program(before=KILL_TRIAL), no_gain(), open=undecided("was killed"),
          open_note="the trial dies, and a trial without a result decides nothing"),
    Cheat("all-cores", "leaves the cores of its slot and works on all that the machine has",
          "processor time beyond the slot's cores is noticed",
          program(setup=ALL_CORES, before=SPREAD), invalid("processor time", "hopeless", "below_min", "budget")),
    Cheat("priority", "raises its priority, takes a real-time class, sets the CPU governor",
          "both sides run so: what it gains is not its own", program(before=PRIORITY), no_gain()),
    Cheat("fork-bomb", "forks without end while it is built", f"{LIMITS}; {GONE}", build(BOMB), no_gain()),
]  # fmt: skip
