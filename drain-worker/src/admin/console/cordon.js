// Cordons the worker that serves this page, alone.

import { api } from "./api.js";
import { byId } from "./chart.js";
import { confirm } from "./dialogs.js";
import { say } from "./dom.js";
import { t } from "./i18n.js";
import { state, update, view } from "./state.js";

/** @param {(text: string, isWarning?: boolean) => void} changed  Reports what was done. */
export function cordon(changed) {
  byId("cordon").addEventListener("click", async () => {
    const { status } = state;
    if (!status) return;
    const kind = status.is_cordoned ? "uncordon" : "cordon";
    const done = await confirm({
      title: t(`${kind}.title`, { worker: status.worker }), lines: [t(`${kind}.effect`)], yes: t(`${kind}.yes`), danger: kind === "cordon", act: api[kind],
    });
    if (!done) return;
    // The next poll's status may take a while.
    if (state.status) update({ status: { ...state.status, is_cordoned: done.value.is_cordoned } });
    const text = t(`${kind}.done`, { worker: done.value.worker });
    if (done.value.is_audited) changed(text);
    else changed(t("cordon.unaudited", { done: text }), true);
  });
  view("overview", ({ status }) => {
    if (!status) return;
    byId("cordon").disabled = false;
    say(byId("cordon"), t(status.is_cordoned ? "uncordon.button" : "cordon.button", { worker: status.worker }));
  });
}
