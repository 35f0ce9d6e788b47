// A browser whose pages must have no error, no request to another origin and no violation of the content policy.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before } from "node:test";
import { chromium } from "playwright-core";

export const BASE = process.env.CONSOLE_URL;
// The bound of every wait.
export const PATIENCE = 60000;
let browser = null;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.SPILLWAY_TEST_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"],
  });
});
after(() => browser.close());

export async function opened(use, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB", timezoneId: "UTC", ...options.context });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const faults = [];
  page.on("pageerror", (error) => options.mayThrow || faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    const expected = options.mayFail && message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !expected) faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(BASE) && !request.url().startsWith("data:")) faults.push(`asked ${request.url()}`);
  });
  try {
    await options.model?.serve(page);
    await page.goto(BASE);
    await use(page);
    assert.deepEqual([...faults, ...(options.model?.faults ?? [])], []);
  } finally {
    await context.close();
  }
}

const PICTURES = process.env.CONSOLE_PICTURES;

// Takes a picture of the page, if a folder for pictures is named.
export async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
}

// Waits until the text of `selector` contains `wanted`.
export async function says(page, selector, wanted) {
  const matches = ([at, text, flags]) => [...document.querySelectorAll(at)].some((node) => new RegExp(text, flags).test(node.textContent));
  const pattern = wanted instanceof RegExp ? wanted : new RegExp(wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  await page.waitForFunction(matches, [selector, pattern.source, pattern.flags]).catch(async () => {
    assert.fail(`${selector} says ${JSON.stringify(await page.locator(selector).allTextContents())}, not ${pattern}`);
  });
}

// Waits until `isSo` returns true.
export async function until(page, isSo) {
  const end = Date.now() + PATIENCE;
  while (!await isSo()) {
    assert.ok(Date.now() < end, `in time: ${isSo}`);
    await page.waitForTimeout(100);
  }
}

// Fills in the open confirmation dialog and confirms.
export async function agree(page, who, reason) {
  await page.locator("#confirm[open]").waitFor();
  await page.fill("#confirm-who", who);
  await page.fill("#confirm-reason", reason);
  await page.click("#confirm-yes");
  await page.locator("#confirm[open]").waitFor({ state: "detached" });
}

// Opens a page of the console, and waits for its data.
export async function go(page, name) {
  await page.click(`#pages a[href="#/${name}"]`);
  await page.locator(`[data-page="${name}"]:not([hidden])`).waitFor();
  await page.waitForFunction((at) => !/Loading|加载中/.test(document.querySelector(at).textContent), `[data-page="${name}"]`);
}

export const number = (text) => Number(text.replaceAll(/[^0-9.]/g, ""));
