// The schedule of caps: shown, and edited as a whole.

import { api } from "./api.js";
import { confirm } from "./dialogs.js";
import { byId, el } from "./chart.js";
import { rate } from "./format.js";

const ENTRIES_MAX = 64;
const DAY = "(mon|tue|wed|thu|fri|sat|sun)";

export function schedule(now, changed) {
  byId("schedule-edit").addEventListener("click", async () => {
    const form = editor(now()?.settings.schedule);
    const done = await confirm({
      title: "Edit the schedule", body: form.node, yes: "Use this schedule",
      act: (who, madeOn) => api.setSchedule({ ...form.value(), ...who }, madeOn),
    });
    if (done) changed("Schedule changed.");
  });
  byId("schedule-clear").addEventListener("click", async () => {
    const done = await confirm({
      title: "Clear the schedule?", lines: [`The default of ${rate(now()?.settings.default)} holds, unless a rate is set by hand.`],
      yes: "Clear", danger: true, act: api.clearSchedule,
    });
    if (done) changed("Schedule cleared.");
  });
  let shown = null;
  return (status) => {
    const text = JSON.stringify([status.settings.schedule, status.settings.default]);
    byId("schedule-clear").disabled = !status.settings.schedule;
    if (text === shown) return;
    shown = text;
    byId("schedule").replaceChildren(view(status.settings));
  };
}

function view(settings) {
  if (!settings.schedule) return el("p", {}, `None: the default of ${rate(settings.default)} applies all day.`);
  const { entries, time_zone: zone } = settings.schedule;
  return el("div", {},
    el("ul", { class: "entries" }, entries.map((entry) => el("li", {}, el("b", {}, entry.from), ` ${rate(entry.rate)}${entry.days?.length ? `, ${entry.days.join(" ")} only` : ""}`))),
    el("p", { class: "fine" }, `Time zone ${zone}. Each applies until the next.`));
}

function editor(current) {
  const zone = el("input", { id: "schedule-zone", required: true, maxlength: 64, spellcheck: "false" });
  zone.value = current?.time_zone || Intl.DateTimeFormat().resolvedOptions().timeZone;
  const rows = el("div", { class: "rows" });
  const add = (entry) => {
    if (rows.children.length >= ENTRIES_MAX) return;
    const from = el("input", { type: "time", required: true, "aria-label": "From" });
    const wanted = el("input", { type: "number", min: 1, max: 1000000, step: 1, required: true, "aria-label": "Orders a second", inputmode: "numeric" });
    const days = el("input", { type: "text", class: "days", pattern: `\\s*(${DAY}([\\s,]+${DAY})*)?\\s*`, maxlength: 40, placeholder: "every day", title: "Days such as: sat sun. Empty: every day.", "aria-label": "Days, such as sat sun; empty: every day", spellcheck: "false", autocapitalize: "none" });
    from.value = entry?.from || "";
    wanted.value = entry?.rate || "";
    days.value = entry?.days?.join(" ") || "";
    const row = el("div", { class: "row" }, from, wanted, el("span", {}, "/s"), days);
    row.append(el("button", { type: "button", on: { click: () => { row.remove(); more.focus(); } } }, "Remove"));
    rows.append(row);
    if (!entry) from.focus();
  };
  const more = el("button", { type: "button", on: { click: () => add(null) } }, "Add a time");
  for (const entry of current?.entries || [{}]) add(entry);
  return {
    node: el("div", { class: "editor" }, el("label", {}, "Time zone ", zone), rows, more),
    value: () => ({
      time_zone: zone.value.trim(),
      entries: [...rows.children].map((row) => {
        const [from, wanted, days] = row.querySelectorAll("input");
        return { from: from.value, rate: Number(wanted.value), days: days.value.split(/[\s,]+/).filter(Boolean) };
      }),
    }),
  };
}
