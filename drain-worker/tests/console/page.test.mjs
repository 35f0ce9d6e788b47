// The page against a model of the pool that can be put into any state.

import assert from "node:assert/strict";
import test from "node:test";
import { agree, go, opened, picture, says, until } from "./browser.mjs";
import { Model } from "./model.mjs";

test("an operator sees lag, changes the rate, sees the drain follow, pauses and redrives", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#headline", /Draining 1,9\d\d\/s of 2,000\/s/);
    await says(page, "#tile-lag", /5\d,\d{3}.*messages/s);
    await says(page, "#tile-arriving", "120/s");
    await says(page, "#tile-limited", "cap");
    await says(page, "#state-reason", /orders wait, the oldest for \d+ s; drained in \d+ s, at (?:\d+ \w+ )?\d\d:\d\d/);
    model.arriving = 50000;
    model.limit = "database_latency";
    model.failures = 2;
    await says(page, "#state-reason", /orders wait, the oldest for \d+ s; growing/);
    await says(page, "#tile-limited", "database latency");
    await says(page, "#tile-arriving", /50,000\/s.*2\/s receives fail/s);
    Object.assign(model, { arriving: 120, limit: "cap", failures: 0 });
    await says(page, "#tile-limited", "cap");
    await says(page, "#workers", /drain-1:4117.*draining/s);
    assert.equal(await page.locator("#plots path[data-series]").count(), 10);
    await picture(page, "light");

    await page.fill("#rate", "3000");
    await page.click("#rate-form button[type=submit]");
    await says(page, "#confirm-body", "Now 2,000/s, default.");
    await picture(page, "confirm");
    assert.equal(model.settings.manual, null, "nothing is sent before it is confirmed");
    await agree(page, "ann", "sale is over");
    await says(page, "#done", "Rate set to 3,000/s, at once.");
    await says(page, "#headline", /Draining 2,9\d\d\/s of 3,000\/s/);
    await go(page, "audit");
    await says(page, "#audit", /ann.*rate set.*3,000\/s.*sale is over/s);
    await page.goBack();
    await page.locator("[data-page='overview']:not([hidden])").waitFor();
    assert.equal(await page.locator("#pages a[aria-current]").textContent(), "Overview");

    await page.fill("#rate", "500");
    await page.fill("#ramp", "60");
    await page.click("#rate-form button[type=submit]");
    await agree(page, "ann", "");
    await says(page, "#state-reason", /Ramp from 3,000\/s to 500\/s until/);
    assert.deepEqual(model.calls.findLast((call) => call.method === "PUT").body, { rate: 500, ramp_s: 60, who: "ann" });

    await page.click("#pause");
    await page.selectOption("#pause-kind", "for");
    await page.fill("#pause-minutes", "5");
    await agree(page, "ann", "maintenance");
    await says(page, "#headline", /Paused until (?:\d+ \w+ )?\d\d:\d\d:\d\d/);
    assert.equal(model.calls.findLast((call) => call.path === "/v1/pause").body.for_s, 300);
    await page.click("#resume");
    await agree(page, "ann", "");
    await says(page, "#state", "Draining");
    await page.click("#rate-reset");
    await agree(page, "ann", "");
    await says(page, "#cap-source", /2,000\/s.*default/);
  }, { model });
});

test("the worker that serves the page is cordoned and uncordoned", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#cordon", "Cordon drain-1:4117…");
    await page.click("#cordon");
    await says(page, "#confirm-title", "Cordon drain-1:4117?");
    await agree(page, "ann", "new kernel");
    await says(page, "#workers", /drain-1:4117.*cordoned/s);
    await go(page, "audit");
    await says(page, "#audit", /ann.*cordoned.*new kernel/s);
    await go(page, "overview");
    assert.deepEqual(model.calls.findLast(({ method }) => method === "POST").body, { who: "ann", reason: "new kernel" });
    await says(page, "#cordon", "Uncordon drain-1:4117…");
    await page.click("#cordon");
    await agree(page, "ann", "");
    await says(page, "#cordon", /^Cordon/);
    assert.equal(model.calls.findLast(({ method }) => method === "POST").path, "/v1/worker/uncordon");
  }, { model });
});

test("a cordon that the audit trail lacks says so, in both languages", async () => {
  const model = new Model();
  model.isAudited = false;
  await opened(async (page) => {
    await page.click("#cordon");
    await agree(page, "ann", "the database burns");
    await says(page, "#done", "drain-1:4117 cordoned. The audit trail lacks it: the database did not take the entry.");
    await page.selectOption("#language", "zh");
    await says(page, "#cordon", "解除隔离 drain-1:4117…");
    await page.click("#cordon");
    await agree(page, "ann", "");
    await says(page, "#done", "drain-1:4117 已解除隔离。但操作审计中没有该操作：数据库未写入记录。");
    await says(page, "#cordon", /^隔离/);
    model.isAudited = true;
    await page.click("#cordon");
    await agree(page, "ann", "");
    await says(page, "#done", /^drain-1:4117 已隔离。$/);
  }, { model });
});

test("the history is loaded once, and a day by minute has its gaps", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#state", "Draining");
    const asked = (step) => model.calls.filter(({ path, query }) => path === "/v1/history" && query.step === step);
    await until(page, () => asked("second").length > 2);
    const [first, second] = asked("second");
    assert.equal(first.query.since, undefined, "all of it");
    assert.ok(Date.parse(second.query.since) > model.began - 5000, "only what is new");
    const strokes = () => page.evaluate(() => document.querySelector("#plot-lag path.line").getAttribute("d").match(/M/g)?.length ?? 0);
    assert.equal(await strokes(), 1, "one line");
    await page.selectOption("#span", "21600");
    await until(page, async () => await strokes() === 2);
    assert.equal(asked("minute")[0].query.since, undefined);
  }, { model });
});

test("a change on a page that is not up to date says what others changed, and is made when confirmed again", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#state", "Draining");
    await page.fill("#rate", "3000");
    await page.click("#rate-form button[type=submit]");
    await page.locator("#confirm[open]").waitFor();
    // Meanwhile ann lowers the rate in an emergency.
    model.answer("PUT", new URL("http://model/v1/rate"), { rate: 500, who: "ann", reason: "the database burns" });
    await page.fill("#confirm-who", "bob");
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", /rate set 500\/s, by ann \(the database burns\).*Confirm again/);
    await picture(page, "conflict");
    assert.equal(model.settings.manual.to, 500, "nothing was done");
    // What was no steep rise from 2,000/s is one from 500/s.
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", "3000/s is more than twice the present cap of 500/s");
    await page.click("#confirm-yes");
    await says(page, "#done", "Rate set to 3,000/s, at once.");
    assert.equal(model.settings.manual.to, 3000);
  }, { model, mayFail: true });
});

test("a dialog shows the settings that it changes, also while the status is older than an answer", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#state", "Draining");
    const old = model.status();
    model.status = () => old;
    // A change by another operator, which the answer to the pause has and the status has not.
    model.answer("PUT", new URL("http://model/v1/rate"), { rate: 500, who: "bob" });
    await page.click("#pause");
    await agree(page, "ann", "");
    await says(page, "#headline", "Paused until resumed");
    await page.click("#resume");
    await says(page, "#confirm-body", /Now 0\/s, paused\..*Hold 3 by ann/);
    await agree(page, "ann", "");
    await page.fill("#rate", "900");
    await page.click("#rate-form button[type=submit]");
    await says(page, "#confirm-body", "Now 500/s, set by hand.");
    await page.click("#confirm-yes");
    await says(page, "#done", "Rate set to 900/s, at once.");
    await says(page, "#cap-source", /^900\/s/);
    delete model.status;
    model.arriving = 77;
    await says(page, "#tile-arriving", "77/s");
    await says(page, "#cap-source", /^900\/s/);
  }, { model });
});

test("a status that cannot be drawn does not end the polls", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#state", "Draining");
    const status = model.status();
    const thrown = page.waitForEvent("pageerror");
    model.status = () => ({ ...status, workers: null });
    await thrown;
    delete model.status;
    model.arriving = 77;
    await says(page, "#tile-arriving", "77/s");
  }, { model, mayThrow: true });
});

test("holds are listed with owner and reason, and the pool runs when none is left", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#state", "Draining");
    await page.click("#pause");
    await agree(page, "ann", "maintenance");
    await says(page, "#holds", /Hold 2 by ann since .* until resumed: maintenance/);
    await page.click("#pause");
    await page.selectOption("#pause-kind", "for");
    await page.fill("#pause-minutes", "10");
    await agree(page, "bob", "");
    await says(page, "#headline", "Paused until resumed");
    await page.getByRole("button", { name: "End hold 2" }).click();
    await agree(page, "ann", "it is done");
    await says(page, "#headline", /Paused until (?:\d+ \w+ )?\d\d:\d\d:\d\d/);
    await page.click("#resume");
    await says(page, "#confirm-body", /All holds end:.*Hold 3 by bob/);
    await agree(page, "ann", "bob agrees");
    await says(page, "#state", "Draining");
    assert.equal(await page.locator("#holds li").count(), 0);
  }, { model });
});

test("a buyer whose name looks like an order's id is found", async () => {
  const model = new Model();
  const name = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
  await opened(async (page) => {
    const find = async (wanted) => {
      await page.fill("#order-wanted", wanted);
      await page.press("#order-wanted", "Enter");
    };
    await go(page, "orders");
    await page.fill("#order-reference", "basket 7");
    await page.fill("#order-from", "2026-11-11T00:00");
    await find(name);
    await says(page, "#order-error", "Order not found: No such order.");
    model.buyers.push(name);
    await find(name);
    await says(page, "#orders", "basket 7");
    assert.equal(await page.locator("#order-error").textContent(), "");
    const { query } = model.calls.findLast(({ path }) => path === "/v1/orders");
    assert.deepEqual([query.user_id, query.reference, query.from], [name, "basket 7", "2026-11-11T00:00:00.000Z"]);
    // With some hyphens it is no order's id; the API would refuse it.
    model.buyers.push(name.replace("-", ""));
    await find(name.replace("-", ""));
    await says(page, "#orders", "basket 7");
    assert.equal(model.calls.filter(({ path }) => path === `/v1/orders/${name.replace("-", "")}`).length, 0);
  }, { model, mayFail: true });
});

test("the error of an earlier question does not stand over the answer to a later one", async () => {
  const model = new Model();
  let release = null;
  model.gate = async (url) => {
    if (url.searchParams.get("user_id") !== "bob") return null;
    await new Promise((resolve) => { release = resolve; });
    return model.problem("400 invalid_request", "user_id: bob is refused");
  };
  await opened(async (page) => {
    await go(page, "orders");
    for (const buyer of ["bob", "alice"]) {
      await page.fill("#order-wanted", buyer);
      await page.press("#order-wanted", "Enter");
      await until(page, () => release);
    }
    await says(page, "#orders", "basket 7");
    const late = page.waitForResponse((response) => response.url().includes("user_id=bob"));
    release();
    await (await late).finished();
    await page.waitForTimeout(200);
    assert.equal(await page.locator("#order-error").textContent(), "");
    assert.match(await page.locator("#orders").textContent(), /basket 7/);
  }, { model, mayFail: true });
});

test("an order is found by its id and by its buyer, and a sale shows why orders are rejected", async () => {
  await opened(async (page) => {
    await go(page, "orders");
    assert.equal((await page.locator("#order-error").boundingBox()).height, 0, "no error, no box");
    await page.fill("#order-wanted", "alice");
    await page.press("#order-wanted", "Enter");
    await says(page, "#orders", /rejected: sold out.*basket 7/s);
    await page.click("#orders button");
    await says(page, "#order-body", /Buyer.*alice.*Trace.*4bf92f3577b34da6a3ce929d0e0e4736/s);
    await says(page, "#order-body", /sha256:09/);
    await page.fill("#order-wanted", "f535af2d-435c-88f9-8683-8ebf4a2826ab");
    await page.press("#order-wanted", "Enter");
    await says(page, "#order-body", "Order f535af2d-435c-88f9-8683-8ebf4a2826ab");
    await page.fill("#order-wanted", "bob");
    await page.press("#order-wanted", "Enter");
    await says(page, "#orders", "No decided order.");
    await go(page, "sale");
    await says(page, "#sale-confirmed", /10.*83 %/);
    await says(page, "#sale-sold_out", /2.*17 %/);
    await says(page, "#skus", /FEW.*10.*10.*0/s);
  }, { model: new Model() });
});

test("each state has one line with its reason", async () => {
  const model = new Model();
  const [one, two] = model.workers;
  const put = (worker, state, reason) => Object.assign(worker, { state, reason });
  await opened(async (page) => {
    put(one, "backing_off", "commit p50 80 ms over 50 ms");
    await says(page, "#headline", /Backing off .*1 of 2 workers: commit p50 80 ms over 50 ms/s);
    await picture(page, "backing-off");
    put(two, "database_down", "connection refused");
    await says(page, "#headline", /Database down .*1 of 2 workers: connection refused/s);
    put(one, "cordoned", null);
    put(two, "cordoned", null);
    await says(page, "#headline", /Cordoned no worker receives/);
    model.workers = [];
    await says(page, "#headline", /No worker nothing is drained/);
    model.workers = [put(one, "idle", null)];
    model.waiting = 0;
    await says(page, "#state", "Drained");
    model.lagError = "refused";
    await says(page, "#headline", /Idle .*The lag is not known: refused/s);
    put(one, "broker_down", "connection refused");
    await says(page, "#headline", /Broker down .*connection refused/s);
    model.age = 60;
    put(one, "database_down", "no heartbeat was answered for 60 s");
    await says(page, "#connection", "figures are 60 s old");
    await says(page, "#headline", /Database down .*no heartbeat/s);
    model.age = 0.1;
    model.lagError = null;
    put(one, "draining", null);
    model.waiting = 50000;
    model.perMessage = null;
    await says(page, "#headline", /Draining.*7\d\d messages wait/s);
    model.lagError = "name the broker's metrics with --lag-metrics-url";
    await says(page, "#headline", /Draining.*The lag is not known: name the broker's metrics/s);
    model.warnings = [{ code: "of_tomorrow", text: "dead letters are 2 days old: the broker drops them after 3" }];
    await says(page, "#warnings", "2 days old");
    // Right under the headline.
    assert.equal(await page.evaluate(() => document.querySelector("#headline").nextElementSibling.id), "warnings");
  }, { model });
});

test("a worker that has not joined the pool says so, and why", async () => {
  const model = new Model();
  model.unjoined = { state: "database_down", reason: "connection refused (10.0.0.7:3306)" };
  await opened(async (page) => {
    await says(page, "#headline", /Database down .*connection refused \(10\.0\.0\.7:3306\)/s);
    await says(page, "#connection", "no figures yet");
    assert.ok(await page.locator("#pause").isDisabled(), "what the pool does is not known");
    model.unjoined = { state: "joining", reason: null };
    await says(page, "#state", "Joining the pool");
    model.unjoined = null;
    await says(page, "#state", "Draining");
    assert.ok(await page.locator("#pause").isEnabled());
  }, { model });
});

test("a lost worker is reported and its figures turn grey until it responds", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#state", "Draining");
    model.down = true;
    await says(page, "#trouble", "The worker cannot be reached.");
    await page.locator("body.stale").waitFor();
    await says(page, "#connection", /figures are .* old/);
    model.down = false;
    await page.locator("body:not(.stale)").waitFor();
    await page.locator("#trouble").waitFor({ state: "hidden" });
  }, { model, mayFail: true });
});

test("the token is requested, sent with every call, and stored in this tab only", async () => {
  const model = new Model();
  model.token = "s3cret";
  await opened(async (page) => {
    await page.locator("#token[open]").waitFor();
    await page.fill("#token-value", "wrong");
    await page.keyboard.press("Enter");
    await says(page, "#trouble", "requires a valid token");
    await page.click("#token-open");
    await page.fill("#token-value", "s3cret");
    await page.keyboard.press("Enter");
    await says(page, "#state", "Draining");
    assert.ok(!(await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie)).includes("s3cret"));
    await page.click("#token-open");
    await page.click("#token-forget");
    await says(page, "#trouble", "requires a valid token");
    const asked = () => model.calls.length;
    const before = asked();
    await page.click("#token-open");
    await page.keyboard.press("Escape");
    await page.locator("#token[open]").waitFor({ state: "detached" });
    assert.equal(asked(), before, "without a token nothing is returned");
  }, { model, mayFail: true });
});

test("the dialog stays open and shows the API's error", async () => {
  const model = new Model();
  model.refuse = "rate: must be 1 to 1000000";
  await opened(async (page) => {
    await page.fill("#rate", "7");
    await page.click("#rate-form button[type=submit]");
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", "must be 1 to 1000000");
    await page.keyboard.press("Escape");
    await page.locator("#confirm[open]").waitFor({ state: "detached" });
  }, { model, mayFail: true });
});

test("text from other users is never markup", async () => {
  const hostile = "</script><img src=x onerror=\"document.body.dataset.hacked=1\">";
  const model = new Model();
  Object.assign(model.workers[0], { name: hostile, state: "backing_off", reason: hostile });
  model.warnings = [{ code: hostile, text: hostile }];
  model.letters[0].reason = hostile;
  model.letters[0].detail = hostile;
  model.settings.holds = [{ id: 5, owner: hostile, reason: hostile, since: model.status().now, until: null }];
  model.note("rate_set", hostile, { who: hostile, reason: hostile }, [{ cap: 1, [hostile]: 1 }, { cap: 2, [hostile]: hostile }]);
  model.note(hostile, hostile, { who: hostile, reason: hostile });
  const shown = async (page, places) => {
    for (const place of places) await says(page, place, "<img src=x");
    assert.equal(await page.locator("img").count(), 0);
    assert.equal(await page.evaluate(() => document.body.dataset.hacked), undefined);
  };
  for (const locale of ["en-GB", "zh-CN"]) {
    await opened(async (page) => {
      await shown(page, ["#workers", "#holds", "#warnings", "#plot-committed .mark-text"]);
      await go(page, "letters");
      await shown(page, ["#letters", "#letters-reason"]);
      await go(page, "audit");
      await shown(page, ["#audit"]);
    }, { model, context: { locale } });
  }
});

test("a schedule is edited as a whole, from the keyboard, beside its preview and its faults", async () => {
  const model = new Model();
  model.settings.ceiling = 4000;
  await opened(async (page) => {
    await says(page, "#schedule", "None: the default of 2,000/s applies all day.");
    await page.focus("#schedule-edit");
    await page.keyboard.press("Enter");
    const row = page.locator(".editor .row");
    const field = (number, place) => row.nth(number).locator("input").nth(place);
    await page.fill("#schedule-zone", "Mars/Olympus");
    await field(0, 0).fill("02:00");
    await field(0, 1).fill("5000");
    await says(page, ".editor .fault", "This is no time zone");
    await page.fill("#schedule-zone", "UTC");
    await says(page, ".editor .row .fault", "This rate is above the ceiling.");
    await field(0, 1).fill("3000");
    await says(page, ".steps", /now 3,000\/s/);
    await page.getByRole("button", { name: "Add a time" }).press("Enter");
    await field(1, 0).fill("08:00");
    await field(1, 1).fill("500");
    await says(page, ".steps", /02:00 3,000\/s/);
    await says(page, ".steps", /08:00 500\/s/);
    assert.equal(await page.locator(".step-plot path.line").count(), 1);
    assert.equal(await page.locator(".editor .fault:not(:empty)").count(), 0, "no fault is left");
    await picture(page, "schedule");
    await page.focus("#confirm-reason");
    await page.keyboard.press("Enter");
    await says(page, "#schedule", /02:00 3,000\/s.*08:00 500\/s.*Time zone UTC/s);
    const sent = model.calls.filter(({ path }) => path === "/v1/schedule/preview");
    assert.ok(sent.length < 12, `${sent.length} previews: the page waits until the operator rests`);
    await page.click("#schedule-clear");
    await agree(page, "ann", "");
    await says(page, "#schedule", "None");
  }, { model, mayFail: true });
});

test("the preview says that holds and a manual rate override the schedule", async () => {
  const model = new Model();
  model.setRate({ rate: 700 });
  model.settings.holds = [{ id: 5, owner: "bob", reason: "failover", since: model.status().now, until: null }];
  await opened(async (page) => {
    await page.click("#schedule-edit");
    await page.locator(".editor .row input").nth(0).fill("02:00");
    await page.locator(".editor .row input").nth(1).fill("900");
    await says(page, ".preview .note", /the cap is 0\/s.*Hold 5 by bob.*failover.*Manual rate of 700\/s/s);
  }, { model });
});

test("days of a schedule are shown, edited, and kept by other edits", async () => {
  const model = new Model();
  model.settings.schedule = {
    time_zone: "Asia/Shanghai",
    entries: [{ from: "08:00", rate: 500 }, { from: "00:00", rate: 4000, days: ["sat", "sun"] }, { from: "00:00", rate: 3000, days: ["mon"] }],
  };
  await opened(async (page) => {
    await says(page, "#schedule", /00:00 4,000\/s, Sat, Sun only/);
    await page.click("#schedule-edit");
    const row = page.locator(".editor .row");
    await row.nth(0).locator("input").nth(1).fill("600");
    await row.nth(2).getByLabel("Days").fill("mon, tue");
    await agree(page, "ann", "");
    await says(page, "#schedule", /08:00 600\/s.*00:00 3,000\/s, Mon, Tue only/s);
    assert.deepEqual(model.settings.schedule.entries, [
      { from: "08:00", rate: 600, days: [] }, { from: "00:00", rate: 4000, days: ["sat", "sun"] }, { from: "00:00", rate: 3000, days: ["mon", "tue"] },
    ]);
  }, { model });
});
