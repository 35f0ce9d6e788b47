// The page's polls, when answers come late.

import assert from "node:assert/strict";
import test from "node:test";
import { opened, until } from "./browser.mjs";
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
