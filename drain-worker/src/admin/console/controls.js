// Rate, ramp and ceiling. Each change is confirmed before it is sent.

import { api } from "./api.js";
import { byId, el } from "./chart.js";
import { confirm } from "./dialogs.js";
import { data, say } from "./dom.js";
import { rate, seconds } from "./format.js";
import { present } from "./holds.js";
import { nodes, t } from "./i18n.js";
import { state, view } from "./state.js";

/** @param {(text: string) => void} changed  Reports what was done. */
export function controls(changed) {
  const settings = () => state.status?.settings;

  byId("rate-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = Number(byId("rate").value);
    const ramp = Number(byId("ramp").value) || 0;
    const how = ramp ? t("rate.by-ramp", { time: seconds(ramp) }) : t("rate.at-once");
    const lines = [present(), t("rate.new", { rate: rate(wanted), how })];
    if (state.status?.cap.source === "paused") lines.push(t("rate.stays-paused"));
    const done = await confirm({
      title: t("rate.title-set"), lines, yes: t("rate.yes", { rate: rate(wanted) }),
      act: (who, madeOn) => api.setRate({ rate: wanted, ...(ramp && { ramp_s: ramp }), ...who }, madeOn),
    });
    if (!done) return;
    byId("rate-form").reset();
    changed(t("rate.done", { rate: rate(wanted), how }));
  });

  byId("rate-reset").addEventListener("click", async () => {
    const back = settings()?.schedule ? t("rate.back-schedule") : t("rate.back-default", { rate: rate(settings()?.default) });
    const done = await confirm({ title: t("rate.title-clear"), lines: [present(), back], yes: t("rate.yes-clear"), act: api.resetRate });
    if (done) changed(t("rate.cleared"));
  });

  byId("ceiling-set").addEventListener("click", async () => {
    const field = el("input", { id: "ceiling-rate", type: "number", min: 1, max: 1000000, step: 1, required: true, inputmode: "numeric" });
    field.value = settings()?.ceiling ?? "";
    const done = await confirm({
      title: t("ceiling.title-set"), lines: [present(), nodes("ceiling.effect", { command: data("drain-worker tune") })], body: el("div", { class: "fields" }, el("label", {}, t("rate.field"), field)), yes: t("ceiling.yes"),
      act: (who, madeOn) => api.setCeiling({ rate: Number(field.value), ...who }, madeOn).then(() => Number(field.value)),
    });
    if (done) changed(t("ceiling.done", { rate: rate(done.value) }));
  });

  byId("ceiling-clear").addEventListener("click", async () => {
    const done = await confirm({
      title: t("ceiling.title-clear"), lines: [t("ceiling.now", { rate: rate(settings()?.ceiling) }), t("ceiling.clear-effect")], yes: t("ceiling.yes-clear"), danger: true, act: api.clearCeiling,
    });
    if (done) changed(t("ceiling.cleared"));
  });

  view("overview", ({ status }) => {
    if (!status) return;
    for (const id of ["rate-set", "ceiling-set"]) byId(id).disabled = false;
    byId("rate-reset").disabled = !status.settings.manual;
    say(byId("rate-reset"), t(status.settings.schedule ? "rate.to-schedule" : "rate.to-default"));
    byId("rate").placeholder = status.cap.source === "paused" ? "" : String(status.cap.orders_per_second);
    byId("ceiling-clear").disabled = !status.settings.ceiling;
  });
}
