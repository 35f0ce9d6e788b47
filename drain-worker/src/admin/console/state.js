// The pool's state in one line: its activity, its rate and what limits it.

import { count, known, moment, rate, seconds, words } from "./format.js";

const IN_TROUBLE = ["database_down", "broker_down", "backing_off", "lease_expired"];
const BAD = ["database_down", "broker_down"];
export const NAMES = { database_down: "Database down", broker_down: "Broker down", backing_off: "Backing off", lease_expired: "Lease expired", stopping: "Stopping" };

// Returns the state of the whole pool: { state, title, figure, reason }.
export function poolState(status) {
  const { cap, lag, workers } = status;
  const live = workers.filter((worker) => worker.state !== "lease_expired");
  const committed = status.committed_per_second;
  const wait = waiting(status);
  if (cap.source === "paused") {
    const until = cap.paused_until;
    return { state: "paused", title: "Paused", figure: until ? `until ${moment(until)}` : "until resumed", reason: wait };
  }
  if (!live.length) return { state: "bad", title: "No worker", figure: "nothing is drained", reason: wait };
  if (live.every((worker) => worker.state === "cordoned")) return { state: "paused", title: "Cordoned", figure: "no worker receives", reason: wait };
  for (const trouble of IN_TROUBLE) {
    const hit = live.filter((worker) => worker.state === trouble);
    if (!hit.length) continue;
    const reason = hit[0].reason ? `: ${hit[0].reason}` : "";
    const whom = live.length > 1 ? `${hit.length} of ${live.length} workers${reason}. ` : reason && `${reason.slice(2)}. `;
    return {
      state: BAD.includes(trouble) ? "bad" : "slow", title: NAMES[trouble],
      figure: `${rate(committed)} of ${rate(cap.orders_per_second)}`, reason: whom + wait,
    };
  }
  const idle = live.every((worker) => worker.state === "idle");
  // Drained only where the lag is known: an idle pool may as well receive nothing.
  if (!lag.error && (lag.orders ?? lag.messages) === 0) {
    return { state: "idle", title: "Drained", figure: committed ? rate(committed) : "nothing to do", reason: `Cap ${rate(cap.orders_per_second)} (${source(status)}).` };
  }
  if (idle) return { state: "idle", title: "Idle", figure: "nothing is received", reason: wait + ramp(cap) };
  return { state: "good", title: "Draining", figure: `${rate(committed)} of ${rate(cap.orders_per_second)}`, reason: wait + ramp(cap) };
}

function waiting(status) {
  const { lag, eta } = status;
  if (lag.error) return `The lag is not known: ${lag.error}. `;
  // Without an estimate of orders per message, the lag is in messages.
  const what = lag.orders === null || lag.orders === undefined ? `${count(lag.messages)} messages` : `${count(lag.orders)} orders`;
  const about = `${what} wait${known(lag.oldest_age_s) ? `, the oldest for ${seconds(lag.oldest_age_s)}` : ""}`;
  if (!eta) return `${about}. `;
  return known(eta.seconds) ? `${about}; drained in ${seconds(eta.seconds)}, at ${moment(eta.drained_at)}. ` : `${about}; ${eta.trend}. `;
}

const ramp = (cap) => (cap.ramp ? `Ramp from ${rate(cap.ramp.from)} to ${rate(cap.ramp.to)} until ${moment(cap.ramp.ends_at)}.` : "");

const SOURCES = { paused: "paused", manual: "set by hand", schedule: "by schedule", default: "default" };
export const source = (status) => SOURCES[status.cap.source] || words(status.cap.source);
