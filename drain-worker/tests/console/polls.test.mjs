// The page's polls, when answers come late.

import assert from "node:assert/strict";
import test from "node:test";
import { opened, until } from "./browser.mjs";
import { Model } from "./model.mjs";

test("a page that is opened while the last one still loads gets its data with its first poll", async () => {
  const model = new Model();
  const held = {};
  model.gate = async ({ pathname }) => {
    if (pathname === "/v1/history" || (held["/v1/history"] && pathname === "/v1/status")) await new Promise((resolve) => { held[pathname] = resolve; });
    return null;
  };
  await opened(async (page) => {
    await until(page, () => held["/v1/history"]);
    await page.click('#pages a[href="#/sale"]');
    // The overview's round ends while that of the sale page waits for the status.
    await until(page, () => held["/v1/status"]);
    const late = page.waitForResponse((response) => response.url().includes("/v1/history"));
    held["/v1/history"]();
    await (await late).finished();
    model.gate = null;
    const before = model.calls.length;
    held["/v1/status"]();
    const paths = () => model.calls.slice(before).map(({ path }) => path);
    await until(page, () => paths().filter((path) => path === "/v1/status").length > 1);
    const [sales, poll] = [paths().indexOf("/v1/sales"), paths().lastIndexOf("/v1/status")];
    assert.ok(sales >= 0 && sales < poll, `before the next poll: ${paths()}`);
  }, { model });
});
