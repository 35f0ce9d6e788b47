// The page's polls, when answers come late.

import assert from "node:assert/strict";
import test from "node:test";
import { agree, go, opened, says, until } from "./browser.mjs";
import { Model } from "./model.mjs";

test("a page that is opened while the last one still loads gets its data with its first poll", async () => {
  const model = new Model();
  // The last load of the overview's first round, and from then on the status.
  const held = {};
  model.gate = async ({ pathname }) => {
    if (pathname === "/v1/audit" || (held["/v1/audit"] && pathname === "/v1/status")) await new Promise((resolve) => { held[pathname] = resolve; });
    return null;
  };
  await opened(async (page) => {
    await until(page, () => held["/v1/audit"]);
    await page.click('#pages a[href="#/sale"]');
    await until(page, () => held["/v1/status"]);
    // The overview's round ends while that of the sale page waits for the status.
    const late = page.waitForResponse((response) => response.url().includes("/v1/audit"));
    held["/v1/audit"]();
    await (await late).finished();
    await page.waitForTimeout(200);
    model.gate = null;
    const before = model.calls.length;
    held["/v1/status"]();
    const paths = () => model.calls.slice(before).map(({ path }) => path);
    await until(page, () => paths().filter((path) => path === "/v1/status").length > 1);
    const [sales, poll] = [paths().indexOf("/v1/sales"), paths().lastIndexOf("/v1/status")];
    assert.ok(sales >= 0 && sales < poll, `before the next poll: ${paths()}`);
  }, { model });
});

test("an order is found by its reference alone, part by part of all orders", async () => {
  const model = new Model();
  let release = null;
  model.gate = async ({ searchParams }) => {
    if (searchParams.get("after") === "1000") await new Promise((resolve) => { release = resolve; });
    return null;
  };
  await opened(async (page) => {
    await go(page, "orders");
    await page.press("#order-wanted", "Enter");
    await says(page, "#order-error", "user_id or reference must be given");
    await page.fill("#order-from", "2026-11-11T00:00");
    await page.fill("#order-reference", "basket 7");
    await page.press("#order-reference", "Enter");
    await until(page, () => release);
    await says(page, "#order-body", "Loading …");
    model.gate = null;
    release();
    await says(page, "#orders", "basket 7");
    const asked = model.calls.filter(({ path }) => path === "/v1/orders").slice(1).map(({ query }) => query);
    assert.deepEqual(asked.map(({ after }) => after), ["0", "1000", "2000"]);
    assert.ok(asked.every(({ user_id: buyer, from }) => buyer === undefined && from === "2026-11-11T00:00:00.000Z"));
    await page.fill("#order-reference", "basket 8");
    await page.press("#order-reference", "Enter");
    await says(page, "#order-body", "No decided order.");
  }, { model, mayFail: true });
});

// A revision that the page does not know would make each change a conflict.
test("nothing can be changed before the first status", async () => {
  const model = new Model();
  const controls = ["rate-set", "rate-reset", "ceiling-set", "ceiling-clear", "schedule-edit", "schedule-clear", "cordon", "pause"];
  let release = null;
  model.gate = async ({ pathname }) => {
    if (pathname === "/v1/status") await new Promise((resolve) => { release = resolve; });
    return null;
  };
  await opened(async (page) => {
    const enabled = () => page.evaluate((ids) => ids.filter((id) => !document.getElementById(id).disabled), controls);
    await until(page, () => release);
    await page.locator("#cordon").waitFor();
    assert.deepEqual(await enabled(), []);
    model.gate = null;
    release();
    // There is no rate, ceiling or schedule to be reset yet.
    await says(page, "#cordon", "Cordon drain-1:4117…");
    assert.deepEqual(await enabled(), ["rate-set", "ceiling-set", "schedule-edit", "cordon", "pause"]);
  }, { model });
});

test("after an act on dead letters, the next one on all of them waits for their number", async () => {
  const model = new Model();
  let release = null;
  await opened(async (page) => {
    await go(page, "letters");
    await page.check("[data-letter='3'] input");
    model.gate = async ({ pathname }) => {
      if (pathname === "/v1/dead-letters") await new Promise((resolve) => { release = resolve; });
      return null;
    };
    await page.click("#redrive-all");
    await agree(page, "bob", "");
    await says(page, "#outcomes-summary", "2 confirmed, 1 unreadable. Done.");
    const state = () => page.evaluate(() => [document.querySelector("[data-letter='3'] input").checked, ...["redrive-all", "discard-all"].map((id) => document.getElementById(id).disabled)]);
    assert.deepEqual(await state(), [false, true, true]);
    await until(page, () => release);
    model.gate = null;
    release();
    await page.locator("#discard-all:enabled").click();
    await says(page, "#confirm-body", "All 1");
  }, { model });
});

test("a cordoned worker that loses the database is uncordoned", async () => {
  const model = new Model();
  model.isCordoned = true;
  model.workers[0].state = "database_down";
  await opened(async (page) => {
    await says(page, "#cordon", "Uncordon drain-1:4117…");
    await page.click("#cordon");
    await agree(page, "ann", "");
    await says(page, "#cordon", /^Cordon/);
    assert.equal(model.calls.findLast(({ method }) => method === "POST").path, "/v1/worker/uncordon");
  }, { model });
});
