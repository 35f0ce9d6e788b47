// The page at a real pool: workers, a broker and a database. The pool starts at 100/s with a long queue: low,
// so that a busy machine can follow when the rate is raised.

import assert from "node:assert/strict";
import test from "node:test";
import { PATIENCE, agree, number, opened, says } from "./browser.mjs";

// To take the README's picture: CONSOLE_PICTURE=$PWD/docs/console.png,
// CONSOLE_SCENE_MS=50000, CONSOLE_ORDERS=110000.
const PICTURE = process.env.CONSOLE_PICTURE;
const SCENE_MS = Number(process.env.CONSOLE_SCENE_MS || 0);
const ORDERS = Number(process.env.CONSOLE_ORDERS);
const FORGOTTEN = Number(process.env.CONSOLE_FORGOTTEN);
const COUNT = process.env.CONSOLE_WORKERS;

const text = (page, selector) => page.locator(selector).textContent();
// A tile's figure; the committed orders a second are in the headline, before the cap.
async function figure(page, tile) {
  if (tile === "committed") return number((await text(page, "#state-figure")).split(" of ")[0]);
  return number(await text(page, `#tile-${tile} b`));
}
// Waits until a figure is as expected.
async function comes(page, tile, right, what) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const value = await figure(page, tile);
    if (right(value)) return value;
    assert.ok(Date.now() < end, `${what}: ${tile} says ${value}`);
    await page.waitForTimeout(100);
  }
}

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

    await page.fill("#rate", "2000");
    await page.click("#rate-form button[type=submit]");
    await says(page, "#confirm-body", "Now 100/s, default.");
    await agree(page, "ann", "the night is long");
    await says(page, "#cap-source", "cap 2,000/s, set by hand");
    await comes(page, "committed", (value) => value > 150, "the drain follows");
    await comes(page, "lag", (value) => value < lag - 1000, "the queue shrinks");
    await says(page, "#audit", /ann.*2,?000.*the night is long/s);
    await page.waitForTimeout(SCENE_MS / 2);
    if (PICTURE) {
      await page.selectOption("#span", "120");
      await page.screenshot({ path: PICTURE, fullPage: true });
    }

    await page.click("#pause");
    await agree(page, "ann", "the catalogue lacks a SKU");
    await says(page, "#headline", /Paused until resumed/);
    await comes(page, "committed", (value) => value === 0, "nothing is committed");
    const waiting = await figure(page, "lag");
    assert.ok(waiting > 0, "it still waits");
    // While paused, a redrive does not write either.
    await page.click("#redrive-all");
    await agree(page, "ann", "");
    await says(page, "#outcomes-summary", /Stopped: .*paused/);
    await page.reload();
    await says(page, "#headline", /Paused until resumed/);
  });
});

test("resumes, and redrives orders of a SKU that the catalogue lacked", async () => {
  await opened(async (page) => {
    await says(page, "#state", "Paused");
    await page.click("#resume");
    await agree(page, "bob", "the catalogue is mended");
    await says(page, "#state", /Draining|Drained/);
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
    await comes(page, "dead", (value) => value === 0, "none is left");
    await says(page, "#state", "Drained");
    await comes(page, "lag", (value) => value === 0, "nothing waits");
  });
});
