// Who changed what, when and why; newest first.

import { api } from "./api.js";
import { byId } from "./chart.js";
import { fillTable } from "./dom.js";
import { NONE, moment, words } from "./format.js";

const ENTRIES = 20;
const COLUMNS = [{ title: "When" }, { title: "Who" }, { title: "What" }, { title: "Detail" }, { title: "Reason" }];

export function audit() {
  let newest = null;
  return async () => {
    const { entries } = await api.audit(ENTRIES);
    const id = entries.length ? entries[0].id : 0;
    if (id === newest) return;
    newest = id;
    const rows = entries.map((entry) => ({ cells: [moment(entry.at), [entry.actor, entry.who && entry.actor ? `(${entry.who})` : entry.who].filter(Boolean).join(" ") || NONE, words(entry.action), entry.detail || "", entry.reason || NONE] }));
    fillTable(byId("audit"), "Changes, newest first", COLUMNS, rows, "No changes yet.");
  };
}
