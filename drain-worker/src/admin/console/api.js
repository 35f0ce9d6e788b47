// The admin API. The token lives in this tab's session storage and nowhere else.

import { data } from "./dom.js";
import { code, hasCode, nodes, t } from "./i18n.js";
import { answered } from "./state.js";

const KEY = "spillway-token";
const WAIT_MS = 5000;
// A change waits for locks, and the worker looks for one whose COMMIT was not answered.
const CHANGE_WAIT_MS = 10000;
// A redrive needs credits of the cap, so a page may take long.
const WORK_WAIT_MS = 120000;

export const token = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

export class ApiError extends Error {
  constructor(status, message, problem = null) {
    super(message);
    this.status = status;
    // The problem document, if the worker sent one.
    this.problem = problem;
  }
}

/** @param {string} method @param {string} path @param {object} [body] @param {{ waitMs?: number, madeOn?: number }} [options] @returns {Promise<any>} */
async function call(method, path, body, { waitMs = method === "GET" ? WAIT_MS : CHANGE_WAIT_MS, madeOn } = {}) {
  const headers = { accept: "application/json" };
  if (madeOn !== undefined) headers["if-match"] = `"${madeOn}"`;
  if (body !== undefined) headers["content-type"] = "application/json";
  if (token.get()) headers.authorization = `Bearer ${token.get()}`;
  let response;
  let text;
  try {
    response = await fetch(path, {
      method, headers, cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(waitMs),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    text = await response.text();
  } catch (error) {
    const late = error.name === "TimeoutError";
    const what = late ? t("api.late", { n: waitMs / 1000 }) : t("api.unreachable");
    throw new ApiError(0, method === "GET" ? what : `${what} ${t("api.unanswered")}`);
  }
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError(response.status, t("api.not-json", { status: response.status }));
  }
  // Also those of a refusal. The poll stores the status.
  if (method !== "GET" && value?.settings) answered(value);
  if (!response.ok) throw new ApiError(response.status, value?.detail || value?.title || t("api.status", { status: response.status }), value);
  return value;
}

/** What an error says: the problem's title in the page's language, and the worker's own words. */
export function errorText(error) {
  const name = error.problem?.code;
  if (!name) return [error.message];
  return hasCode("problem", name) ? nodes("api.problem", { title: code("problem", name), detail: data(error.message) }) : [data(error.message)];
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined));

export const api = {
  status: () => call("GET", "/v1/status"),
  history: (step, since) => call("GET", `/v1/history?${query({ step, since })}`),
  access: () => call("GET", "/v1/access"),
  audit: (limit, before) => call("GET", `/v1/audit?${query({ limit, before })}`),
  letters: (wanted) => call("GET", `/v1/dead-letters?${query(wanted)}`),
  letter: (id) => call("GET", `/v1/dead-letters/${encodeURIComponent(id)}`),
  order: (id) => call("GET", `/v1/orders/${encodeURIComponent(id)}`),
  orders: (wanted) => call("GET", `/v1/orders?${query(wanted)}`),
  sales: () => call("GET", "/v1/sales"),
  sale: (id) => call("GET", `/v1/sales/${encodeURIComponent(id)}`),
  setRate: (body, madeOn) => call("PUT", "/v1/rate", body, { madeOn }),
  resetRate: (body, madeOn) => call("POST", "/v1/rate/reset", body, { madeOn }),
  setCeiling: (body, madeOn) => call("PUT", "/v1/ceiling", body, { madeOn }),
  clearCeiling: (body, madeOn) => call("POST", "/v1/ceiling/clear", body, { madeOn }),
  pause: (body) => call("PUT", "/v1/pause", body),
  endHold: (body) => call("POST", "/v1/resume", body),
  resume: (body, madeOn) => call("POST", "/v1/resume", { all: true, ...body }, { madeOn }),
  setSchedule: (body, madeOn) => call("PUT", "/v1/schedule", body, { madeOn }),
  previewSchedule: (body) => call("POST", "/v1/schedule/preview", body),
  clearSchedule: (body, madeOn) => call("POST", "/v1/schedule/clear", body, { madeOn }),
  cordon: (body) => call("POST", "/v1/worker/cordon", body),
  uncordon: (body) => call("POST", "/v1/worker/uncordon", body),
  redrive: (body) => call("POST", "/v1/dead-letters/redrive", body, { waitMs: WORK_WAIT_MS }),
  discard: (body) => call("POST", "/v1/dead-letters/discard", body, { waitMs: WORK_WAIT_MS }),
  restore: (body) => call("POST", "/v1/dead-letters/restore", body, { waitMs: WORK_WAIT_MS }),
};
