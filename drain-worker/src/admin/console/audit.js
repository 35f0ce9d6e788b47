// The audit trail: who changed what, from which values to which, and why. Newest first, by pages.

import { api } from "./api.js";
import { byId, el } from "./chart.js";
import { data, fillSelect, fillTable } from "./dom.js";
import { NONE, moment, rate } from "./format.js";
import { code, hasCode, t } from "./i18n.js";
import { render, view } from "./state.js";

const PAGE = 50;
const ACTIONS = ["rate_set", "rate_reset", "pause", "resume", "schedule_set", "schedule_clear", "ceiling_set", "ceiling_clear", "cordon", "uncordon",
  "letters_redriven", "letters_discarded", "letters_restored", "catalogue_applied", "purged"];

const trail = {
  /** The page that is shown; null: not loaded. */
  page: null,
  /** It has the entries before this one; null: the newest. */
  before: null,
};

const instantOf = (us) => moment(us / 1000);

// The values of the members of the settings, in words.
const FORMS = {
  cap: rate,
  default: rate,
  ceiling: rate,
  manual: ({ from, to, began_us: began, ends_us: ends }) => (ends > began ? t("headline.ramp", { from: rate(from), to: rate(to), at: instantOf(ends) }) : rate(to)),
  holds: (holds) => holds.map(({ id, owner, until_us: until }) => t("hold.short", { id, owner: owner || t("unnamed"), end: until ? t("until.time", { time: instantOf(until) }) : t("until.resumed") })).join(t("list")) || t("none"),
  schedule: ({ time_zone: zone, entries }) => `${zone}: ${entries.map((entry) => `${entry.from} ${rate(entry.rate)}${entry.days?.length ? ` (${entry.days.map((day) => code("day", day)).join(t("list"))})` : ""}`).join(t("list"))}`,
  outcomes: (outcomes) => Object.entries(outcomes).map(([name, n]) => t("outcomes.part", { n, outcome: code("outcome", name) })).join(t("list")),
};

function valueText(name, value) {
  if (value === null || value === undefined) return t("none");
  try {
    if (FORMS[name]) return FORMS[name](value);
  } catch {
    // A value of another shape is shown as it is.
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const isSame = (left, right) => JSON.stringify(left) === JSON.stringify(right);

/** What differs between the values before and after an act. @param {import("./state.js").Act} act */
export function difference({ before, after }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].filter((name) => !isSame(before?.[name], after?.[name]));
  return names.map((name) => ({
    name: hasCode("member", name) ? code("member", name) : name, from: before ? valueText(name, before[name]) : null, to: after ? valueText(name, after[name]) : null,
  }));
}

function changes(act) {
  const lines = difference(act);
  if (!lines.length) return data(act.detail);
  const line = ({ name, from, to }) => el("div", { class: "change" }, el("dt", {}, name),
    el("dd", {}, from === null ? null : [el("del", {}, el("span", { class: "unseen" }, t("audit.before")), data(from)), " → "], el("ins", {}, el("span", { class: "unseen" }, t("audit.after")), data(to ?? NONE))));
  // The detail of an act with values says the same in English.
  return [el("dl", { class: "changes" }, lines.map(line))];
}

function draw() {
  const action = byId("audit-action");
  fillSelect(action, [["", t("audit.any")], ...ACTIONS.map((name) => [name, code("action", name)])]);
  const entries = (trail.page?.entries ?? []).filter((act) => !action.value || act.action === action.value);
  const columns = ["when", "actor", "who", "action", "change", "reason"].map((name) => ({ title: t(`audit.${name}`) }));
  const rows = entries.map((act) => ({
    key: act.id,
    cells: [moment(act.at), act.actor ? data(act.actor) : NONE, act.who ? data(act.who) : NONE, el("span", { class: "pill" }, code("action", act.action)), changes(act), act.reason ? data(act.reason) : NONE],
  }));
  const none = !trail.page ? t("loading") : action.value ? t("audit.none-on-page") : t("audit.none");
  fillTable(byId("audit"), { caption: t("audit.caption"), columns, rows, none });
  byId("audit-newest").disabled = trail.before === null;
  byId("audit-older").disabled = !trail.page?.next;
}

/** @param {(error: Error) => void} trouble  Returns a function that loads the page. */
export function audit(trouble) {
  const load = async () => {
    const { before } = trail;
    const page = await api.audit(PAGE, before);
    // The operator may have gone on meanwhile.
    if (before === trail.before) trail.page = page;
    render();
  };
  const go = (before) => {
    trail.before = before;
    load().catch(trouble);
  };
  byId("audit-newest").addEventListener("click", () => go(null));
  byId("audit-older").addEventListener("click", () => go(trail.page.next));
  byId("audit-action").addEventListener("change", render);
  view("audit", draw);
  return load;
}
