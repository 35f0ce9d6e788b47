// Tiles, the cap in force, and workers.

import { byId, el } from "./chart.js";
import { data, fillTable, morph, say } from "./dom.js";
import { NONE, clock, count, known, ms, rate, seconds } from "./format.js";
import { code, t } from "./i18n.js";
import { isLive, source } from "./pool.js";
import { view } from "./state.js";

/** @param {import("./state.js").State} state */
function drawTiles({ status }) {
  if (!status) return;
  const { lag, commit_ms: commit, dead_letters: letters, receive_failures_per_second: failures, limited_by: limit } = status;
  const unknown = lag.error ? t("unknown") : null;
  const oldest = !unknown ? t("tile.since-stored") : known(lag.oldest_age_s) ? t("tile.in-workers") : unknown;
  const values = [
    ["arriving", t("tile.arriving"), rate(status.arriving_per_second), failures > 0 ? t("tile.receives-fail", { rate: rate(failures) }) : t("tile.orders-per-second")],
    ["limited", t("tile.limited"), limit ? code("limit", limit) : NONE, limit ? code("limit-note", limit) : t("tile.unknown-now")],
    ["lag", t("tile.waiting"), unknown ? NONE : count(lag.orders), unknown || t("tile.messages", { n: count(lag.messages) })],
    ["oldest", t("tile.oldest"), seconds(lag.oldest_age_s), oldest],
    ["commit", t("tile.commit"), ms(commit?.p50), t("tile.p99", { ms: ms(commit?.p99) })],
    ["dead", t("nav.letters"), count(letters?.total), !letters ? t("unknown") : letters.total ? t("tile.oldest-letter", { age: seconds(letters.oldest_age_s) }) : t("none")],
  ];
  const warns = (id) => (id === "dead" && letters?.total > 0 ? "warn" : null);
  morph(byId("tiles"), values.map(([id, name, figure, note]) =>
    el("div", { id: `tile-${id}`, class: warns(id) }, el("dt", {}, name), el("dd", {}, el("b", {}, figure), el("span", {}, note)))));
}

function drawCap({ status }) {
  if (!status) return;
  const { cap, settings } = status;
  const ramp = cap.ramp ? el("span", {}, t("headline.ramp", { from: rate(cap.ramp.from), to: rate(cap.ramp.to), at: clock(cap.ramp.ends_at) })) : null;
  morph(byId("cap-source"), el("b", {}, rate(cap.orders_per_second)), el("span", {}, source(status)), ramp);
  morph(byId("ceiling"), known(settings.ceiling) ? [el("b", {}, rate(settings.ceiling)), el("span", {}, t("ceiling.note"))] : el("span", {}, t("ceiling.none")));
}

function drawWorkers({ status }) {
  if (!status) return;
  const live = status.workers.filter(isLive);
  say(byId("workers-sum"), t("workers.sum", { n: count(live.length), rate: rate(live.reduce((total, worker) => total + worker.share, 0)) }));
  const columns = ["name", "state", "share", "wants", "committed", "p50", "p99", "held", "since", "lease"]
    .map((name, index) => ({ title: t(`workers.${name}`), numeric: index > 1 && name !== "since" }));
  const rows = status.workers.map((worker) => ({
    key: worker.lease,
    attributes: { "data-lease": worker.lease },
    cells: [
      data(worker.name),
      [el("span", { class: `pill ${worker.state}` }, code("state", worker.state)), worker.reason ? [" ", data(worker.reason)] : ""],
      rate(worker.share), rate(worker.wanted), rate(worker.committed_per_second), ms(worker.commit_ms?.p50), ms(worker.commit_ms?.p99),
      count(worker.held_orders), clock(worker.joined_at), worker.expires_in_ms < 0 ? t("workers.lapsed") : ms(worker.expires_in_ms),
    ],
  }));
  fillTable(byId("workers"), { caption: t("workers.caption"), columns, rows, none: t("workers.none") });
}

export function overview() {
  view("overview", drawTiles);
  view("overview", drawCap);
  view("overview", drawWorkers);
}
