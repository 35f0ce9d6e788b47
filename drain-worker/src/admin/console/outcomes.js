// The result of each letter of a redrive or discard, page by page, until the last page.

import { byId, el } from "./chart.js";
import { data, fillTable, morph, scrolling, show } from "./dom.js";
import { NONE, count } from "./format.js";
import { code, nodes, t } from "./i18n.js";
import { errorText } from "./api.js";

const PAGE = 100;
const ROWS_MAX = 500;

/** Calls `send(body)` for each page, and returns a summary when it has ended, failed or was stopped. */
export async function run(what, selection, send) {
  const tally = new Map();
  const rows = [];
  let asked = false;
  const progress = el("p", { id: "outcomes-summary", role: "status" });
  const table = el("table");
  const stop = el("button", { type: "button", on: { click: () => { asked = true; } } }, t("outcomes.stop"));
  const hide = el("button", { type: "button", disabled: true, on: { click: () => show(byId("outcomes"), false) } }, t("close"));
  byId("outcomes").replaceChildren(el("h3", {}, t("outcomes.title", { what })), progress, scrolling(t("outcomes.label"), table), el("div", { class: "actions" }, stop, hide));
  show(byId("outcomes"), true);
  const tallied = () => [...tally].map(([outcome, number]) => t("outcomes.part", { n: count(number), outcome: code("outcome", outcome) })).join(t("list")) || t("outcomes.nothing");
  const draw = (end) => {
    morph(progress, end ? nodes("outcomes.ended", { tally: tallied(), end }) : t("outcomes.going", { tally: tallied() }));
    const columns = [{ title: t("letters.id"), numeric: true }, { title: t("letters.order") }, { title: t("outcomes.outcome") }, { title: t("letters.detail") }];
    fillTable(table, { caption: t("outcomes.label"), columns, rows, none: t("outcomes.nothing") });
  };
  draw(null);
  let end = null;
  let after = 0;
  // A discard is bounded by what the operator saw, and each page leaves fewer.
  let left = selection.count;
  try {
    while (end === null) {
      const page = await send({ ...selection, after, limit: PAGE, ...(left !== undefined && { count: left }) });
      if (left !== undefined) left -= page.outcomes.length;
      for (const outcome of page.outcomes) {
        tally.set(outcome.outcome, (tally.get(outcome.outcome) || 0) + 1);
        if (rows.length < ROWS_MAX) {
          rows.push({ key: outcome.id, cells: [String(outcome.id), outcome.order_id ? data(outcome.order_id) : NONE, el("span", { class: `pill ${outcome.outcome}` }, code("outcome", outcome.outcome)), data(outcome.detail || "")] });
        }
      }
      if (page.stopped) end = nodes("outcomes.stopped", { reason: data(page.stopped) });
      else if (page.next === null || page.next === undefined) end = [t("outcomes.done")];
      else if (asked) end = [t("outcomes.by-operator")];
      else after = page.next;
      draw(end);
    }
  } catch (error) {
    end = nodes("outcomes.failed", { error: errorText(error) });
    draw(end);
  }
  stop.disabled = true;
  hide.disabled = false;
  return t("outcomes.line", { what, summary: progress.textContent });
}
