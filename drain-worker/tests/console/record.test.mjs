// The answers of the real API, which the model of the page's tests is made of. The test compares their shape with
// recorded.json; after a change of the API, CONSOLE_RECORD=$PWD/drain-worker/tests/console/recorded.json writes that file.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { differences } from "./shapes.mjs";

const BASE = process.env.CONSOLE_URL;
const WRITE = process.env.CONSOLE_RECORD;
const PATIENCE_MS = 30000;
const ABSENT = "00000000-0000-4000-8000-000000000000";

const answers = {};

async function call(method, path, body, tag) {
  const headers = { "content-type": "application/json", ...(tag && { "if-match": tag }) };
  const response = await fetch(new URL(path, BASE), { method, headers, body: body && JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}

async function record(name, status, method, path, body, tag = "*") {
  const answer = await call(method, path, body, method === "GET" ? undefined : tag);
  assert.equal(answer.status, status, `${name}: ${JSON.stringify(answer.body)}`);
  answers[name] = answer;
  return answer.body;
}

// Asks until the answer is complete.
async function recordOnce(name, path, isComplete) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const body = await record(name, 200, "GET", path);
    if (isComplete(body)) return body;
    assert.ok(Date.now() < end, `${name}: ${JSON.stringify(body)}`);
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
}

test("the API's answers have the shape that is recorded", async () => {
  await recordOnce("GET /v1/status", "/v1/status", (body) => body.cap && body.lag.orders > 0 && !body.lag.error && body.eta && body.dead_letters?.total > 0 && body.commit_ms.p50 && body.workers.every(({ commit_ms: ms }) => ms.p50));
  await record("GET /v1/access", 200, "GET", "/v1/access");
  const history = await recordOnce("GET /v1/history", "/v1/history?step=second", ({ samples }) => samples.length > 3 && samples.at(-1).lag_orders !== null && samples.at(-1).p50_ms !== null);
  history.samples = history.samples.slice(-2);
  await record("GET /v1/sales", 200, "GET", "/v1/sales");
  await record("GET /v1/sales/sale", 200, "GET", "/v1/sales/sale");
  const orders = await recordOnce("GET /v1/orders", "/v1/orders?user_id=ann&limit=2", (page) => page.orders.length === 2);
  await record("GET /v1/orders/id", 200, "GET", `/v1/orders/${orders.orders[0].order_id}`);
  const letters = await record("GET /v1/dead-letters", 200, "GET", "/v1/dead-letters");
  letters.letters = letters.letters.slice(0, 1);
  await record("GET /v1/dead-letters/id", 200, "GET", `/v1/dead-letters/${letters.letters[0].id}`);

  const note = { who: "ann", reason: "a test" };
  const schedule = { time_zone: "Europe/Berlin", entries: [{ from: "02:00", rate: 150 }, { from: "08:00", rate: 90, days: ["sat", "sun"] }] };
  await record("PUT /v1/ceiling", 200, "PUT", "/v1/ceiling", { rate: 400, ...note });
  await record("PUT /v1/rate", 200, "PUT", "/v1/rate", { rate: 150, ramp_s: 600, ...note });
  await record("PUT /v1/schedule", 200, "PUT", "/v1/schedule", { ...schedule, ...note });
  const { hold } = await record("PUT /v1/pause", 200, "PUT", "/v1/pause", { for_s: 600, ...note });
  await record("POST /v1/schedule/preview", 200, "POST", "/v1/schedule/preview", schedule);
  await recordOnce("GET /v1/settings", "/v1/settings", () => true);
  await recordOnce("GET /v1/status: paused", "/v1/status", (body) => body.cap.source === "paused" && body.settings.schedule);
  await record("POST /v1/dead-letters/redrive", 200, "POST", "/v1/dead-letters/redrive", { ids: [999999], ...note });
  await record("POST /v1/dead-letters/discard", 200, "POST", "/v1/dead-letters/discard", { ids: [999999], ...note });
  await record("POST /v1/dead-letters/restore", 200, "POST", "/v1/dead-letters/restore", { ids: [999999], ...note });

  await record("409 settings_changed", 409, "PUT", "/v1/rate", { rate: 150, ...note }, '"0"');
  await record("409 confirmation_required", 409, "PUT", "/v1/rate", { rate: 390, ...note });
  await record("409 above_ceiling", 409, "PUT", "/v1/rate", { rate: 900, ...note });
  await record("409 above_ceiling: schedule", 409, "POST", "/v1/schedule/preview", { ...schedule, entries: [{ from: "02:00", rate: 900 }] });
  await record("400 invalid_schedule", 400, "POST", "/v1/schedule/preview", { time_zone: "Mars/Olympus", entries: [{ from: "02:00", rate: 1 }] });
  await record("400 invalid_request", 400, "PUT", "/v1/rate", { rate: "much" });
  await record("404 order_not_found", 404, "GET", `/v1/orders/${ABSENT}`);
  await record("404 hold_not_found", 404, "POST", "/v1/resume", { hold: 999999 });

  await record("POST /v1/resume", 200, "POST", "/v1/resume", { hold, ...note });
  await record("POST /v1/rate/reset", 200, "POST", "/v1/rate/reset", note);
  await record("POST /v1/schedule/clear", 200, "POST", "/v1/schedule/clear", note);
  await record("POST /v1/ceiling/clear", 200, "POST", "/v1/ceiling/clear", note);
  await record("POST /v1/worker/cordon", 200, "POST", "/v1/worker/cordon", note);
  // A warning that does not depend on the pool's speed.
  const { warnings } = await recordOnce("GET /v1/status: cordoned", "/v1/status", (body) => body.warnings.some(({ code }) => code === "cordoned"));
  answers["GET /v1/status: cordoned"].body = { warnings };
  await record("POST /v1/worker/uncordon", 200, "POST", "/v1/worker/uncordon", note);
  const audit = await record("GET /v1/audit", 200, "GET", "/v1/audit?limit=50");
  const acts = new Map(audit.entries.map((act) => [act.action, act]));
  audit.entries = [...acts.values()];

  if (WRITE) return writeFileSync(WRITE, `${JSON.stringify(answers, null, 1)}\n`);
  const recorded = JSON.parse(readFileSync(new URL("recorded.json", import.meta.url)));
  const names = [...new Set([...Object.keys(recorded), ...Object.keys(answers)])];
  const found = names.flatMap((name) => differences(recorded[name] ?? {}, answers[name] ?? {}, name));
  return assert.deepEqual(found, [], "write recorded.json anew, and follow the change in the console");
});
