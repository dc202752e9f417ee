"""What a turn script can look at in one request, whatever wire protocol the client speaks."""

from __future__ import annotations


def _flatten(content):
    """Text of a content field that may be a string, a block or a block list."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    out = []
    for block in content:
        if isinstance(block, str):
            out.append(block)
        elif isinstance(block, dict):
            if isinstance(block.get("text"), str):
                out.append(block["text"])
            elif "content" in block:
                out.append(_flatten(block["content"]))
            elif "output" in block:
                out.append(_flatten(block["output"]))
    return "\n".join(out)


class View:
    """What a turn script can look at: independent of the wire protocol."""

    def __init__(self, api, body):
        self.api = api
        self.body = body
        self.model = body.get("model", "")
        self.stream = bool(body.get("stream"))
        self.tools = self._tool_names(body.get("tools") or [])
        self.system = ""
        self.messages = []  # [{"role", "text"}] in order, tool results included
        self.results = []  # texts of the tool results answering the last turn
        self.assistants = 0
        getattr(self, "_read_" + api)(body)
        self.user_text = "\n".join(m["text"] for m in self.messages if m["role"] == "user")
        self.last = self.messages[-1]["text"] if self.messages else ""
        self.result = "\n".join(self.results)
        self.prompt = self.system + "\n" + self.user_text
        self.seen = self.system + "\n" + "\n".join(m["text"] for m in self.messages if m["role"] != "assistant")

    @staticmethod
    def _tool_names(tools):
        names = []
        for t in tools:
            if isinstance(t.get("function"), dict):
                names.append(t["function"].get("name", ""))
            elif t.get("type") == "namespace":
                names.extend(x.get("name", "") for x in t.get("tools", []))
            else:
                names.append(t.get("name") or t.get("type", ""))
        return names

    def _add(self, role, text):
        self.messages.append({"role": role, "text": text})
        if role == "assistant":
            self.assistants += 1
            self.results = []

    def _result(self, text):
        self.messages.append({"role": "tool", "text": text})
        self.results.append(text)

    def _read_messages(self, body):  # Anthropic
        self.system = _flatten(body.get("system"))
        for m in body.get("messages", []):
            content = m.get("content")
            if m.get("role") == "assistant":
                self._add("assistant", _flatten(content))
                continue
            if m.get("role") == "system":
                self.system += "\n" + _flatten(content)
                continue
            if isinstance(content, str):
                self._add("user", content)
                continue
            for block in content or []:
                if block.get("type") == "tool_result":
                    self._result(_flatten(block.get("content")))
                else:
                    self._add("user", _flatten(block))

    def _read_chat(self, body):  # OpenAI Chat
        for m in body.get("messages", []):
            role, text = m.get("role"), _flatten(m.get("content"))
            if role in ("system", "developer"):
                self.system += text + "\n"
            elif role == "tool":
                self._result(text)
            else:
                self._add(role, text)

    def _read_responses(self, body):  # OpenAI Responses
        self.system = _flatten(body.get("instructions"))
        items = body.get("input") or []
        if isinstance(items, str):
            items = [{"type": "message", "role": "user", "content": items}]
        in_call = False
        for it in items:
            kind = it.get("type", "message")
            if kind in ("function_call", "custom_tool_call", "local_shell_call"):
                if not in_call:
                    self._add("assistant", "")
                in_call = True
            elif kind.endswith("_output"):
                in_call = False
                self._result(_flatten(it.get("output")))
            elif kind == "message":
                role, text = it.get("role"), _flatten(it.get("content"))
                if role in ("system", "developer"):
                    self.system += "\n" + text
                else:
                    self._add("assistant" if role == "assistant" else "user", text)
                    in_call = role == "assistant"
