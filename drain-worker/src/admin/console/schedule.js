// The schedule of caps: shown, and edited as a whole beside a preview of the next 24 hours, which the worker computes.

import { api } from "./api.js";
import { byId, el } from "./chart.js";
import { confirm } from "./dialogs.js";
import { data, morph } from "./dom.js";
import { rate, zone as pageZone } from "./format.js";
import { code, nodes, t } from "./i18n.js";
import { previewer } from "./preview.js";
import { state, view } from "./state.js";

const ENTRIES_MAX = 64;
// As the worker reads it, in every language of a browser.
const TIME = "([01]\\d|2[0-3]):[0-5]\\d";
const DAY = "(mon|tue|wed|thu|fri|sat|sun)";

/** @param {(text: string) => void} changed  Reports what was done. */
export function schedule(changed) {
  const settings = () => state.status?.settings;
  byId("schedule-edit").addEventListener("click", async () => {
    const form = editor(settings()?.schedule);
    const done = await confirm({
      title: t("schedule.title-edit"), body: form.node, yes: t("schedule.yes"), wide: true,
      act: (who, madeOn) => api.setSchedule({ ...form.value(), ...who }, madeOn),
    });
    form.end();
    if (done) changed(t("schedule.done"));
  });
  byId("schedule-clear").addEventListener("click", async () => {
    const done = await confirm({
      title: t("schedule.title-clear"), lines: [t("schedule.clear-effect", { rate: rate(settings()?.default) })], yes: t("schedule.yes-clear"), danger: true, act: api.clearSchedule,
    });
    if (done) changed(t("schedule.cleared"));
  });
  view("overview", ({ status }) => {
    if (!status) return;
    byId("schedule-edit").disabled = false;
    byId("schedule-clear").disabled = !status.settings.schedule;
    morph(byId("schedule"), summary(status.settings));
  });
}

const dayList = (days) => days.map((day) => code("day", day)).join(t("list"));

/** @param {import("./state.js").Status["settings"]} settings */
function summary(settings) {
  if (!settings.schedule) return el("p", {}, t("schedule.none", { rate: rate(settings.default) }));
  const { entries, time_zone: zone } = settings.schedule;
  const line = (entry) => el("li", {}, el("b", {}, entry.from), " ", rate(entry.rate), entry.days?.length ? t("schedule.only-days", { days: dayList(entry.days) }) : "");
  return [el("ul", { class: "entries" }, entries.map(line)), el("p", { class: "fine" }, nodes("schedule.zone", { zone: data(zone) }))];
}

function editor(current) {
  const zones = el("datalist", { id: "schedule-zones" }, Intl.supportedValuesOf("timeZone").map((name) => el("option", { value: name })));
  const zone = el("input", { id: "schedule-zone", required: true, maxlength: 64, spellcheck: "false", list: "schedule-zones" });
  zone.value = current?.time_zone || pageZone();
  const zoneFault = el("p", { class: "fault", role: "alert" });
  const rows = el("div", { class: "rows" });
  const preview = previewer();
  // An entry that is not complete yet is no fault.
  const isComplete = () => [...rows.children].every((row) => [...row.querySelectorAll("input")].slice(0, 2).every((field) => field.value !== ""));
  const changed = () => (isComplete() ? preview.ask(value()) : preview.clear());
  const add = (entry) => {
    if (rows.children.length >= ENTRIES_MAX) return;
    const from = el("input", { type: "text", class: "from", required: true, pattern: TIME, maxlength: 5, placeholder: "02:00", title: t("fault.invalid_time"), "aria-label": t("schedule.from"), inputmode: "numeric" });
    const wanted = el("input", { type: "number", min: 1, max: 1000000, step: 1, required: true, "aria-label": t("rate.field"), inputmode: "numeric" });
    const days = el("input", {
      type: "text", class: "days", pattern: `\\s*(${DAY}([\\s,]+${DAY})*)?\\s*`, maxlength: 40, placeholder: t("schedule.every-day"), title: t("schedule.days-hint"), "aria-label": t("schedule.days-label"), spellcheck: "false", autocapitalize: "none",
    });
    from.value = entry?.from || "";
    wanted.value = entry?.rate || "";
    days.value = entry?.days?.join(" ") || "";
    const remove = el("button", { type: "button", on: { click: () => { row.remove(); more.focus(); changed(); } } }, t("schedule.remove"));
    const row = el("div", { class: "row" }, from, wanted, el("span", {}, t("schedule.per-second")), days, remove, el("p", { class: "fault", role: "alert" }));
    rows.append(row);
    if (!entry) from.focus();
  };
  const more = el("button", { type: "button", on: { click: () => { add(null); changed(); } } }, t("schedule.add"));
  for (const entry of current?.entries || [{}]) add(entry);
  const node = el("div", { class: "editor" },
    el("div", {}, el("label", {}, t("schedule.zone-field"), " ", zone), zones, zoneFault, rows, more), preview.node);
  node.addEventListener("input", changed);

  // The fault of an entry stands beside it; of the zone, under it.
  preview.onFaults((faults) => {
    const at = (pointer) => faults.filter((fault) => fault.pointer === pointer);
    const text = (list) => list.flatMap((fault) => [el("span", {}, code("fault", fault.code)), " "]);
    morph(zoneFault, text(at("/time_zone")));
    [...rows.children].forEach((row, index) => morph(row.querySelector(".fault"), text(at(`/entries/${index}`))));
  });

  function value() {
    return {
      time_zone: zone.value.trim(),
      entries: [...rows.children].map((row) => {
        const [from, wanted, days] = row.querySelectorAll("input");
        return { from: from.value, rate: Number(wanted.value), days: days.value.toLowerCase().split(/[\s,]+/).filter(Boolean) };
      }),
    };
  }

  changed();
  return { node, value, end: preview.end };
}
