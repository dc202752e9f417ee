"""Neutral calls of a script (shell, read, write, edit, skill) as the tools that the calling client offers."""

from __future__ import annotations


def _sh_quote(s):
    return "'" + s.replace("'", "'\"'\"'") + "'"


def map_call(call, tools):
    """Return {"name", "input"} (or {"name", "custom"}) for one scripted call."""
    if "name" in call:
        return {
            "name": call["name"],
            "input": call.get("input", {}),
            **({"custom": call["custom"]} if "custom" in call else {}),
        }
    have = set(tools)

    def shell(cmd, seconds=None):
        if "Bash" in have:  # Claude Code (ms)
            args = {"command": cmd, "description": "scripted step"}
            if seconds:
                args["timeout"] = int(seconds * 1000)
            return {"name": "Bash", "input": args}
        if "bash" in have:  # Pi (s)
            args = {"command": cmd}
            if seconds:
                args["timeout"] = seconds
            return {"name": "bash", "input": args}
        if "exec_command" in have:  # Codex
            return {"name": "exec_command", "input": {"cmd": cmd, "yield_time_ms": int((seconds or 30) * 1000)}}
        raise LookupError(f"no shell tool among {sorted(have)}")

    if "shell" in call:
        return shell(call["shell"], call.get("timeout_s"))
    if "read" in call:
        if "Read" in have:
            return {"name": "Read", "input": {"file_path": call["read"]}}
        if "read" in have:
            return {"name": "read", "input": {"path": call["read"]}}
        return shell("cat " + _sh_quote(call["read"]))
    if "write" in call:
        if "Write" in have:
            return {"name": "Write", "input": {"file_path": call["write"], "content": call["content"]}}
        if "write" in have:
            return {"name": "write", "input": {"path": call["write"], "content": call["content"]}}
        if "apply_patch" in have:
            body = "".join(f"+{line}\n" for line in call["content"].splitlines())
            return {
                "name": "apply_patch",
                "custom": "*** Begin Patch\n*** Add File: {}\n{}*** End Patch\n".format(call["write"], body),
            }
        return shell("printf %s {} > {}".format(_sh_quote(call["content"]), _sh_quote(call["write"])))
    if "edit" in call:
        old, new = call["old"], call["new"]
        if "Edit" in have:
            return {"name": "Edit", "input": {"file_path": call["edit"], "old_string": old, "new_string": new}}
        if "edit" in have:
            return {"name": "edit", "input": {"path": call["edit"], "edits": [{"oldText": old, "newText": new}]}}
        if "apply_patch" in have:
            body = "".join(f"-{line}\n" for line in old.splitlines())
            body += "".join(f"+{line}\n" for line in new.splitlines())
            return {
                "name": "apply_patch",
                "custom": "*** Begin Patch\n*** Update File: {}\n@@\n{}*** End Patch\n".format(call["edit"], body),
            }
        # no edit tool on offer: do the same replacement from the shell
        prog = (
            "import sys; p,o,n=sys.argv[1:4]; s=open(p).read(); "
            "assert s.count(o)==1, 'old text found %d times' % s.count(o); "
            "open(p,'w').write(s.replace(o,n))"
        )
        return shell("python3 -c {} {} {} {}".format(*tuple(_sh_quote(x) for x in (prog, call["edit"], old, new))))
    if "skill" in call:
        if "Skill" in have:  # Claude Code
            args = {"skill": call["skill"]}
            if call.get("args"):
                args["args"] = call["args"]
            return {"name": "Skill", "input": args}
        if "path" in call:  # others read the file
            return map_call({"read": call["path"]}, tools)
        raise LookupError("no Skill tool; give the call a 'path' to SKILL.md")
    raise ValueError(f"unknown scripted call: {call!r}")
