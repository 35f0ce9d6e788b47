// The one state that all views draw, and the list of the views.

/**
 * @typedef {"overview" | "sale" | "letters" | "orders" | "audit"} Page
 * @typedef {{ name: string, role: "read" | "operate" }} Access
 *
 * @typedef {object} Hold
 * @property {number} id
 * @property {string} owner
 * @property {string} reason
 * @property {string} since
 * @property {string | null} until
 *
 * @typedef {object} Worker
 * @property {string} lease
 * @property {string} name
 * @property {string} state
 * @property {string | null} reason
 * @property {number} share
 * @property {number} wanted
 * @property {number | null} committed_per_second
 * @property {{ p50: number | null, p99: number | null }} commit_ms
 * @property {number | null} held_orders
 * @property {string} joined_at
 * @property {number} expires_in_ms
 *
 * @typedef {object} Act  An entry of the audit trail.
 * @property {number} id
 * @property {string} at
 * @property {string} actor
 * @property {string} who
 * @property {string} action
 * @property {string} detail
 * @property {string} reason
 * @property {Record<string, unknown> | null} before
 * @property {Record<string, unknown> | null} after
 *
 * @typedef {object} Status
 * @property {string} group
 * @property {string} worker
 * @property {boolean} is_cordoned  Whether that worker is, in whatever state.
 * @property {string} now
 * @property {number} age_s
 * @property {{ orders_per_second: number, source: string, ramp: { from: number, to: number, ends_at: string } | null, paused_until: string | null }} cap
 * @property {{ revision: number, default: number, manual: { from: number, to: number, began_at: string, ends_at: string } | null, ceiling: number | null, holds: Hold[], schedule: { time_zone: string, entries: { from: string, rate: number, days?: string[] }[] } | null }} settings
 * @property {number | null} committed_per_second
 * @property {number | null} arriving_per_second
 * @property {number | null} receive_failures_per_second
 * @property {string | null} limited_by
 * @property {{ p50: number | null, p99: number | null }} commit_ms
 * @property {{ messages: number | null, orders: number | null, oldest_age_s: number | null, error?: string }} lag
 * @property {{ trend: string, seconds: number | null, drained_at: string | null } | null} eta
 * @property {{ total: number, by_reason: Record<string, number>, oldest_age_s: number | null } | null} dead_letters
 * @property {Worker[]} workers
 * @property {{ code: string, text: string }[]} warnings
 *
 * @typedef {object} State
 * @property {Page} page
 * @property {Status | null} status  The newest; null: none yet.
 * @property {number} heard  When its figures were true, by this machine's clock; 0: never.
 * @property {{ state: string, reason: string | null } | null} unjoined  The worker has not joined the pool.
 * @property {Access | null} access  What the token allows, by the worker; null: not known.
 * @property {Error | null} trouble
 * @property {Act[]} acts  The newest changes, newest first.
 */

/** @type {State} */
export const state = { page: "overview", status: null, heard: 0, unjoined: null, access: null, trouble: null, acts: [] };

/** @type {{ page: Page | null, draw: (state: State) => void }[]} */
const views = [];

/** Draws on each render; with a page, only while that is shown. @param {Page | null} page @param {(state: State) => void} draw */
export const view = (page, draw) => { views.push({ page, draw }); };

export function render() {
  for (const { page, draw } of views) if (page === null || page === state.page) draw(state);
}

// The settings and the cap of an answer to a change: the status may be older for a while.
/** @type {{ settings: Status["settings"], cap: Status["cap"], until: number } | null} */
let ahead = null;
// The bound: a database that was made anew has lower revisions.
const AHEAD_MS = 10000;

/** The status, with the settings and the cap of a newer answer. @param {Status} status */
function merged(status) {
  if (ahead && (ahead.settings.revision <= status.settings.revision || ahead.until <= Date.now())) ahead = null;
  return ahead ? { ...status, settings: ahead.settings, cap: ahead.cap } : status;
}

/** @param {Partial<State>} values */
export function update(values) {
  Object.assign(state, values);
  if (values.status) state.status = merged(values.status);
  render();
}

/** Stores the settings and the cap of an answer that are newer than the status. The next poll draws them. @param {Pick<Status, "settings" | "cap">} answer */
export function answered({ settings, cap }) {
  if (!state.status || settings.revision <= revision()) return;
  ahead = { settings, cap, until: Date.now() + AHEAD_MS };
  state.status = merged(state.status);
}

/** The revision of the settings that are shown; 0: none. */
export const revision = () => state.status?.settings.revision ?? 0;

/** True only if the worker says so. */
export const mayOperate = () => state.access?.role === "operate";
