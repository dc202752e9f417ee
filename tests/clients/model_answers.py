"""Answers in three wire protocols: Anthropic Messages, OpenAI Chat Completions, OpenAI Responses."""

from __future__ import annotations

import json
import time


def _sse(events, named):
    out = []
    for ev in events:
        if named:
            out.append("event: {}\n".format(ev["type"]))
        out.append(f"data: {json.dumps(ev)}\n\n")
    return "".join(out)


def _usage(view):
    return getattr(view, "input_tokens", None) or max(1, len(json.dumps(view.body)) // 4)


def _pieces(text, n=24):
    return [text[i : i + n] for i in range(0, len(text), n)] or [""]


def render_messages(view, text, calls, uid):
    blocks = [{"type": "text", "text": text}] if text or not calls else []
    blocks += [
        {"type": "tool_use", "id": f"toolu_{uid}_{i}", "name": c["name"], "input": c["input"]}
        for i, c in enumerate(calls)
    ]
    stop = "tool_use" if calls else "end_turn"
    usage = {
        "input_tokens": _usage(view),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 10,
    }
    head = {"id": "msg_" + uid, "type": "message", "role": "assistant", "model": view.model, "stop_sequence": None}
    if not view.stream:
        return "application/json", json.dumps(dict(head, content=blocks, stop_reason=stop, usage=usage))
    ev = [{"type": "message_start", "message": dict(head, content=[], stop_reason=None, usage=usage)}]
    for i, b in enumerate(blocks):
        if b["type"] == "text":
            ev.append({"type": "content_block_start", "index": i, "content_block": {"type": "text", "text": ""}})
            ev += [
                {"type": "content_block_delta", "index": i, "delta": {"type": "text_delta", "text": p}}
                for p in _pieces(b["text"])
            ]
        else:
            ev.append({"type": "content_block_start", "index": i, "content_block": dict(b, input={})})
            ev += [
                {"type": "content_block_delta", "index": i, "delta": {"type": "input_json_delta", "partial_json": p}}
                for p in _pieces(json.dumps(b["input"]))
            ]
        ev.append({"type": "content_block_stop", "index": i})
    ev.append(
        {"type": "message_delta", "usage": {"output_tokens": 10}, "delta": {"stop_reason": stop, "stop_sequence": None}}
    )
    ev.append({"type": "message_stop"})
    return "text/event-stream", _sse(ev, True)


def render_chat(view, text, calls, uid):
    tool_calls = [
        {
            "id": f"call_{uid}_{i}",
            "type": "function",
            "function": {"name": c["name"], "arguments": json.dumps(c["input"])},
        }
        for i, c in enumerate(calls)
    ]
    stop = "tool_calls" if calls else "stop"
    n = _usage(view)
    usage = {"prompt_tokens": n, "completion_tokens": 10, "total_tokens": n + 10}
    head = {"id": "chatcmpl-" + uid, "created": int(time.time()), "model": view.model}
    if not view.stream:
        msg = {"role": "assistant", "content": text or None}
        if tool_calls:
            msg["tool_calls"] = tool_calls
        return "application/json", json.dumps(
            dict(
                head,
                object="chat.completion",
                usage=usage,
                choices=[{"index": 0, "message": msg, "finish_reason": stop}],
            )
        )
    deltas = [{"role": "assistant", "content": ""}]
    deltas += [{"content": p} for p in _pieces(text)] if text else []
    for i, t in enumerate(tool_calls):
        deltas.append({"tool_calls": [dict(t, index=i, function={"name": t["function"]["name"], "arguments": ""})]})
        deltas += [
            {"tool_calls": [{"index": i, "function": {"arguments": p}}]} for p in _pieces(t["function"]["arguments"])
        ]
    head["object"] = "chat.completion.chunk"
    ev = [dict(head, choices=[{"index": 0, "delta": d, "finish_reason": None}]) for d in deltas]
    ev.append(dict(head, choices=[{"index": 0, "delta": {}, "finish_reason": stop}]))
    ev.append(dict(head, choices=[], usage=usage))
    return "text/event-stream", _sse(ev, False) + "data: [DONE]\n\n"


def render_responses(view, text, calls, uid):
    items = []
    if text or not calls:
        items.append(
            {
                "type": "message",
                "id": "msg_" + uid,
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        )
    for i, c in enumerate(calls):
        if "custom" in c:
            items.append(
                {
                    "type": "custom_tool_call",
                    "id": f"ctc_{uid}_{i}",
                    "call_id": f"call_{uid}_{i}",
                    "status": "completed",
                    "name": c["name"],
                    "input": c["custom"],
                }
            )
        else:
            items.append(
                {
                    "type": "function_call",
                    "id": f"fc_{uid}_{i}",
                    "call_id": f"call_{uid}_{i}",
                    "status": "completed",
                    "name": c["name"],
                    "arguments": json.dumps(c["input"]),
                }
            )
    n = _usage(view)
    resp = {
        "id": "resp_" + uid,
        "object": "response",
        "created_at": int(time.time()),
        "model": view.model,
        "status": "completed",
        "output": items,
        "usage": {
            "input_tokens": n,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": n + 10,
        },
    }
    if not view.stream:
        return "application/json", json.dumps(resp)
    ev = [{"type": "response.created", "response": dict(resp, status="in_progress", output=[], usage=None)}]
    for i, it in enumerate(items):
        empty = dict(it, status="in_progress")
        if it["type"] == "message":
            empty["content"] = []
        elif it["type"] == "function_call":
            empty["arguments"] = ""
        else:
            empty["input"] = ""
        ev.append({"type": "response.output_item.added", "output_index": i, "item": empty})
        at = {"item_id": it["id"], "output_index": i}
        if it["type"] == "message":
            part = {"type": "output_text", "text": "", "annotations": []}
            ev.append(dict(at, type="response.content_part.added", content_index=0, part=part))
            ev += [dict(at, type="response.output_text.delta", content_index=0, delta=p) for p in _pieces(text)]
            ev.append(dict(at, type="response.output_text.done", content_index=0, text=text))
            ev.append(dict(at, type="response.content_part.done", content_index=0, part=dict(part, text=text)))
        elif it["type"] == "function_call":
            ev += [dict(at, type="response.function_call_arguments.delta", delta=p) for p in _pieces(it["arguments"])]
            ev.append(dict(at, type="response.function_call_arguments.done", arguments=it["arguments"]))
        else:
            ev.append(dict(at, type="response.custom_tool_call_input.done", input=it["input"]))
        ev.append({"type": "response.output_item.done", "output_index": i, "item": it})
    ev.append({"type": "response.completed", "response": resp})
    for i, e in enumerate(ev):
        e["sequence_number"] = i
    return "text/event-stream", _sse(ev, True)


RENDER = {"messages": render_messages, "chat": render_chat, "responses": render_responses}
