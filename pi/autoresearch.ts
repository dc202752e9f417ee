// The guard for Pi: hands Pi's events to `autoresearch hook`, which decides. Nothing of Pi is imported at run time.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";

const TOOLS: Record<string, string> = { bash: "Bash", edit: "Edit", write: "Write" };

function session(cwd: string): boolean {
  for (let place = cwd; ; place = dirname(place)) {
    if (existsSync(join(place, "autoresearch.yaml"))) return true;
    if (place === dirname(place)) return false;
  }
}

function ask(cwd: string, event: Record<string, unknown>): any {
  if (process.env.AUTORESEARCH_HOOKS === "off" || !session(cwd)) return undefined;
  const done = spawnSync("autoresearch", ["hook"], {
    cwd,
    input: JSON.stringify({ cwd, session_id: `pi-${process.pid}`, ...event }),
    encoding: "utf8",
    timeout: 20000,
    env: {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PYTHON"))),
      PATH: [process.env.PATH, join(homedir(), ".local/bin")].join(delimiter),
    },
  });
  try {
    return done.stdout ? JSON.parse(done.stdout) : undefined;
  } catch {
    return undefined; // a guard that is out of order must not stop the agent
  }
}

export default function (pi: any) {
  let told = false;
  let source = "startup";
  let again = false;

  pi.on("session_compact", () => {
    told = false;
    source = "compact";
  });

  pi.on("before_agent_start", (_event: any, ctx: any) => {
    again = false;
    if (told) return;
    told = true;
    const answer = ask(ctx.cwd, { hook_event_name: "SessionStart", source });
    const content = answer?.hookSpecificOutput?.additionalContext;
    if (content) return { message: { customType: "autoresearch", content, display: false } };
  });

  pi.on("tool_call", (event: any, ctx: any) => {
    const tool = TOOLS[event.toolName];
    if (!tool) return;
    const { path, command } = event.input;
    const answer = ask(ctx.cwd, {
      hook_event_name: "PreToolUse",
      tool_name: tool,
      tool_input: { file_path: path, command },
    })?.hookSpecificOutput;
    if (answer?.permissionDecision === "deny") return { block: true, reason: answer.permissionDecisionReason };
  });

  pi.on("tool_result", (event: any, ctx: any) => {
    const text = event.content?.[0]?.text ?? "";
    if (event.toolName !== "bash" || text.length < 4000) return;
    const answer = ask(ctx.cwd, { hook_event_name: "PostToolUse", tool_name: "Bash", tool_response: text });
    if (answer?.decision === "block") return { content: [{ type: "text", text: answer.reason }] };
  });

  // At turn_end, because Pi 0.7x in print mode loses a follow-up that is queued at agent_end.
  pi.on("turn_end", (event: any, ctx: any) => {
    if (event.message?.stopReason !== "stop" || event.toolResults?.length) return;
    const answer = ask(ctx.cwd, { hook_event_name: "Stop", stop_hook_active: again });
    if (answer?.decision !== "block") return;
    again = true;
    pi.sendUserMessage(answer.reason, { deliverAs: "followUp" });
  });
}
