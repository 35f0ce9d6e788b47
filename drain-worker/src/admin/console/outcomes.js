// The result of each letter of a redrive or discard, page by page, until the last page.

import { byId, el } from "./chart.js";
import { fillTable, say, show } from "./dom.js";
import { count, words } from "./format.js";

const PAGE = 100;
const ROWS_MAX = 500;

// Calls `send(body)` for each page, and returns a summary when it has ended, failed or was stopped.
export async function run(what, selection, send) {
  const tally = new Map();
  const rows = [];
  let asked = false;
  const progress = el("p", { id: "outcomes-summary" });
  const table = el("table");
  const stop = el("button", { type: "button", on: { click: () => { asked = true; } } }, "Stop after this page");
  const hide = el("button", { type: "button", disabled: true, on: { click: () => show(byId("outcomes"), false) } }, "Close");
  byId("outcomes").replaceChildren(el("h3", {}, `${what}: outcomes`), progress, el("div", { class: "scroll short", tabindex: "0", role: "region", "aria-label": "Outcome of each letter" }, table), el("div", { class: "actions" }, stop, hide));
  show(byId("outcomes"), true);
  const summary = (end) => {
    const parts = [...tally].map(([outcome, number]) => `${count(number)} ${words(outcome)}`);
    return `${parts.join(", ") || "nothing yet"}${end ? `. ${end}` : " …"}`;
  };
  const draw = (end) => {
    say(progress, summary(end));
    fillTable(table, `${what}: outcome of each letter`, [{ title: "Letter", numeric: true }, { title: "Order" }, { title: "Outcome" }, { title: "Detail" }], rows, "None yet.");
  };
  draw(null);
  let end = null;
  let after = 0;
  try {
    while (end === null) {
      const page = await send({ ...selection, after, limit: PAGE });
      for (const outcome of page.outcomes) {
        tally.set(outcome.outcome, (tally.get(outcome.outcome) || 0) + 1);
        if (rows.length < ROWS_MAX) {
          rows.push({ cells: [String(outcome.id), outcome.order_id || "–", el("span", { class: `pill ${outcome.outcome}` }, words(outcome.outcome)), outcome.detail || ""] });
        }
      }
      if (page.stopped) end = `Stopped: ${page.stopped}.`;
      else if (page.next === null || page.next === undefined) end = "Done.";
      else if (asked) end = "Stopped by the operator.";
      else after = page.next;
      draw(end);
    }
  } catch (error) {
    end = `Failed: ${error.message} Retrying is safe: completed letters do not change.`;
    draw(end);
  }
  stop.disabled = true;
  hide.disabled = false;
  return `${what}: ${summary(end)}`;
}
