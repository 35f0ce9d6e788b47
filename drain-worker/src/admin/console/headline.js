// What every page shows: the headline with Pause and Resume, holds, warnings, the choice of pages.

import { byId, el } from "./chart.js";
import { all, data, morph, say, show } from "./dom.js";
import { clock, count, moment, rate } from "./format.js";
import { code, hasCode, nodes, t } from "./i18n.js";
import { poolState, source, unjoinedState } from "./pool.js";
import { mayOperate, view } from "./state.js";

/** A hold in words. @param {import("./state.js").Hold} hold */
export function holdText({ id, owner, since, until, reason }) {
  const end = until ? t("until.time", { time: moment(until) }) : t("until.resumed");
  const line = { id, owner: owner ? data(owner) : t("unnamed"), since: moment(since), end, reason: reason && data(reason) };
  return nodes(reason ? "hold.line-because" : "hold.line", line);
}

function drawState({ status, unjoined }) {
  const pool = unjoined ? unjoinedState(unjoined) : status ? poolState(status) : { tone: "unknown", title: t("headline.connecting"), figure: "", reason: [] };
  byId("headline").dataset.state = pool.tone;
  say(byId("state"), pool.title);
  say(byId("state-figure"), pool.figure);
  morph(byId("state-reason"), pool.reason);
  morph(byId("whose"), status ? nodes("bar.group", { group: data(status.group) }) : []);
  document.title = status ? `${pool.title} – Spillway ${status.group}` : "Spillway";
  // The figures change every second; a screen reader announces changes of state and cap only.
  if (status) say(byId("announce"), t("announce", { title: pool.title, cap: rate(status.cap.orders_per_second), source: source(status) }));
}

function drawHolds({ status }) {
  const holds = status?.settings.holds ?? [];
  const button = (hold) => (mayOperate() ? el("button", { type: "button", "data-act": "end", "data-hold": hold.id }, t("hold.end", { id: hold.id })) : null);
  morph(byId("holds"), holds.map((hold) => el("li", { "data-key": hold.id }, el("span", {}, holdText(hold)), " ", button(hold))));
  show(byId("holds"), holds.length > 0);
  say(byId("pause"), t(holds.length ? "pause.add" : "pause.button"));
  byId("pause").disabled = !status;
  byId("resume").disabled = !holds.length;
}

function drawWarnings({ status }) {
  const workers = status?.workers ?? [];
  const shown = ({ code, text }) => {
    if (!hasCode("warning", code)) return data(text);
    const n = workers.filter((worker) => worker.state === code).length;
    // The age in the text is the worker's.
    return n ? t(`warning.${code}`, { n: count(n), of: count(workers.length) }) : nodes(`warning.${code}`, { detail: data(text) });
  };
  morph(byId("warnings"), (status?.warnings ?? []).map((warning) => el("li", {}, shown(warning))));
}

function drawPages({ page, status }) {
  for (const link of all("#pages a")) {
    if (link.hash === `#/${page}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const open = status?.dead_letters?.total ?? 0;
  show(byId("letters-badge"), open > 0);
  morph(byId("letters-badge"), count(open), el("span", { class: "unseen" }, ` ${t("nav.open-letters")}`));
}

function drawAccess({ access }) {
  for (const node of all("[data-operate]")) show(node, access?.role === "operate");
  const reader = access?.role === "read";
  show(byId("read-only"), reader);
  morph(byId("read-only"), reader ? nodes("access.read-only", { name: data(access.name) }) : []);
}

export function headline() {
  view(null, drawState);
  view(null, drawHolds);
  view(null, drawWarnings);
  view(null, drawPages);
  view(null, drawAccess);
  view(null, ({ status }) => {
    morph(byId("foot"), status ? nodes("foot", { worker: data(status.worker), time: clock(status.now), revision: status.settings.revision }) : []);
  });
}

/** A change of the audit trail in words. @param {import("./state.js").Act} act */
export function actText(act) {
  const who = [act.actor, act.who].filter(Boolean).join(" · ");
  const values = { action: code("action", act.action), detail: act.detail && data(act.detail), who: who ? data(who) : t("unnamed"), at: moment(act.at), reason: act.reason && data(act.reason) };
  return nodes(`act.line${act.detail ? "-detail" : ""}${act.reason ? "-because" : ""}`, values);
}
