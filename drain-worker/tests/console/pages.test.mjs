// Pages, dead letters, languages, time zones, roles and access for all: against a model of the pool.

import assert from "node:assert/strict";
import test from "node:test";
import { BASE, agree, go, opened, picture, says, until } from "./browser.mjs";
import { faint, untranslated } from "./checks.mjs";
import { Model, ORDER_ID } from "./model.mjs";

const PAGES = ["overview", "sale", "letters", "orders", "audit"];

test("each page has an address, polls its own data alone, and the back button returns", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#state", "Draining");
    for (const name of PAGES) {
      await go(page, name);
      assert.match(page.url(), new RegExp(`#/${name}$`));
      assert.equal(await page.locator("#pages [aria-current=page]").getAttribute("href"), `#/${name}`);
      assert.equal(await page.locator("[data-page]:not([hidden])").count(), 1);
      assert.ok(await page.locator("#headline").isVisible() && await page.locator("#pause").isVisible());
      assert.equal(await page.evaluate(() => document.activeElement.tagName), "H2", "a screen reader reads on at the page's title");
    }
    await go(page, "sale");
    await says(page, "#skus", "FEW");
    model.calls.length = 0;
    model.reserved = 4;
    await says(page, "#skus", /FEW.*10.*4.*6/s);
    await until(page, () => ["/v1/status", "/v1/sales"].every((wanted) => model.calls.some(({ path }) => path === wanted)));
    const paths = [...new Set(model.calls.map(({ path }) => path))].filter((path) => path !== "/v1/access").sort();
    assert.deepEqual(paths, ["/v1/sales", "/v1/sales/sale", "/v1/status"]);
    await page.goBack();
    await page.locator("[data-page=audit]:not([hidden])").waitFor();
    await page.goto(`${page.url().split("#")[0]}#/nowhere`);
    await page.locator("[data-page=overview]:not([hidden])").waitFor();
  }, { model });
});

test("a reader's token shows everything and no control, as the worker says", async () => {
  const model = new Model();
  Object.assign(model.access, { name: "wall", role: "read" });
  model.settings.holds = [{ id: 5, owner: "bob", reason: "failover", since: model.status().now, until: null }];
  await opened(async (page) => {
    await says(page, "#read-only", "The token wall may read and not change anything");
    await says(page, "#holds", "Hold 5 by bob");
    for (const name of PAGES) {
      await go(page, name);
      const controls = await page.evaluate(() => [...document.querySelectorAll("[data-operate], [data-act=end], [data-act=select]")].filter((node) => node.offsetParent).length);
      assert.equal(controls, 0, name);
    }
    assert.ok(model.calls.every(({ method }) => method === "GET"));
    // An operator's token brings the controls.
    Object.assign(model.access, { name: "ops", role: "operate" });
    await page.click("#token-open");
    await page.fill("#token-value", "an-operators-token");
    await page.keyboard.press("Enter");
    await page.locator("#pause").waitFor();
    assert.ok(await page.locator("#read-only").isHidden());
  }, { model });
});

test("the ceiling is set and cleared, bounds rates, and a steep rise is asked for twice", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#ceiling", "None: any rate may be set.");
    await page.click("#ceiling-set");
    await page.fill("#ceiling-rate", "6000");
    await agree(page, "ann", "tune says so");
    await says(page, "#done", "Ceiling set to 6,000/s.");
    await says(page, "#ceiling", /6,000\/s.*no cap is above it/);
    await page.fill("#rate", "9000");
    await page.click("#rate-form button[type=submit]");
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", "Above the ceiling: 9000/s is above the ceiling of 6000/s");
    await page.click("#confirm-no");
    await page.fill("#rate", "5000");
    await page.click("#rate-form button[type=submit]");
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", "5000/s is more than twice the present cap of 2000/s Confirm again");
    assert.equal(model.settings.manual, null, "nothing is set yet");
    await page.click("#confirm-yes");
    await says(page, "#done", "Rate set to 5,000/s, at once.");
    // Another operator changes the settings while the dialog is open.
    await page.click("#ceiling-clear");
    model.answer("PUT", new URL("http://model/v1/ceiling"), { rate: 7000, who: "bob", reason: "a larger database" });
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", /ceiling set 7000\/s, by bob \(a larger database\)/);
    await page.click("#confirm-yes");
    await says(page, "#ceiling", "None");
  }, { model, mayFail: true });
});

test("a schedule and the end of a ceiling that could raise the cap steeply are asked for twice", async () => {
  const model = new Model();
  model.settings.ceiling = 900;
  await opened(async (page) => {
    await says(page, "#cap-source", /^900\/s/);
    await page.click("#ceiling-clear");
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", "2000/s is more than twice the present cap of 900/s Confirm again");
    assert.equal(model.settings.ceiling, 900, "it is not cleared yet");
    await page.click("#confirm-yes");
    await says(page, "#done", "Ceiling cleared.");
    await page.click("#schedule-edit");
    await page.locator(".editor .row input").nth(0).fill("02:00");
    await page.locator(".editor .row input").nth(1).fill("5000");
    await says(page, ".steps", "5,000/s");
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", "5000/s is more than twice the present cap of 2000/s Confirm again");
    // What is confirmed is what was refused, not an edit after it.
    await page.locator(".editor .row input").nth(1).fill("50000");
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", "50000/s is more than twice the present cap of 2000/s Confirm again");
    await page.click("#confirm-yes");
    await says(page, "#done", "Schedule changed.");
    const confirmed = (wanted) => model.calls.filter(({ path }) => path === wanted).map(({ body }) => body.confirm);
    assert.deepEqual([confirmed("/v1/ceiling/clear"), confirmed("/v1/schedule")], [[undefined, true], [undefined, undefined, true]]);
  }, { model, mayFail: true });
});

test("changes are marked on the plots, and each mark says what changed", async () => {
  const model = new Model();
  model.note("rate_set", "2000/s", { who: "ann", reason: "sale begins" }, [null, null], model.began - 100e3);
  model.note("cordon", "drain-1", { who: "ann" }, [null, null], model.began - 80e3);
  model.note("pause", "hold 2", { who: "bob", reason: "failover" }, [null, null], model.began - 60e3);
  await opened(async (page) => {
    const buttons = page.locator("#plot-committed .mark-button");
    await buttons.nth(1).waitFor();
    assert.equal(await buttons.count(), 2, "a cordon does not change the cap");
    assert.match(await buttons.nth(0).getAttribute("aria-label"), /^(?:\d+ \w+ )?\d\d:\d\d:\d\d: rate set 2000\/s, by ann \(sale begins\)\.$/);
    assert.equal(await page.locator("#plots line.mark").count(), 10, "on each of the plots");
    assert.ok(await page.locator(".mark-text").nth(1).isHidden());
    await buttons.nth(1).focus();
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Tab");
    assert.ok(await page.locator(".mark-text").nth(1).isVisible());
    // Each mark stands at the time that the server gives, between the grid's ends, which are 300 s apart.
    // What is drawn may be some polls old.
    await until(page, async () => {
      const [marks, begin, end] = await page.evaluate(() => {
        const grid = document.querySelector("#plot-committed .grid");
        return [[...document.querySelectorAll("#plot-committed line.mark")].map((line) => Number(line.getAttribute("x1"))), ...["x1", "x2"].map((side) => Number(grid.getAttribute(side)))];
      });
      const places = [60e3, 100e3].map((before) => begin + (end - begin) * (1 - (model.last - model.began + before) / 300e3));
      return marks.every((x, index) => Math.abs(x - places[index]) < ((end - begin) / 300) * 4);
    });
    await picture(page, "marks");
    await page.selectOption("#span", "86400");
    await says(page, "#plot-lag .tick", /^\d\d:\d\d$/);
    await page.selectOption("#span", "120");
    const change = model.setRate({ rate: 1500, who: "eve" });
    assert.ok(change.settings);
    await says(page, "#plot-committed .mark-text", /rate set 1500\/s, by eve/);
  }, { model });
});

// The time on a zone's clock, now or a minute later.
const clock = (zone) => {
  const text = (at) => new Date(at).toLocaleTimeString("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" });
  return new RegExp([0, 60e3].map((later) => text(Date.now() + later)).join("|"));
};

test("all times are in one zone that is named, also the end of a pause", async () => {
  const model = new Model();
  model.settings.schedule = { time_zone: "America/St_Johns", entries: [{ from: "02:00", rate: 2000 }] };
  await opened(async (page) => {
    await says(page, "#zone", /Asia\/Kath?mandu \(UTC\+5:45\).*UTC.*America\/St_Johns \(UTC-[23]:30\), the schedule’s/s);
    await says(page, "#foot", clock("Asia/Kathmandu"));
    await page.selectOption("#zone", "schedule");
    await says(page, "#foot", clock("America/St_Johns"));
    await page.reload();
    await says(page, "#foot", clock("America/St_Johns"));
    await page.click("#pause");
    await page.selectOption("#pause-kind", "until");
    await says(page, "#confirm-body", /Until, in America\/St_Johns \(UTC-[23]:30\)/);
    // Source: Python's zoneinfo, as in zones.json.
    await page.fill("#pause-until", "2026-11-01T01:15");
    await says(page, "#pause-reads", "2026-11-01T03:45:00.000Z");
    await agree(page, "ann", "");
    assert.equal(model.calls.findLast(({ path }) => path === "/v1/pause").body.until, "2026-11-01T03:45:00.000Z");
    await page.selectOption("#zone", "utc");
    await says(page, "#foot", clock("UTC"));
    await go(page, "orders");
    await page.fill("#order-wanted", "alice");
    await page.fill("#order-from", "2026-11-11T00:00");
    await page.fill("#order-to", "2026-11-11T01:00:30");
    await page.click("#order-find button");
    await says(page, "#orders", "basket 7");
    const { query } = model.calls.findLast(({ path }) => path === "/v1/orders");
    assert.deepEqual([query.from, query.to, query.user_id], ["2026-11-11T00:00:00.000Z", "2026-11-11T01:00:30.000Z", "alice"]);
  }, { model, context: { timezoneId: "Asia/Kathmandu" } });
});

test("a schedule's time zone that the browser does not know does not stop the page", async () => {
  const model = new Model();
  model.settings.schedule = { time_zone: "Mars/Olympus", entries: [{ from: "02:00", rate: 2000 }] };
  const localStorage = [{ name: "spillway-zone", value: "schedule" }];
  const storageState = { cookies: [], origins: [{ origin: new URL(BASE).origin, localStorage }] };
  await opened(async (page) => {
    await says(page, "#schedule", "Time zone Mars/Olympus");
    await says(page, "#zone", /^Asia\/Shanghai \(UTC\+8\)UTC$/);
    model.calls.length = 0;
    await until(page, () => model.calls.filter(({ path }) => path === "/v1/status").length > 2);
    await says(page, "#foot", clock("Asia/Shanghai"));
  }, { model, context: { timezoneId: "Asia/Shanghai", storageState } });
});

test("the audit trail is read by pages, with what each change replaced", async () => {
  const model = new Model();
  model.access.name = "ops";
  // The same day of the year is not today.
  model.note("pause", "hold 1", { who: "eve" }, [null, null], Date.UTC(new Date().getUTCFullYear() - 1, new Date().getUTCMonth(), new Date().getUTCDate()));
  for (let number = 1; number <= 120; number += 1) model.note("rate_set", `${number}/s`, { who: `ann ${number}` }, [{ cap: number, manual: null }, { cap: number + 1, manual: { from: number + 1, to: number + 1, began_us: 1, ends_us: 1 } }]);
  model.note("schedule_set", "UTC: 02:00 900/s", { who: "bob" }, [{ schedule: null }, { schedule: { time_zone: "UTC", entries: [{ from: "02:00", rate: 900, days: ["sat"] }] } }]);
  model.note("letters_redriven", "7", { who: "bob" }, [null, { selection: "unknown_sku", first: 1, last: 9, outcomes: { confirmed: 7, sold_out: 2 } }]);
  await opened(async (page) => {
    await go(page, "audit");
    const rows = page.locator("#audit tbody tr");
    await says(page, "#audit", /ops.*bob.*dead letters redriven.*7 confirmed, 2 sold out/s);
    await says(page, "#audit", /schedule.*none → .*UTC: 02:00 900\/s \(Sat\)/s);
    await says(page, "#audit", /ann 120.*rate set.*cap.*120\/s → .*121\/s.*manual rate.*none → .*121\/s/s);
    assert.equal(await rows.count(), 50);
    await page.click("#audit-older");
    await says(page, "#audit", "ann 72");
    await page.click("#audit-older");
    await says(page, "#audit", new RegExp(`\\d+ \\p{L}+ ${new Date().getUTCFullYear() - 1} 00:00:00.*eve`, "u"));
    assert.equal(await rows.count(), 23);
    assert.ok(await page.locator("#audit-older").isDisabled());
    await page.click("#audit-newest");
    await says(page, "#audit", "ann 120");
    await page.selectOption("#audit-action", "schedule_set");
    await page.waitForFunction(() => document.querySelectorAll("#audit tbody tr").length === 1);
  }, { model });
});

test("dead letters are listed by reason, shown, redriven, discarded and restored, with an outcome for each", async () => {
  const model = new Model();
  await opened(async (page) => {
    await says(page, "#letters-badge", "3");
    await go(page, "letters");
    await says(page, "#letters-reason", "unknown sku (2)");
    await page.selectOption("#letters-reason", "unknown_sku");
    await page.waitForFunction(() => document.querySelectorAll("#letters [data-letter]").length === 2);
    await page.click("[data-letter='1'] button");
    await says(page, "#letter-body", /"total_minor": 100/);
    await page.keyboard.press("Escape");
    await page.locator("#letter[open]").waitFor({ state: "detached" });
    await page.click("#redrive-all");
    await says(page, "#confirm-body", "All 2 of reason unknown sku");
    await agree(page, "bob", "catalogue mended");
    await says(page, "#outcomes-summary", "2 confirmed. Done.");
    await picture(page, "outcomes");
    assert.equal(await page.locator("#outcomes tbody tr").count(), 2, "page after page");
    await page.selectOption("#letters-reason", "");
    await page.check("[data-letter='3'] input");
    await page.click("#redrive-selected");
    await agree(page, "bob", "");
    await says(page, "#outcomes-summary", "1 unreadable. Done.");
    await page.check("[data-letter='3'] input");
    await page.click("#discard-selected");
    await says(page, "#confirm-body", "until then you can restore them");
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", "State a reason");
    await agree(page, "bob", "a test order");
    await says(page, "#outcomes-summary", "1 discarded. Done.");
    await says(page, "#letters", "None open.");
    await page.selectOption("#letters-standing", "discarded");
    await says(page, "#letters", /discarded (?:\d+ \w+ )?\d\d:\d\d:\d\d by bob: a test order/);
    assert.ok(await page.locator("[data-letter='3'] input").isDisabled());
    await page.click("[data-letter='3'] [data-act='restore']");
    await agree(page, "bob", "it was an order after all");
    await says(page, "#outcomes-summary", "1 restored. Done.");
    await page.selectOption("#letters-standing", "open");
    assert.ok(await page.locator("[data-letter='3'] input").isEnabled());
    assert.equal(await page.locator("[data-act='restore']").count(), 0, "what is open cannot be restored");
  }, { model });
});

test("all letters are discarded page after page, bounded by those that were seen, and restored", async () => {
  const model = new Model();
  await opened(async (page) => {
    await go(page, "letters");
    await says(page, "#letters-sum", "3");
    await page.click("#discard-all");
    await agree(page, "bob", "the sale was a test");
    await says(page, "#outcomes-summary", "3 discarded. Done.");
    await says(page, "#letters", "None open.");
    // All of it is undone as it was done: by reason, or as a whole.
    assert.ok(await page.locator("#restore-all").isHidden());
    await page.selectOption("#letters-standing", "discarded");
    await says(page, "#letters-reason", "unknown sku (–)");
    for (const button of ["#redrive-selected", "#redrive-all", "#discard-selected", "#discard-all"]) assert.ok(await page.locator(button).isHidden(), button);
    await page.selectOption("#letters-reason", "unknown_sku");
    await says(page, "#letters-sum", /^2$/);
    await page.click("#restore-all");
    await says(page, "#confirm-body", "All 2 of reason unknown sku: open again");
    await agree(page, "bob", "the sale was real");
    await says(page, "#outcomes-summary", "2 restored. Done.");
    await page.selectOption("#letters-reason", "");
    await says(page, "#letters-sum", /^1$/);
    await page.click("#restore-all");
    await agree(page, "bob", "");
    await says(page, "#outcomes-summary", "1 restored. Done.");
    const sent = model.calls.filter(({ path }) => path === "/v1/dead-letters/restore").map(({ body }) => [body.dead_letter_reason, body.all, body.after]);
    assert.deepEqual(sent, [["unknown_sku", undefined, 0], ["unknown_sku", undefined, 1], [undefined, true, 0]]);
    await page.selectOption("#letters-standing", "open");
    await says(page, "#letters-sum", /^3$/);
    assert.ok(await page.locator("#discard-all").isEnabled() && await page.locator("#restore-all").isHidden());
  }, { model });
});

test("a count of dead letters that is not known is no number", async () => {
  const model = new Model();
  await opened(async (page) => {
    await go(page, "letters");
    await says(page, "#letters-reason", "unknown sku (2)");
    await page.selectOption("#letters-reason", "unknown_sku");
    model.counted = () => null;
    await says(page, "#letters-reason", "all (–)");
    await says(page, "#letters-reason", "unknown sku (–)");
  }, { model });
});

test("every text of the console is Chinese for those who read Chinese, and the choice is kept", async () => {
  const model = new Model();
  Object.assign(model.workers[1], { state: "lease_expired", reason: "no heartbeat in time; its share is released", expires_in_ms: -8000 });
  Object.assign(model, { warnings: [{ code: "lease_expired", text: "lease expired of 1 of 2 workers" }, { code: "warning_of_tomorrow", text: "a warning of tomorrow" }] });
  model.settings.holds = [{ id: 9, owner: "ann", reason: "failover of the database", since: model.status().now, until: null }];
  model.settings.schedule = { time_zone: "Europe/Berlin", entries: [{ from: "02:00", rate: 3000, days: ["sat", "sun"] }] };
  model.note("rate_set", "2000/s", { who: "ann", reason: "the night is long" }, [{ cap: 1, manual: null }, { cap: 2, manual: null }]);
  await opened(async (page) => {
    await says(page, "#state", "已暂停");
    await says(page, "#warnings", /租约过期：2 个 Worker 中有 1 个.*a warning of tomorrow/);
    assert.equal(await page.getAttribute("html", "lang"), "zh-CN");
    const check = async (what) => assert.deepEqual(await untranslated(page), [], what);
    for (const name of PAGES) {
      await go(page, name);
      await check(name);
      await picture(page, `zh-${name}`);
    }
    for (const button of ["#pause", "#resume", "#token-open"]) {
      await page.click(button);
      await check(button);
      await page.keyboard.press("Escape");
    }
    await go(page, "overview");
    for (const button of ["#rate-reset", "#ceiling-set", "#schedule-edit", "#schedule-clear", "#cordon"]) {
      if (await page.locator(button).isDisabled()) continue;
      await page.click(button);
      await page.waitForTimeout(400);
      await check(button);
      await page.keyboard.press("Escape");
    }
    await go(page, "letters");
    await page.click("#redrive-all");
    await check("redrive");
    await agree(page, "ann", "");
    await says(page, "#outcomes-summary", /下单成功 2 条.*已完成/);
    await check("outcomes");
    // The letter that no redrive removes.
    await page.click("[data-letter='3'] [data-act=look]");
    await page.locator("#letter[open]").waitFor();
    await check("letter");
    await page.keyboard.press("Escape");
    await page.selectOption("#letters-standing", "discarded");
    await says(page, "#restore-all", "全部恢复…");
    await check("discarded");
    await go(page, "orders");
    await page.fill("#order-wanted", ORDER_ID);
    await page.press("#order-wanted", "Enter");
    await says(page, "#order-detail", /已拒单：已售罄/);
    await check("order");
    await page.fill("#order-wanted", ORDER_ID.replace("f", "0"));
    await page.press("#order-wanted", "Enter");
    await says(page, "#order-error", "订单不存在");
    await check("problem");
    // English is one choice away, and is kept.
    await page.selectOption("#language", "en");
    await says(page, "#state", "Paused");
    assert.equal(await page.getAttribute("html", "lang"), "en-GB");
    await page.reload();
    await says(page, "#state", "Paused");
  }, { model, mayFail: true, context: { locale: "zh-CN" } });
});

test("every control is reachable by keyboard, in order, and has a name", async () => {
  const model = new Model();
  model.note("rate_set", "2000/s", { who: "ann" }, [null, null], model.began - 60e3);
  await opened(async (page) => {
    await says(page, "#state", "Draining");
    await page.locator(".mark-button").waitFor();
    for (const name of PAGES) {
      await go(page, name);
      const unnamed = await page.evaluate(() => [...document.querySelectorAll("button, input, select, [tabindex='0']")]
        .filter((node) => node.offsetParent && !node.textContent.trim() && !node.getAttribute("aria-label") && !node.getAttribute("aria-labelledby") && !node.labels?.length)
        .map((node) => node.outerHTML.slice(0, 80)));
      assert.deepEqual(unnamed, [], name);
      const expected = await page.evaluate(() => {
        document.activeElement.blur();
        // Counted once: the page draws anew between the keys.
        [...document.querySelectorAll("*")].forEach((node, index) => { node.place = index; });
        return [...document.querySelectorAll("a[href], button, input, select, [tabindex='0']")].filter((node) => node.offsetParent && !node.disabled).length;
      });
      const reached = [];
      await page.focus(".skip");
      // A field of a date and time has several stops.
      for (let step = 0; step < expected + 16 && new Set(reached.map(({ at }) => at)).size < expected; step += 1) {
        reached.push(await page.evaluate(() => {
          const { activeElement: node } = document;
          return { at: node.place, ring: getComputedStyle(node).outlineStyle !== "none", what: node.id || node.className };
        }));
        await page.keyboard.press("Tab");
      }
      const places = reached.map(({ at }) => at);
      assert.deepEqual(places, [...places].sort((left, right) => left - right), `${name}: in order`);
      assert.equal(new Set(places).size, expected, `${name}: all of them`);
      assert.deepEqual(reached.slice(1).filter(({ ring }) => !ring).map(({ what }) => what), [], `${name}: the focus shows`);
    }
    await page.focus(".skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    // A plot's values are read with the arrow keys.
    await go(page, "overview");
    await page.focus("#plot-committed .plot");
    await page.keyboard.press("Home");
    assert.match(await page.locator("#plot-committed .plot").getAttribute("aria-label"), /against the cap at (?:\d+ \w+ )?\d\d:\d\d:\d\d: cap 2,000\/s, committed 1,9/);
  }, { model });
});

test("every text has the contrast that WCAG asks for, in dark and light", async () => {
  const model = new Model();
  Object.assign(model, { warnings: [{ code: "lease_expired", text: "lease expired of 1 of 2 workers" }] });
  const states = ["draining", "cordoned", "database_down", "idle"];
  model.workers = states.map((state, index) => ({ ...model.worker(index + 1), state }));
  model.note("rate_set", "2000/s", { who: "ann", reason: "sale begins" }, [{ cap: 1, manual: null }, { cap: 2, manual: null }]);
  model.settings.schedule = { time_zone: "UTC", entries: [{ from: "02:00", rate: 3000 }] };
  for (const colorScheme of ["light", "dark"]) {
    await opened(async (page) => {
      const check = async (what) => assert.deepEqual(await faint(page), [], `${what}, ${colorScheme}`);
      for (const name of PAGES) {
        await go(page, name);
        await check(name);
      }
      await go(page, "orders");
      await page.fill("#order-wanted", "alice");
      await page.press("#order-wanted", "Enter");
      await page.click("#orders button");
      await says(page, "#order-detail", "alice");
      await check("order");
      await go(page, "overview");
      for (const tone of ["good", "idle", "paused", "bad"]) {
        await page.evaluate((to) => { document.querySelector("#headline").dataset.state = to; }, tone);
        await page.waitForTimeout(20);
        await check(`headline ${tone}`);
      }
      await page.click("#schedule-edit");
      await page.locator(".steps").waitFor();
      await page.locator(".editor .row input").nth(1).fill("1");
      await check("schedule");
      await page.keyboard.press("Escape");
      await page.click("#pause");
      await check("pause");
    }, { model, context: { colorScheme, reducedMotion: "reduce" } });
  }
});

test("dark and light follow the system or the choice, and every page fits a phone", async () => {
  const model = new Model();
  const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await opened(async (page) => {
    await says(page, "#state", "Draining");
    const dark = await ground(page);
    await picture(page, "dark");
    await page.click("#theme");
    assert.notEqual(await ground(page), dark);
    await page.reload();
    assert.notEqual(await ground(page), dark, "it is remembered");
  }, { model, context: { colorScheme: "dark" } });
  model.note("rate_set", "2000/s", { who: "ann", reason: "x".repeat(200) }, [{ cap: 1, manual: null }, { cap: 2, manual: null }]);
  model.settings.holds = [{ id: 9, owner: "ann", reason: "x".repeat(200), since: model.status().now, until: null }];
  for (const locale of ["en-GB", "zh-CN"]) {
    await opened(async (page) => {
      const fits = async (what) => {
        const [wide, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.ok(wide <= shown, `${what}: ${wide} in ${shown}`);
      };
      for (const name of PAGES) {
        await go(page, name);
        await fits(name);
        await picture(page, `narrow-${locale}-${name}`);
      }
      await go(page, "orders");
      await page.fill("#order-wanted", "alice");
      await page.press("#order-wanted", "Enter");
      await page.click("#orders button");
      await says(page, "#order-detail", "alice");
      await fits("order");
    }, { model, context: { locale, viewport: { width: 390, height: 800 } } });
  }
});
