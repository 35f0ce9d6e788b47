// Cordons the worker that serves this page, alone.

import { api } from "./api.js";
import { byId } from "./chart.js";
import { confirm } from "./dialogs.js";
import { say } from "./dom.js";
import { t } from "./i18n.js";
import { state, view } from "./state.js";

const isCordoned = (status) => status.workers.some(({ name, state: of }) => name === status.worker && of === "cordoned");

/** @param {(text: string, isWarning?: boolean) => void} changed  Reports what was done. */
export function cordon(changed) {
  byId("cordon").addEventListener("click", async () => {
    const { status } = state;
    if (!status) return;
    const kind = isCordoned(status) ? "uncordon" : "cordon";
    const done = await confirm({
      title: t(`${kind}.title`, { worker: status.worker }), lines: [t(`${kind}.effect`)], yes: t(`${kind}.yes`), danger: kind === "cordon", act: api[kind],
    });
    if (!done) return;
    const text = t(`${kind}.done`, { worker: done.value.worker });
    if (done.value.is_audited) changed(text);
    else changed(t("cordon.unaudited", { done: text }), true);
  });
  view("overview", ({ status }) => {
    if (status) say(byId("cordon"), t(isCordoned(status) ? "uncordon.button" : "cordon.button", { worker: status.worker }));
  });
}
