// Places one order and waits for its outcome: node order.mjs URL FILE KEY

import { readFile } from "node:fs/promises";

const ATTEMPTS_MAX = 10;
const POLLS_MAX = 300;

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Returns status, JSON and the wait that the answer asks for; status 0 without an answer. */
async function call(url, options = {}) {
  try {
    const answer = await fetch(url, { ...options, signal: AbortSignal.timeout(15_000) });
    const wait = answer.headers.get("retry-after");
    const content = await answer.json().catch(() => ({}));
    return { status: answer.status, content, wait: /^\d+$/.test(wait ?? "") ? Number(wait) : undefined };
  } catch {
    return { status: 0, content: {} };
  }
}

/** Sends the order until it is accepted. Each attempt has the same key, so it stays one order. */
async function place(url, body, key) {
  let last;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
    last = await call(`${url}/v1/orders`, { method: "POST", headers, body });
    const { status, content, wait } = last;
    if (status === 202) return content;
    // A gateway's or platform's answer has no `retryable`; only its 4xx are the client's fault.
    if (!(content.retryable ?? (status < 400 || [408, 429].includes(status) || status >= 500))) break;
    await sleep(wait ?? Math.min(30, 2 ** attempt) * (0.5 + Math.random() / 2));
  }
  throw new Error(`not accepted: ${last.status} ${JSON.stringify(last.content)}`);
}

/** Asks until the order is decided. A 404 means that it is still queued. */
async function outcome(url, orderId) {
  let last;
  for (let poll = 0; poll < POLLS_MAX; poll += 1) {
    last = await call(`${url}/v1/orders/${orderId}`);
    if (last.status === 200 && ["confirmed", "rejected"].includes(last.content.state)) return last.content;
    if ([400, 401, 403].includes(last.status)) break;
    await sleep(last.wait ?? 2);
  }
  throw new Error(`no outcome: ${last.status} ${JSON.stringify(last.content)}`);
}

if (process.argv.length !== 5) {
  console.error("node order.mjs URL FILE KEY");
  process.exit(2);
}
const [url, file, key] = process.argv.slice(2);
const accepted = await place(url, await readFile(file), key);
const decided = await outcome(url, accepted.order_id);
console.log(decided.order_id, decided.state, decided.reason ?? "");
process.exitCode = decided.state === "confirmed" ? 0 : 1;
