// Changes of the settings, marked on the plots.

import { api } from "./api.js";
import { state, update } from "./state.js";

/** The acts that change the cap. */
export const MARKED = ["rate_set", "rate_reset", "pause", "resume", "schedule_set", "schedule_clear", "ceiling_set", "ceiling_clear"];
// Entries of the first request, enough for most days, and of the others.
const FIRST = 200;
const LATER = 20;

/** Loads the newest acts; without a gap to those that are loaded. */
export async function loadActs() {
  const newest = state.acts[0]?.id ?? 0;
  const page = await api.audit(newest ? LATER : FIRST);
  const fresh = page.entries.filter(({ id }) => id > newest);
  if (fresh.length && fresh.length === page.entries.length && newest) {
    update({ acts: (await api.audit(FIRST)).entries });
  } else if (fresh.length || state.acts.length) {
    // A redrive's entry grows with each page.
    const renewed = new Map(page.entries.map((act) => [act.id, act]));
    update({ acts: [...fresh, ...state.acts.map((act) => renewed.get(act.id) ?? act)].slice(0, FIRST) });
  }
}

/** The marks of a span: acts with their times. @param {number} begin @param {number} end */
export const marksIn = (begin, end) => state.acts.filter(({ action }) => MARKED.includes(action))
  .map((act) => ({ act, time: Date.parse(act.at) })).filter(({ time }) => time >= begin && time <= end);

/** True if the span may have more changes than are loaded. */
export const mayLack = (begin) => state.acts.length >= FIRST && Date.parse(state.acts.at(-1).at) > begin;
