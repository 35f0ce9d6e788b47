// A model of the pool behind the API, for states that a real pool reaches slowly. It runs by the machine's clock.

const ISO = (ms) => new Date(ms).toISOString();

// As the API returns it.
const ORDER = {
  sequence: 7, order_id: "f535af2d-435c-88f9-8683-8ebf4a2826ab", state: "rejected", reason: "sold_out", sale_id: "sale", user_id: "alice", digest: "sha256:07",
  items: { FEW: { quantity: 1, unit_price_minor: 1999 } }, currency: "CNY", total_minor: 1999, client_reference: "basket 7", catalogue_revision: "r1",
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", accepted_at: "2026-11-11T00:00:00.123Z", decided_at: "2026-11-11T00:00:04.567Z", conflicts: 1,
};

export class Model {
  constructor() {
    this.began = Date.now();
    this.token = null;
    this.down = false;
    this.calls = [];
    this.revision = 1;
    this.settings = { default: 2000, manual: null, holds: [], schedule: null };
    this.waiting = 60000;
    this.workers = [this.worker(1), this.worker(2)];
    this.warnings = [];
    this.lagError = null;
    this.age = 0.1;
    this.perMessage = 64;
    this.arriving = 120;
    this.failures = 0;
    this.limit = "cap";
    this.letters = Array.from({ length: 3 }, (_, index) => this.letter(index + 1, index < 2 ? "unknown_sku" : "malformed_message"));
    this.entries = [];
    this.samples = [];
    for (let second = 240; second > 0; second -= 1) this.sample(this.began - second * 1000);
    this.last = this.began;
  }

  worker(number) {
    return {
      lease: String(number).repeat(32), name: `drain-${number}:41${number}7`, share: 1000, wanted: 2000, state: "draining", reason: null,
      commit_ms: { p50: 6.1, p99: 18.4 }, held_orders: 1000, joined_at: ISO(this.began - 3600e3), expires_in_ms: 2400,
    };
  }

  letter(id, reason) {
    return {
      id, order_id: reason === "unknown_sku" ? `f535af2d-435c-88f9-8683-8ebf4a28${6820 + id}` : null, message_id: `01A${id}`, reason,
      detail: reason === "unknown_sku" ? "no stock row for SKU HOT-9" : "byte 17 is no envelope", attempts: id, first_failed_at: ISO(this.began - 81000),
      last_failed_at: ISO(this.began - 1000 * id), payload_bytes: 412, discarded_at: null,
    };
  }

  cap() {
    const { settings } = this;
    settings.holds = settings.holds.filter(({ until }) => !until || Date.parse(until) > Date.now());
    const paused = settings.holds.length > 0;
    const ends = settings.holds.map(({ until }) => until);
    const { rate, ramp } = this.rate();
    const source = paused ? "paused" : settings.manual ? "manual" : settings.schedule ? "schedule" : "default";
    return { orders_per_second: paused ? 0 : rate, source, ramp: paused ? null : ramp, paused_until: ends.includes(null) ? null : ends.sort().at(-1) ?? null };
  }

  rate() {
    const { manual, schedule } = this.settings;
    if (!manual) return { rate: schedule ? schedule.entries[0].rate : this.settings.default, ramp: null };
    const [began, ends] = [Date.parse(manual.began_at), Date.parse(manual.ends_at)];
    const part = ends > began ? Math.min(1, (Date.now() - began) / (ends - began)) : 1;
    return { rate: Math.round(manual.from + (manual.to - manual.from) * part), ramp: part < 1 ? manual : null };
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
      at: ISO(at), cap: this.cap().orders_per_second, committed: committed * (1 - 0.02 * Math.abs(Math.sin(turn * 7))), lag_orders: this.lagError ? null : this.waiting,
      oldest_age_s: this.lagError ? null : this.waiting / 2000, p50_ms: 6 + Math.sin(turn), p99_ms: 18 + 4 * Math.sin(turn * 1.7),
      confirmed: committed * 0.6, sold_out: committed * 0.3, limit_exceeded: committed * 0.08, duplicate: 0, conflict: committed * 0.01, dead_lettered: 0,
    });
    if (this.samples.length > 900) this.samples.shift();
  }

  advance() {
    while (this.last + 1000 <= Date.now()) {
      this.last += 1000;
      this.waiting = Math.max(0, this.waiting - this.committed());
      this.sample(this.last);
    }
  }

  status() {
    const committed = this.committed();
    const live = this.workers.length || 1;
    return {
      group: "drain", worker: "drain-1:4117", now: ISO(Date.now()), age_s: this.age, cap: this.cap(), settings: { revision: this.revision, ...this.settings },
      committed_per_second: committed, arriving_per_second: this.lagError ? null : this.arriving,
      receive_failures_per_second: this.failures, limited_by: this.limit, commit_ms: { p50: 6.1, p99: 18.4 },
      totals: { confirmed: 1, sold_out: 2, limit_exceeded: 3, duplicate: 0, conflict: 0, dead_lettered: 3 },
      lag: this.lagError ? { error: this.lagError }
        : { messages: Math.ceil(this.waiting / 64), orders: this.perMessage ? Math.round(this.waiting) : null, orders_per_message: this.perMessage, oldest_age_s: this.waiting ? this.waiting / 2000 : null, source: "broker-metrics", as_of: ISO(Date.now()) },
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

  note(action, detail, body) {
    this.revision += 1;
    this.entries.unshift({ id: this.entries.length + 1, at: ISO(Date.now()), who: body.who || "", action, detail, reason: body.reason || "", revision: this.revision });
    return { settings: { revision: this.revision, ...this.settings }, cap: this.cap() };
  }

  chosen(body) {
    const of = (letter) => (body.ids ? body.ids.includes(letter.id) : body.dead_letter_reason ? letter.reason === body.dead_letter_reason : body.all === true);
    // One letter a page, so that the client must page.
    const found = this.letters.filter((letter) => letter.id > (body.after || 0) && !letter.discarded_at && of(letter));
    return { page: found.slice(0, 1), next: found.length > 1 ? found[0].id : null };
  }

  answer(method, url, body) {
    this.advance();
    this.calls.push({ method, path: url.pathname, query: Object.fromEntries(url.searchParams), body });
    const { settings } = this;
    switch (`${method} ${url.pathname}`) {
      case "GET /v1/status": return this.status();
      case "GET /v1/history": return this.history(url.searchParams);
      case "GET /v1/audit": return { entries: this.entries };
      case "PUT /v1/rate": {
        const from = this.cap().orders_per_second;
        settings.manual = { from: body.ramp_s ? from : body.rate, to: body.rate, began_at: ISO(Date.now()), ends_at: ISO(Date.now() + (body.ramp_s || 0) * 1000) };
        return this.note("rate_set", `${body.rate}/s${body.ramp_s ? ` over ${body.ramp_s} s` : ""}`, body);
      }
      case "POST /v1/rate/reset": settings.manual = null; return this.note("rate_reset", "", body);
      case "PUT /v1/pause": {
        const until = body.until || (body.for_s ? ISO(Date.now() + body.for_s * 1000) : null);
        settings.holds.push({ id: this.revision + 1, owner: body.who || "", reason: body.reason || "", since: ISO(Date.now()), until });
        return this.note("pause", `hold ${this.revision + 1}`, body);
      }
      case "POST /v1/resume": settings.holds = settings.holds.filter(({ id }) => !body.all && id !== body.hold); return this.note("resume", "", body);
      case "PUT /v1/schedule": settings.schedule = { time_zone: body.time_zone, entries: body.entries }; return this.note("schedule_set", `${body.entries.length} times`, body);
      case "POST /v1/schedule/clear": settings.schedule = null; return this.note("schedule_cleared", "", body);
      case "POST /v1/worker/cordon":
      case "POST /v1/worker/uncordon": {
        const isCordoned = url.pathname.endsWith("/cordon");
        this.workers[0].state = isCordoned ? "cordoned" : "draining";
        this.note(isCordoned ? "cordon" : "uncordon", this.workers[0].name, body);
        return { worker: this.workers[0].name, is_cordoned: isCordoned };
      }
      case "GET /v1/dead-letters": {
        const reason = url.searchParams.get("dead_letter_reason");
        const found = this.letters.filter((letter) => !reason || letter.reason === reason);
        const open = found.filter((letter) => !letter.discarded_at);
        return { letters: found, next: null, total: open.length, newest_id: Math.max(0, ...open.map((letter) => letter.id)) };
      }
      case "POST /v1/dead-letters/redrive": {
        const { page, next } = this.chosen(body);
        this.letters = this.letters.filter((letter) => !page.some((one) => one.id === letter.id && one.reason === "unknown_sku"));
        return { outcomes: page.map((letter) => ({ id: letter.id, order_id: letter.order_id, outcome: letter.reason === "unknown_sku" ? "confirmed" : "unreadable", detail: null })), next, stopped: null };
      }
      case "POST /v1/dead-letters/discard": {
        const { page, next } = this.chosen(body);
        for (const letter of page) letter.discarded_at = ISO(Date.now());
        return { outcomes: page.map((letter) => ({ id: letter.id, outcome: "discarded" })), next };
      }
      case "GET /v1/orders": return { orders: url.searchParams.get("user_id") === "alice" ? [ORDER] : [], next: null, dead_letters: [] };
      case `GET /v1/orders/${ORDER.order_id}`:
        return { order_id: ORDER.order_id, state: "rejected", reason: "sold_out", decided: ORDER, conflicts: [{ digest: "sha256:09", first_seen_at: ORDER.decided_at }], dead_letters: [] };
      case "GET /v1/sales": return { sales: [{ sale_id: "sale", skus: 1, stock_total: 10, stock_reserved: 10, closes_at: null }] };
      case "GET /v1/sales/sale": {
        const recent = { confirmed: 10, sold_out: 2, limit_exceeded: 0 };
        return { sale_id: "sale", recent, skus: [{ sku: "FEW", stock_total: 10, stock_reserved: 10, per_user_limit: null, recent }] };
      }
      default: {
        const letter = this.letters.find((one) => url.pathname === `/v1/dead-letters/${one.id}`);
        return letter && { ...letter, orders: letter.order_id ? [{ order_id: letter.order_id, sale_id: "sale", total_minor: 100, currency: "CNY" }] : null, payload_error: letter.order_id ? null : "byte 17" };
      }
    }
  }

  // The answer to a change that was made on other settings; null: it may be made.
  stale(method, path, body, tag) {
    const free = method === "GET" || path === "/v1/pause" || body.hold || path.startsWith("/v1/dead-letters") || path.startsWith("/v1/worker");
    if (free || tag === `"${this.revision}"`) return null;
    const changes = this.entries.filter(({ revision }) => `"${revision}"` > tag);
    return { status: 409, code: "settings_changed", title: "Settings changed", detail: "The settings have changed.", revision: this.revision, changes };
  }

  // Responds to the page's requests to `/v1/`, without a server.
  async serve(page) {
    await page.route("**/v1/**", async (route) => {
      const request = route.request();
      if (this.down) return route.abort("connectionrefused");
      const problem = (status, title, detail) => route.fulfill({ status, contentType: "application/problem+json", body: JSON.stringify({ type: "about:blank", title, status, detail }) });
      if (this.token && request.headers().authorization !== `Bearer ${this.token}`) return problem(401, "Unauthorized", "a token is needed");
      const path = new URL(request.url()).pathname;
      const stale = this.stale(request.method(), path, request.postDataJSON() || {}, request.headers()["if-match"]);
      if (stale) return route.fulfill({ status: 409, contentType: "application/problem+json", body: JSON.stringify(stale) });
      const answer = this.answer(request.method(), new URL(request.url()), request.postDataJSON() || {});
      if (this.refuse && request.method() !== "GET") return problem(422, "Unprocessable", this.refuse);
      return answer ? route.fulfill({ contentType: "application/json", body: JSON.stringify(answer) }) : problem(404, "Not found", "no such thing");
    });
  }
}
