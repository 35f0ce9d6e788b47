// The page at a real pool: workers, a broker and a database. The pool starts at 100/s with a long queue: low,
// so that a busy machine can follow when the rate is raised.

import assert from "node:assert/strict";
import test from "node:test";
import { BASE, PATIENCE, agree, go, number, opened, says } from "./browser.mjs";

// To take the README's pictures: CONSOLE_PICTURE=$PWD/drain-worker/docs/console, to which -light.png and -dark.png are added,
// CONSOLE_SCENE_MS=50000, CONSOLE_ORDERS=110000; then pngquant makes them small.
const PICTURE = process.env.CONSOLE_PICTURE;
const SCENE_MS = Number(process.env.CONSOLE_SCENE_MS || 0);
const ORDERS = Number(process.env.CONSOLE_ORDERS);
const FORGOTTEN = Number(process.env.CONSOLE_FORGOTTEN);
const COUNT = process.env.CONSOLE_WORKERS;

const text = (page, selector) => page.locator(selector).textContent();
// A tile's figure; the committed orders a second are in the headline, before the cap.
async function figure(page, tile) {
  const shown = tile === "committed" ? (await text(page, "#state-figure")).split(" of ")[0] : await text(page, tile === "sold_out" ? "#sale-sold_out b" : `#tile-${tile} b`);
  // A dash stands for what is not known.
  return /\d/.test(shown) ? number(shown) : NaN;
}
// Waits until a figure is as expected; longer while it falls, because the machine may be slow.
async function comes(page, tile, right, what) {
  let [lowest, end] = [Infinity, Date.now() + PATIENCE];
  for (;;) {
    const value = await figure(page, tile);
    if (right(value)) return value;
    if (value < lowest) [lowest, end] = [value, Date.now() + PATIENCE];
    assert.ok(Date.now() < end, `${what}: ${tile} says ${value}`);
    await page.waitForTimeout(100);
  }
}

// Another operator's change, by the API.
const elsewhere = (path, body) => fetch(new URL(path, BASE), { method: "PUT", headers: { "content-type": "application/json", "if-match": "*" }, body: JSON.stringify(body) });

test("sees the lag, changes the rate, sees the drain follow, pauses", async () => {
  await opened(async (page) => {
    await says(page, "#workers-sum", `${COUNT} live, shares 100/s in all`);
    const lag = await comes(page, "lag", (value) => value > ORDERS / 4, "there is lag");
    await comes(page, "committed", (value) => value > 60 && value <= 100, "the default is used");
    await says(page, "#state-reason", /drained in \d/);
    await says(page, "#tile-limited", "cap");
    await comes(page, "arriving", (value) => value < 20, "nothing arrives");
    await comes(page, "dead", (value) => value === FORGOTTEN, "what cannot be decided is dead");
    await page.waitForTimeout(SCENE_MS);

    // A page that is not up to date is told what another operator changed.
    await page.fill("#rate", "2000");
    await page.click("#rate-form button[type=submit]");
    await says(page, "#confirm-body", "Now 100/s, default.");
    const answer = await elsewhere("/v1/rate", { rate: 90, who: "bob", reason: "the database burns" });
    assert.equal(answer.status, 200);
    await page.fill("#confirm-who", "ann");
    await page.fill("#confirm-reason", "the night is long");
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", /Settings changed|rate set 90\/s, by bob \(the database burns\)/);
    await page.click("#confirm-yes");
    await says(page, "#confirm-error", "2000/s is more than twice the present cap of 90/s");
    await page.click("#confirm-yes");
    await page.locator("#confirm[open]").waitFor({ state: "detached" });
    await says(page, "#cap-source", /2,000\/s.*set by hand/);
    await comes(page, "committed", (value) => value > 150, "the drain follows");
    await comes(page, "lag", (value) => value < lag - 1000, "the queue shrinks");
    await says(page, "#plot-committed .mark-text", /rate set 2000\/s, by ann \(the night is long\)/);
    await page.waitForTimeout(SCENE_MS / 2);
    if (PICTURE) {
      await page.selectOption("#span", "120");
      await page.setViewportSize({ width: 1160, height: 900 });
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await page.waitForTimeout(500);
        await page.screenshot({ path: `${PICTURE}-${colorScheme}.png`, fullPage: true });
      }
    }
    await go(page, "audit");
    await says(page, "#audit", /ann.*rate set.*90\/s → .*2,000\/s.*the night is long/s);

    await page.click("#pause");
    await agree(page, "ann", "the catalogue lacks a SKU");
    await says(page, "#headline", /Paused until resumed/);
    await go(page, "overview");
    await comes(page, "arriving", (value) => value < 20, "nothing arrives");
    await comes(page, "lag", (value) => value > 0, "it still waits");
    // While paused, a redrive does not write either.
    await go(page, "letters");
    await page.click("#redrive-all");
    await agree(page, "ann", "");
    await says(page, "#outcomes-summary", /Stopped: .*paused/);
    await page.reload();
    await says(page, "#headline", /Paused until resumed/);
  }, { mayFail: true });
});

test("resumes, and redrives orders of a SKU that the catalogue lacked", async () => {
  await opened(async (page) => {
    await says(page, "#state", "Paused");
    await says(page, "#holds", /Hold \d+ by ann since .*: the catalogue lacks a SKU/);
    await page.click("#resume");
    await says(page, "#confirm-body", /All holds end:.*by ann/s);
    await agree(page, "bob", "the catalogue is mended");
    await says(page, "#state", /Draining|Drained/);
    await go(page, "letters");
    await says(page, "#letters-reason", `unknown sku (${FORGOTTEN})`);
    await page.selectOption("#letters-reason", "unknown_sku");
    await page.locator("[data-letter]").nth(FORGOTTEN - 1).waitFor();
    // One selected letter, then the rest.
    const one = page.locator("[data-letter]").first();
    const id = await one.getAttribute("data-letter");
    await one.locator("input").check();
    await page.click("#redrive-selected");
    await agree(page, "bob", "");
    await says(page, "#outcomes-summary", "1 confirmed. Done.");
    await says(page, "#outcomes tbody", id);
    await page.click("#redrive-all");
    await agree(page, "bob", "");
    await says(page, "#outcomes-summary", `${FORGOTTEN - 1} confirmed. Done.`);
    await go(page, "overview");
    await comes(page, "dead", (value) => value === 0, "none is left");
    await comes(page, "lag", (value) => value === 0, "nothing waits");
    await says(page, "#state", "Drained");

    // The worker's own preview of a schedule, before and after it is in force.
    await page.click("#schedule-edit");
    await page.fill("#schedule-zone", "Asia/Shanghai");
    const field = (row, place) => page.locator(".editor .row").nth(row).locator("input").nth(place);
    await field(0, 0).fill("02:00");
    await field(0, 1).fill("1500");
    await page.getByRole("button", { name: "Add a time" }).click();
    await field(1, 0).fill("25:00");
    await field(1, 1).fill("300");
    await says(page, ".editor .row .fault", "Enter a time of day such as 02:00.");
    await field(1, 0).fill("08:00");
    // 02:00 and 08:00 in Shanghai are 18:00 and 00:00 in UTC, which the page shows.
    await says(page, ".steps", /18:00 1,500\/s/);
    await says(page, ".steps", /00:00 300\/s/);
    await says(page, ".preview .note", "Manual rate of 2,000/s");
    await agree(page, "bob", "nights are quiet");
    await says(page, "#schedule", /02:00 1,500\/s.*08:00 300\/s.*Asia\/Shanghai/s);
    await page.click("#rate-reset");
    await agree(page, "bob", "");
    await says(page, "#cap-source", "by schedule");
  }, { mayFail: true });
});

test("meets an outage, finds the reason, and finds a buyer's order meanwhile", async () => {
  await opened(async (page) => {
    await says(page, "#state", "Drained");
    assert.equal((await fetch(process.env.CONSOLE_OUTAGE)).status, 204);
    // First what is shown for a quarter of a minute alone.
    await says(page, "#state-reason", `lease of 1 of ${COUNT} workers has expired`);
    await says(page, "#warnings", `Lease expired: 1 of ${COUNT} workers sent no heartbeat in time.`);
    await says(page, "#workers", "lease expired");
    await says(page, "#state", "Broker down");
    await says(page, "#state-reason", /2 of 2 workers: \S+/);
    await says(page, "#warnings", `Broker unavailable for 2 of ${COUNT} workers.`);
    await says(page, "#workers", "broker down");
    await go(page, "orders");
    await page.fill("#order-wanted", "ann");
    await page.press("#order-wanted", "Enter");
    await says(page, "#orders", "rejected: limit exceeded");
    await page.locator("#orders tbody tr", { hasText: "limit exceeded" }).first().locator("button").click();
    await says(page, "#order-detail", /State.*rejected: limit exceeded.*Buyer.*ann.*1 × ONE-EACH/s);
    await go(page, "sale");
    await says(page, "#skus", /FEW.*500.*500/s);
    await comes(page, "sold_out", (value) => value > 0, "the reasons of rejects are counted");
    // The same page in Chinese, without a reload.
    await page.selectOption("#language", "zh");
    await says(page, "#state", "消息服务不可用");
    await says(page, "#warnings", "个未按时发送心跳");
  });
});
