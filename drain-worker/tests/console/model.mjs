// A model of the pool behind the API, for states that a real pool reaches slowly. It runs by the machine's clock. Its answers
// are made of those of the real API (recorded.json), and each is compared with the shape of the recorded one.

import { readFileSync } from "node:fs";
import { differences, listsOf } from "./shapes.mjs";

const RECORDED = JSON.parse(readFileSync(new URL("recorded.json", import.meta.url)));
const LISTS = listsOf(Object.values(RECORDED).map(({ body }) => body));
const recorded = (name) => structuredClone(RECORDED[name].body);
const ISO = (ms) => new Date(ms).toISOString();
const PAGE = 50;

export const ORDER_ID = "f535af2d-435c-88f9-8683-8ebf4a2826ab";
const ORDER = {
  ...recorded("GET /v1/orders").orders[0],
  sequence: 7, order_id: ORDER_ID, state: "rejected", reason: "sold_out", sale_id: "sale", user_id: "alice", digest: "sha256:07",
  items: { FEW: { quantity: 1, unit_price_minor: 1999 } }, currency: "CNY", total_minor: 1999, client_reference: "basket 7", catalogue_revision: "r1",
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", accepted_at: "2026-11-11T00:00:00.123Z", decided_at: "2026-11-11T00:00:04.567Z", conflicts: 1,
};

export class Model {
  constructor() {
    this.began = Date.now();
    this.token = null;
    this.access = { ...recorded("GET /v1/access"), name: "", role: "operate" };
    this.down = false;
    this.calls = [];
    /** Answers that have not the recorded shape. */
    this.faults = [];
    this.revision = 1;
    this.settings = { default: 2000, manual: null, ceiling: null, holds: [], schedule: null };
    this.waiting = 60000;
    /** The part of the committed orders that the lag loses, so that a figure that a test awaits stays for a while. */
    this.pace = 1 / 20;
    this.base = recorded("GET /v1/status");
    this.workers = [this.worker(1), this.worker(2)];
    this.warnings = [];
    this.lagError = null;
    this.age = 0.1;
    this.perMessage = 64;
    this.arriving = 120;
    this.failures = 0;
    this.limit = "cap";
    this.reserved = 10;
    this.letters = Array.from({ length: 3 }, (_, index) => this.letter(index + 1, index < 2 ? "unknown_sku" : "malformed_message"));
    /** Buyers that have the order. */
    this.buyers = ["alice"];
    this.isCordoned = false;
    /** False: the database does not take the entry of a cordon. */
    this.isAudited = true;
    /** Called with each request's address before the answer: may wait, and may return a problem instead. */
    this.gate = null;
    this.entries = [];
    this.samples = [];
    for (let second = 240; second > 0; second -= 1) this.sample(this.began - second * 1000);
    this.last = this.began;
  }

  worker(number) {
    return {
      ...this.base.workers[0], lease: String(number).repeat(32), name: `drain-${number}:41${number}7`, share: 1000, wanted: 2000, state: "draining", reason: null, limit: null,
      commit_ms: { p50: 6.1, p99: 18.4 }, held_orders: 1000, joined_at: ISO(this.began - 3600e3), expires_in_ms: 2400,
    };
  }

  letter(id, reason) {
    return {
      ...recorded("GET /v1/dead-letters").letters[0],
      id, order_id: reason === "unknown_sku" ? `f535af2d-435c-88f9-8683-8ebf4a28${6820 + id}` : null, message_id: `01A${id}`, reason,
      detail: reason === "unknown_sku" ? "no stock row for SKU HOT-9" : "byte 17 is no envelope", attempts: id, first_failed_at: ISO(this.began - 81000),
      last_failed_at: ISO(this.began - 1000 * id), payload_bytes: 412, discarded_at: null, discarded_by: null, discarded_reason: null, restorable_until: null,
    };
  }

  cap() {
    const { settings } = this;
    settings.holds = settings.holds.filter(({ until }) => !until || Date.parse(until) > Date.now());
    const paused = settings.holds.length > 0;
    const ends = settings.holds.map(({ until }) => until);
    const { rate, ramp } = this.rate();
    const source = paused ? "paused" : settings.manual ? "manual" : settings.schedule ? "schedule" : "default";
    return { ...this.base.cap, orders_per_second: paused ? 0 : rate, source, ramp: paused ? null : ramp, paused_until: ends.includes(null) ? null : ends.sort().at(-1) ?? null };
  }

  rate({ ceiling } = this.settings) {
    const { manual, schedule } = this.settings;
    const bounded = (rate) => Math.min(rate, ceiling ?? Infinity);
    if (!manual) return { rate: bounded(schedule ? schedule.entries[0].rate : this.settings.default), ramp: null };
    const [began, ends] = [Date.parse(manual.began_at), Date.parse(manual.ends_at)];
    const part = ends > began ? Math.min(1, (Date.now() - began) / (ends - began)) : 1;
    return { rate: bounded(Math.round(manual.from + (manual.to - manual.from) * part)), ramp: part < 1 ? manual : null };
  }

  // The commit rate, by the number of healthy workers.
  committed() {
    const able = this.workers.filter((worker) => worker.state === "draining").length;
    const rate = this.workers.length ? (this.cap().orders_per_second * able) / this.workers.length : 0;
    return this.waiting > 0 ? rate * 0.985 : 0;
  }

  sample(at) {
    const committed = this.committed();
    const turn = at / 9000;
    this.samples.push({
      ...recorded("GET /v1/history").samples.at(-1),
      at: ISO(at), cap: this.cap().orders_per_second, committed: committed * (1 - 0.02 * Math.abs(Math.sin(turn * 7))), lag_orders: this.lagError ? null : this.waiting,
      oldest_age_s: this.lagError ? null : this.waiting / 2000, p50_ms: 6 + Math.sin(turn), p99_ms: 18 + 4 * Math.sin(turn * 1.7),
      confirmed: committed * 0.6, sold_out: committed * 0.3, limit_exceeded: committed * 0.08, duplicate: 0, conflict: committed * 0.01, dead_lettered: 0,
    });
    if (this.samples.length > 900) this.samples.shift();
  }

  advance() {
    while (this.last + 1000 <= Date.now()) {
      this.last += 1000;
      this.waiting = Math.max(0, this.waiting - this.committed() * this.pace);
      this.sample(this.last);
    }
  }

  status() {
    // A worker that has not joined: its answer is tested at the worker.
    if (this.unjoined) return { group: "drain", cap: null, workers: [], warnings: [], ...this.unjoined };
    const committed = this.committed();
    const live = this.workers.length || 1;
    const lag = {
      messages: Math.ceil(this.waiting / 64), orders: this.perMessage ? Math.round(this.waiting) : null, orders_per_message: this.perMessage,
      oldest_age_s: this.waiting ? this.waiting / 2000 : null, source: "broker-metrics", as_of: ISO(Date.now()),
    };
    return {
      ...this.base,
      group: "drain", worker: "drain-1:4117", is_cordoned: this.isCordoned, now: ISO(Date.now()), age_s: this.age, cap: this.cap(), settings: { revision: this.revision, ...this.settings },
      committed_per_second: committed, arriving_per_second: this.lagError ? null : this.arriving,
      receive_failures_per_second: this.failures, limited_by: this.limit, commit_ms: { p50: 6.1, p99: 18.4 },
      totals: { confirmed: 1, sold_out: 2, limit_exceeded: 3, duplicate: 0, conflict: 0, dead_lettered: 3 },
      lag: this.lagError ? { ...Object.fromEntries(Object.keys(lag).map((name) => [name, null])), error: this.lagError } : lag,
      eta: this.lagError ? null : this.eta(committed - this.arriving),
      dead_letters: this.counted(),
      workers: this.workers.map((worker) => ({ ...worker, committed_per_second: worker.state === "draining" ? committed / live : 0 })),
      warnings: this.warnings,
    };
  }

  history(parameters) {
    const since = Date.parse(parameters.get("since")) || 0;
    const isMinute = parameters.get("step") === "minute";
    const samples = isMinute ? this.minutes() : this.samples;
    return { step_s: isMinute ? 60 : 1, samples: samples.filter((sample) => Date.parse(sample.at) > since) };
  }

  // Three hours by minute, with an hour in which nothing was known.
  minutes() {
    const minutes = Array.from({ length: 180 }, (_, index) => ({ ...this.samples[0], at: ISO(this.began - (180 - index) * 60e3) }));
    return minutes.filter((_, index) => index < 60 || index >= 120);
  }

  // The forecast, by how many orders fewer wait after each second.
  eta(fewer) {
    if (fewer <= 0) return { trend: "growing", seconds: null, drained_at: null };
    return { trend: "draining", seconds: this.waiting / fewer, drained_at: ISO(Date.now() + (this.waiting / fewer) * 1000) };
  }

  counted() {
    const by = {};
    const open = this.letters.filter((letter) => !letter.discarded_at);
    for (const { reason } of open) by[reason] = (by[reason] || 0) + 1;
    return { total: open.length, by_reason: by, oldest_age_s: open.length ? 81 : null };
  }

  note(action, detail, body, [before, after] = [null, null], at = Date.now()) {
    this.revision += 1;
    this.entries.unshift({
      ...recorded("GET /v1/audit").entries[0], id: this.entries.length + 1, at: ISO(at), actor: this.access.name, who: body.who || "", action, detail, reason: body.reason || "", revision: this.revision, before, after,
    });
    return { settings: { revision: this.revision, ...this.settings }, cap: this.cap() };
  }

  // Makes a change of the settings, with the values before and after it.
  change(action, detail, body, names, make) {
    const values = () => ({ ...Object.fromEntries(names.map((name) => [name, structuredClone(this.settings[name])])), cap: this.cap().orders_per_second });
    const before = values();
    make(this.settings);
    return this.note(action, detail, body, [before, values()]);
  }

  chosen(body, stands = (letter) => !letter.discarded_at) {
    const of = (letter) => (body.ids ? body.ids.includes(letter.id) : body.dead_letter_reason ? letter.reason === body.dead_letter_reason : body.all === true);
    // One letter a page, so that the client must page.
    const found = this.letters.filter((letter) => letter.id > (body.after || 0) && stands(letter) && of(letter));
    return { page: found.slice(0, 1), next: found.length > 1 ? found[0].id : null };
  }

  // The problem of members that the request does not have; null: none.
  excess(body, ...names) {
    const name = names.find((one) => one in body);
    return name ? this.problem("400 invalid_request", `body: unknown field ${name}`) : null;
  }

  // The problem of a steep rise that is not confirmed; null: none. A pause does not count.
  steep(body, rate, from = this.rate().rate) {
    return rate > 2 * from && !body.confirm ? this.problem("409 confirmation_required", `${rate}/s is more than twice the present cap of ${from}/s`) : null;
  }

  setSchedule(body) {
    const highest = (schedule) => Math.max(0, ...(schedule?.entries ?? []).map(({ rate }) => rate));
    const make = (settings) => { settings.schedule = { time_zone: body.time_zone, entries: body.entries }; };
    const steep = this.steep(body, highest(body), Math.max(this.rate().rate, highest(this.settings.schedule)));
    return steep ?? this.change("schedule_set", `${body.entries.length} times`, body, ["schedule"], make);
  }

  clearCeiling(body) {
    return this.steep(body, this.rate({ ceiling: null }).rate) ?? this.change("ceiling_clear", "", body, ["ceiling"], (settings) => { settings.ceiling = null; });
  }

  setRate(body) {
    const from = this.cap().orders_per_second;
    const { ceiling } = this.settings;
    if (ceiling && body.rate > ceiling) return this.problem("409 above_ceiling", `${body.rate}/s is above the ceiling of ${ceiling}/s`);
    return this.steep(body, body.rate) ?? this.change("rate_set", `${body.rate}/s${body.ramp_s ? ` over ${body.ramp_s} s` : ""}`, body, ["manual"], (settings) => {
      settings.manual = { from: body.ramp_s ? from : body.rate, to: body.rate, began_at: ISO(Date.now()), ends_at: ISO(Date.now() + (body.ramp_s || 0) * 1000) };
    });
  }

  // Of schedules in UTC alone: that each step is right is tested at the worker.
  preview(body) {
    const { time_zone: zone, entries } = body;
    const excess = this.excess(body, "confirm");
    if (excess) return excess;
    if (zone.startsWith("Mars")) return this.problem("400 invalid_schedule");
    const faults = entries.flatMap((entry, index) => (entry.rate > (this.settings.ceiling ?? Infinity) ? [{ code: "above_ceiling", pointer: `/entries/${index}`, detail: "above the ceiling" }] : []));
    if (faults.length) return this.problem("409 above_ceiling: schedule", "above the ceiling", { errors: faults });
    const midnight = Math.floor(Date.now() / 86400e3) * 86400e3;
    const starts = [0, 1].flatMap((day) => entries.map(({ from, rate }) => ({ at: midnight + day * 86400e3 + (Number(from.slice(0, 2)) * 60 + Number(from.slice(3))) * 60e3, rate })));
    const now = Date.now();
    const later = starts.filter(({ at }) => at > now && at <= now + 86400e3).sort((left, right) => left.at - right.at);
    const steps = [{ at: ISO(now), orders_per_second: (later.at(-1) ?? starts[0]).rate }, ...later.map(({ at, rate }) => ({ at: ISO(at), orders_per_second: rate }))];
    return { ...recorded("POST /v1/schedule/preview"), from: ISO(now), until: ISO(now + 86400e3), steps, cap: this.cap(), settings: { revision: this.revision, ...this.settings } };
  }

  // Without a buyer, each answer is for a part of the orders; the third has one.
  orders(parameters) {
    if (parameters.has("user_id")) return { orders: this.buyers.includes(parameters.get("user_id")) ? [ORDER] : [], next: null, dead_letters: [] };
    if (!parameters.has("reference")) return this.problem("400 invalid_request", "user_id or reference must be given");
    const after = Number(parameters.get("after"));
    return { orders: after === 2000 && parameters.get("reference") === ORDER.client_reference ? [ORDER] : [], next: after < 3000 ? after + 1000 : null, dead_letters: [] };
  }

  answer(method, url, body) {
    this.advance();
    this.calls.push({ method, path: url.pathname, query: Object.fromEntries(url.searchParams), body });
    const { settings } = this;
    switch (`${method} ${url.pathname}`) {
      case "GET /v1/access": return this.access;
      case "GET /v1/status": return this.status();
      case "GET /v1/history": return this.history(url.searchParams);
      case "GET /v1/audit": {
        const limit = Number(url.searchParams.get("limit") ?? PAGE);
        const before = Number(url.searchParams.get("before") ?? Infinity);
        const entries = this.entries.filter(({ id }) => id < before).slice(0, limit);
        return { entries, next: entries.length < limit ? null : entries.at(-1).id };
      }
      case "PUT /v1/rate": return this.setRate(body);
      case "POST /v1/rate/reset": return this.change("rate_reset", "", body, ["manual"], () => { settings.manual = null; });
      case "PUT /v1/ceiling": return this.change("ceiling_set", `${body.rate}/s`, body, ["ceiling"], () => { settings.ceiling = body.rate; });
      case "POST /v1/ceiling/clear": return this.clearCeiling(body);
      case "PUT /v1/pause": {
        const until = body.until || (body.for_s ? ISO(Date.now() + body.for_s * 1000) : null);
        const id = this.revision + 1;
        const hold = { id, owner: body.who || "", reason: body.reason || "", since: ISO(Date.now()), until };
        return { ...this.change("pause", `hold ${id}`, body, ["holds"], () => { settings.holds.push(hold); }), hold: id };
      }
      case "POST /v1/resume": return this.change("resume", "", body, ["holds"], () => { settings.holds = settings.holds.filter(({ id }) => !body.all && id !== body.hold); });
      case "PUT /v1/schedule": return this.setSchedule(body);
      case "POST /v1/schedule/clear": return this.change("schedule_clear", "", body, ["schedule"], () => { settings.schedule = null; });
      case "POST /v1/schedule/preview": return this.preview(body);
      case "POST /v1/worker/cordon":
      case "POST /v1/worker/uncordon": {
        this.isCordoned = url.pathname.endsWith("/cordon");
        this.workers[0].state = this.isCordoned ? "cordoned" : "draining";
        if (this.isAudited) this.note(this.isCordoned ? "cordon" : "uncordon", this.workers[0].name, body);
        return { worker: this.workers[0].name, is_cordoned: this.isCordoned, is_audited: this.isAudited };
      }
      case "GET /v1/dead-letters": {
        const reason = url.searchParams.get("dead_letter_reason");
        const standing = url.searchParams.get("state") ?? "open";
        const found = this.letters.filter((letter) => (!reason || letter.reason === reason) && (standing === "all" || Boolean(letter.discarded_at) === (standing === "discarded")));
        return { letters: found, next: null, total: found.length, newest_id: Math.max(0, ...found.map((letter) => letter.id)) };
      }
      case "POST /v1/dead-letters/redrive": {
        const excess = this.excess(body, "newest_id", "count");
        if (excess) return excess;
        const { page, next } = this.chosen(body);
        this.letters = this.letters.filter((letter) => !page.some((one) => one.id === letter.id && one.reason === "unknown_sku"));
        return { outcomes: page.map((letter) => ({ id: letter.id, order_id: letter.order_id, outcome: letter.reason === "unknown_sku" ? "confirmed" : "unreadable", detail: null })), next, stopped: null };
      }
      case "POST /v1/dead-letters/discard": {
        const open = this.letters.filter((letter) => letter.id > (body.after || 0) && letter.id <= body.newest_id && !letter.discarded_at && (!body.dead_letter_reason || letter.reason === body.dead_letter_reason));
        if (body.count !== undefined && body.count !== open.length) return this.problem("409 settings_changed", `${open.length} dead letters are open, not ${body.count}.`, { code: "dead_letters_changed" });
        const { page, next } = this.chosen(body);
        for (const letter of page) Object.assign(letter, { discarded_at: ISO(Date.now()), discarded_by: body.who, discarded_reason: body.reason, restorable_until: ISO(Date.now() + 86_400_000) });
        return { ...recorded("POST /v1/dead-letters/discard"), outcomes: page.map((letter) => ({ id: letter.id, outcome: "discarded" })), next };
      }
      case "POST /v1/dead-letters/restore": {
        const excess = this.excess(body, "newest_id", "count");
        if (excess) return excess;
        const { page, next } = this.chosen(body, (letter) => letter.restorable_until);
        for (const letter of page) Object.assign(letter, { discarded_at: null, discarded_by: null, discarded_reason: null, restorable_until: null });
        return { ...recorded("POST /v1/dead-letters/restore"), outcomes: page.map(({ id }) => ({ id, outcome: "restored" })), next };
      }
      case "GET /v1/orders": return this.orders(url.searchParams);
      case `GET /v1/orders/${ORDER_ID}`:
        return { ...recorded("GET /v1/orders/id"), order_id: ORDER_ID, state: "rejected", reason: "sold_out", decided: ORDER, conflicts: [{ digest: "sha256:09", first_seen_at: ORDER.decided_at }], dead_letters: [] };
      case "GET /v1/sales": return { sales: [{ ...recorded("GET /v1/sales").sales[0], sale_id: "sale", skus: 1, stock_total: 10, stock_reserved: this.reserved, closes_at: null }] };
      case "GET /v1/sales/sale": {
        const recent = { confirmed: 10, sold_out: 2, limit_exceeded: 0 };
        return { sale_id: "sale", recent, skus: [{ ...recorded("GET /v1/sales/sale").skus[0], sku: "FEW", stock_total: 10, stock_reserved: this.reserved, per_user_limit: null, recent }] };
      }
      default: {
        const letter = this.letters.find((one) => url.pathname === `/v1/dead-letters/${one.id}`);
        const orders = [{ ...recorded("GET /v1/dead-letters/id").orders[0], order_id: letter?.order_id, sale_id: "sale", total_minor: 100, currency: "CNY" }];
        return letter ? { ...letter, orders: letter.order_id ? orders : null, payload_error: letter.order_id ? null : "byte 17" } : this.problem("404 order_not_found");
      }
    }
  }

  problem(name, detail, more = {}) {
    return { problem: name, ...recorded(name), ...(detail && { detail }), ...more };
  }

  // The problem of a change that was made on other settings; null: it may be made.
  stale(method, path, body, tag) {
    const free = method === "GET" || path === "/v1/pause" || body.hold || path.startsWith("/v1/dead-letters") || path.startsWith("/v1/worker") || path.endsWith("/preview");
    if (free || tag === `"${this.revision}"`) return null;
    const changes = this.entries.filter(({ revision }) => `"${revision}"` > tag);
    return this.problem("409 settings_changed", "The settings have changed.", { revision: this.revision, changes, settings: { revision: this.revision, ...this.settings }, cap: this.cap() });
  }

  // Responds to the page's requests to `/v1/`, without a server.
  async serve(page) {
    await page.route("**/v1/**", async (route) => {
      const request = route.request();
      if (this.down) return route.abort("connectionrefused");
      const [method, url, body] = [request.method(), new URL(request.url()), request.postDataJSON() || {}];
      const send = ({ problem, ...answer }, name) => {
        this.check(problem ?? name, answer);
        return route.fulfill({ status: problem ? answer.status : 200, contentType: problem ? "application/problem+json" : "application/json", body: JSON.stringify(answer) });
      };
      const refused = (status, code, detail) => send(this.problem("400 invalid_request", detail, { status, code }));
      if (this.token && request.headers().authorization !== `Bearer ${this.token}`) return refused(401, "unauthorized", "Send the admin token.");
      if (this.access.role === "read" && method !== "GET" && !url.pathname.endsWith("/preview")) return refused(403, "read_only", "This token may not change anything.");
      const instead = await this.gate?.(url);
      if (instead) return send(instead);
      const stale = this.stale(method, url.pathname, body, request.headers()["if-match"]);
      if (stale) return send(stale);
      if (this.refuse && method !== "GET") return refused(422, "invalid_request", this.refuse);
      return send(this.answer(method, url, body), `${method} ${url.pathname.replace(/(orders|dead-letters)\/(?!redrive|discard|restore).*/, "$1/id")}`);
    });
  }

  check(name, answer) {
    if (this.unjoined && name === "GET /v1/status") return;
    const like = RECORDED[name];
    const found = like ? differences(like.body, answer, name, LISTS) : [`${name} is not recorded`];
    // Members that are there only with a value. The recorded pool has no order with a second payload.
    this.faults.push(...found.filter((fault) => !/\.lag\.error is new$|\.days is missing$|\.conflicts\[\] is not recorded$/.test(fault)));
  }
}
