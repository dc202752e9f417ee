// What pi-autoresearch's own code makes of a project: node pi_autoresearch.mjs PACKAGE PROJECT
import { readFileSync } from "node:fs";

const [dir, project] = process.argv.slice(2);
const at = (name) => import(`${dir}/extensions/pi-autoresearch/${name}.ts`);
const { reconstructJsonlState, extractAutoresearchSessionName } = await at("jsonl");
const { sessionFilePath } = await at("paths");
const compaction = await at("compaction");

const log = readFileSync(sessionFilePath(project, "log"), "utf8");
const summary = compaction.buildAutoresearchCompactionSummary(compaction.autoresearchSummaryPathsFor(project));
console.log(JSON.stringify({ first: extractAutoresearchSessionName(log), state: reconstructJsonlState(log), summary }));
