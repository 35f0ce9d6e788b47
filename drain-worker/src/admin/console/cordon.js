// Cordons the worker that serves this page, alone.

import { api } from "./api.js";
import { confirm } from "./dialogs.js";
import { byId } from "./chart.js";
import { say } from "./dom.js";

const isCordoned = (status) => status.workers.some(({ name, state }) => name === status.worker && state === "cordoned");

// `now()` gives the newest status, or null; `changed(text)` reports what was done.
export function cordon(now, changed) {
  const button = byId("cordon");
  button.addEventListener("click", async () => {
    const status = now();
    if (!status) return;
    const lifts = isCordoned(status);
    const lines = lifts ? ["It receives again and gets its share of the cap."]
      : ["It commits the orders that it holds and receives no more. The others get its share. To cordon another worker, open its console."];
    const done = await confirm({
      title: `${lifts ? "Uncordon" : "Cordon"} ${status.worker}?`, lines, yes: lifts ? "Uncordon" : "Cordon", danger: !lifts,
      act: lifts ? api.uncordon : api.cordon,
    });
    if (done) changed(`${status.worker} ${lifts ? "uncordoned" : "cordoned"}.`);
  });
  return (status) => say(button, `${isCordoned(status) ? "Uncordon" : "Cordon"} ${status.worker}…`);
}
