// Pause and Resume, on every page. A pause is a hold; the pool runs when none is left.

import { api } from "./api.js";
import { byId, el } from "./chart.js";
import { confirm } from "./dialogs.js";
import { actions, show } from "./dom.js";
import { fromLocal, moment, rate, toLocal, zoneText } from "./format.js";
import { holdText } from "./headline.js";
import { t } from "./i18n.js";
import { source } from "./pool.js";
import { state } from "./state.js";

/** The cap in force, as a line of a dialog. */
export const present = () => (state.status ? t("cap.now", { cap: rate(state.status.cap.orders_per_second), source: source(state.status) }) : t("cap.unknown"));

// The fields for the length of a pause: `value()` is the body of the request, `text()` its length in words.
function lengthFields() {
  const kind = el("select", { id: "pause-kind" }, ["open", "for", "until"].map((value) => el("option", { value }, t(`pause.${value}`))));
  const minutes = el("input", { id: "pause-minutes", type: "number", min: 1, max: 10080, step: 1, value: 10, inputmode: "numeric" });
  const until = el("input", { id: "pause-until", type: "datetime-local", step: 1, max: "9999-12-31T23:59:59" });
  until.value = toLocal(Date.now() + 3600e3).slice(0, 16);
  const reads = el("output", { id: "pause-reads", class: "fine" });
  const minutesLabel = el("label", { hidden: true }, t("pause.minutes"), minutes);
  const untilLabel = el("label", { hidden: true }, t("pause.until-in", { zone: zoneText() }), until);
  const update = () => {
    show(minutesLabel, kind.value === "for");
    show(untilLabel, kind.value === "until");
    minutes.required = kind.value === "for";
    until.required = kind.value === "until";
    // The clock may skip the time that was typed.
    reads.textContent = kind.value === "until" && fromLocal(until.value) ? t("pause.reads", { time: moment(fromLocal(until.value)), utc: fromLocal(until.value) }) : "";
  };
  for (const field of [kind, until]) field.addEventListener("input", update);
  update();
  return {
    node: el("div", {}, el("div", { class: "fields" }, el("label", {}, t("pause.length"), kind), minutesLabel, untilLabel), reads),
    value: () => ({ open: {}, for: { for_s: Number(minutes.value) * 60 }, until: { until: fromLocal(until.value) } })[kind.value],
    text: () => ({ open: t("until.resumed"), for: t("pause.for-minutes", { n: Number(minutes.value) }), until: t("until.time", { time: moment(fromLocal(until.value)) }) })[kind.value],
  };
}

/** @param {(text: string) => void} changed  Reports what was done. */
export function holds(changed) {
  byId("pause").addEventListener("click", async () => {
    const length = lengthFields();
    const done = await confirm({
      title: t("pause.title"), lines: [present(), t("pause.effect")], body: length.node, yes: t("pause.yes"), danger: true,
      act: (who) => api.pause({ ...length.value(), ...who }).then(() => length.text()),
    });
    if (done) changed(t("pause.done", { length: done.value }));
  });

  byId("resume").addEventListener("click", async () => {
    const lines = [present(), t("resume.all-end"), ...(state.status?.settings.holds ?? []).map(holdText)];
    const done = await confirm({ title: t("resume.title"), lines, yes: t("resume.yes"), act: api.resume });
    if (done) changed(t("resume.done"));
  });

  actions(byId("holds"), {
    end: async (button) => {
      const hold = state.status?.settings.holds.find(({ id }) => String(id) === button.dataset.hold);
      if (!hold) return;
      const done = await confirm({
        title: t("hold.end-title", { id: hold.id }), lines: [holdText(hold), t("hold.when-none-left")], yes: t("hold.end-yes"),
        act: (who) => api.endHold({ hold: hold.id, ...who }),
      });
      if (done) changed(t("hold.ended", { id: hold.id }));
    },
  });
}
