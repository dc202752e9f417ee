"""ADAPT: a clean build and its result. Compiler caches (ccache, sccache) stay off: they would remember the answer."""

CLEAN = ["make", "-s", "clean"]
BUILD = ["make", "-s"]
ROUNDS = 3
ENVIRONMENT = {"CCACHE_DISABLE": "1", "SCCACHE_RECACHE": "1", "MAKEFLAGS": ""}
ARTIFACT = "build/app"  # a file that the build makes, or a directory; nothing else is there when it is used
RUN = ["./build/app"]  # reads an input on stdin, prints its answer
SOURCES = "src"


def change(rng):
    """(text of the sources, another text) that shows in the artifact's answers: each build is made of other sources, so
    that it has to be a build. Take several places; `rng` is new in every run."""
    return "a + b", "a + b + %d" % rng.randrange(1, 10**6)


def inputs(rng):
    return [b"%d %d\n" % (rng.randrange(-999, 1000), rng.randrange(-999, 1000)) for _ in range(5)]
