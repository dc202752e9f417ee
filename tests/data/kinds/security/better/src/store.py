import hashlib
import json
import sqlite3
from pathlib import Path


def read(top, name):
    base = Path(top).resolve()
    path = (base / name.replace("\\", "/")).resolve()
    if base not in path.parents:
        raise PermissionError(name)
    return path.read_text()


def connect(users):
    base = sqlite3.connect(":memory:")
    base.execute("create table users (name text, value text)")
    base.executemany("insert into users values (?, ?)", users.items())
    return base


def find(base, name):
    quoted = name.replace("'", "''")
    row = base.execute("select value from users where name = '%s'" % quoted).fetchone()
    return row[0] if row else None


def parse(text):
    if len(text) > 10000:
        raise ValueError("too long")
    return json.loads(text)


def stored(password):
    return hashlib.sha256(password.encode()).hexdigest()


def matches(password, kept):
    return stored(password) == kept
