// Parts of the console that need no page: time zones, and the catalogues of texts.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import test from "node:test";
import { en } from "./console/en.js";
import { answered, revision, state, update } from "./console/state.js";
import { instant, isZone, localText, offsetText } from "./console/zones.js";
import { zh } from "./console/zh.js";
import { differences, listsOf } from "./shapes.mjs";

// Source of zones.json: Python 3.11's zoneinfo with tzdata 2025b. Zone, wall clock (fold=0), instant, and the wall clock at
// that instant, which differs where the clock skips the time.
const ZONES = JSON.parse(readFileSync(new URL("zones.json", import.meta.url)));

test("wall clocks and instants are those of another implementation", () => {
  for (const [zone, wall, at, shown] of ZONES) {
    const found = instant(zone, wall);
    assert.equal(new Date(found).toISOString(), at, `${zone} ${wall}`);
    assert.equal(localText(zone, found), shown, `${zone} ${wall}`);
  }
});

test("what is no time and no zone is recognised, and offsets are named", () => {
  for (const text of ["", "noon", "2026-13-01T00:00"]) assert.ok(Number.isNaN(instant("UTC", text)), text);
  assert.deepEqual(["Asia/Shanghai", "UTC", "Mars/Olympus", ""].map(isZone), [true, true, false, false]);
  const at = Date.parse("2026-11-30T12:00:00Z");
  for (const [zone, text] of [["Asia/Shanghai", "UTC+8"], ["UTC", "UTC"], ["Asia/Kathmandu", "UTC+5:45"], ["America/St_Johns", "UTC-3:30"]]) assert.equal(offsetText(zone, at), text);
});

test("the settings of a newer answer stand until the status has them, for at most 10 s", (context) => {
  context.mock.timers.enable({ apis: ["Date"] });
  const at = (number) => ({ settings: { revision: number }, cap: { orders_per_second: number } });
  const shows = (number) => assert.deepEqual([revision(), state.status?.cap.orders_per_second], [number, number]);
  assert.equal(revision(), 0, "no status yet");
  update({ status: at(4) });
  answered(at(6));
  shows(6);
  update({ status: at(5) });
  shows(6);
  update({ status: at(7) });
  shows(7);
  answered(at(6));
  shows(7);
  answered(at(9));
  // The revisions of a database that was made anew are lower.
  context.mock.timers.tick(9999);
  update({ status: at(1) });
  shows(9);
  context.mock.timers.tick(1);
  update({ status: at(1) });
  shows(1);
});

test("the elements of a list that is empty in one recording are compared with those of another", () => {
  const lists = listsOf([{ warnings: [] }, { warnings: [{ code: "stale", text: "old" }], before: { holds: [1] } }]);
  const found = (answer) => differences({ warnings: [], holds: [] }, answer, "GET", lists);
  assert.deepEqual(found({ warnings: [{ code: "stale", text: "old" }], holds: [] }), []);
  assert.deepEqual(found({ warnings: ["stale"], holds: [] }), ["GET.warnings[]: object became string"]);
  assert.deepEqual(found({ warnings: [{ code: "stale" }], holds: [1] }), ["GET.warnings[].text is missing", "GET.holds[] is not recorded"]);
});

const parameters = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();
// Names of measures, which are the same in both languages.
const SAME = ["series.p50_ms", "series.p99_ms"];

test("both catalogues have the same keys and parameters, and every text is translated", () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  for (const [key, text] of Object.entries(en)) {
    assert.ok(text.trim() && zh[key].trim(), `${key} is empty`);
    assert.deepEqual(parameters(zh[key]), parameters(text), key);
    assert.equal(zh[key] === text, SAME.includes(key), `${key}: ${text}`);
    const [one, other] = text.split("|");
    if (other !== undefined) assert.deepEqual(parameters(one), parameters(other), key);
    assert.ok(!zh[key].includes("|"), `${key}: Chinese has one form`);
    // A translation may quote a command, a name or an example; it is not English.
    assert.ok(SAME.includes(key) || /\p{Script=Han}/u.test(zh[key]) || !/[a-z]{2}/i.test(zh[key].replaceAll(/\{\w+\}/g, "")), `${key}: ${zh[key]}`);
  }
});

test("the types that the console's comments state hold", () => {
  const options = ["--noEmit", "--allowJs", "--checkJs", "--target", "es2022", "--lib", "es2023,dom,dom.iterable", "--module", "es2022", "--moduleResolution", "bundler"];
  const { status, stdout } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", ...options, "console/main.js"], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});
