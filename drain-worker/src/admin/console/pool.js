// The pool's state in one line: its activity, its rate and what limits it.

import { data } from "./dom.js";
import { count, known, moment, rate, seconds } from "./format.js";
import { code, nodes, t } from "./i18n.js";

const IN_TROUBLE = ["database_down", "broker_down", "backing_off"];
const BAD = ["database_down", "broker_down"];

export const isLive = (worker) => worker.state !== "lease_expired";

/** `set by hand`. @param {import("./state.js").Status} status */
export const source = (status) => code("source", status.cap.source);

/**
 * The state of the whole pool. @param {import("./state.js").Status} status
 * @returns {{ tone: string, title: string, figure: string, reason: (string | Node)[] }}
 */
export function poolState(status) {
  const { cap, lag, workers } = status;
  const live = workers.filter(isLive);
  const lapsed = workers.length - live.length;
  const committed = status.committed_per_second;
  const rates = t("headline.rates", { committed: rate(committed), cap: rate(cap.orders_per_second) });
  const rest = [...(lapsed ? nodes("headline.lapsed", { n: count(lapsed), of: count(workers.length) }) : []), ...waiting(status)];
  const line = (tone, title, figure, reason) => ({ tone: tone === "good" && lapsed ? "slow" : tone, title: t(title), figure, reason });
  if (cap.source === "paused") {
    const until = cap.paused_until;
    return line("paused", "headline.paused", until ? t("until.time", { time: moment(until) }) : t("until.resumed"), rest);
  }
  if (!live.length) return line("bad", "headline.no-worker", t("headline.nothing-drained"), rest);
  if (live.every((worker) => worker.state === "cordoned")) return line("paused", "headline.cordoned", t("headline.none-receives"), rest);
  for (const trouble of IN_TROUBLE) {
    const hit = live.filter((worker) => worker.state === trouble);
    if (!hit.length) continue;
    const reason = hit[0].reason ? data(hit[0].reason) : null;
    const whom = live.length > 1 ? nodes(reason ? "headline.some-because" : "headline.some", { n: count(hit.length), of: count(live.length), reason })
      : reason ? nodes("headline.because", { reason }) : [];
    return line(BAD.includes(trouble) ? "bad" : "slow", `headline.${trouble}`, rates, [...whom, ...rest]);
  }
  // Drained only where the lag is known: an idle pool may as well receive nothing.
  if (!lag.error && (lag.orders ?? lag.messages) === 0) {
    const figure = committed ? rate(committed) : t("headline.nothing-to-do");
    return line("idle", "headline.drained", figure, nodes("headline.cap", { cap: rate(cap.orders_per_second), source: source(status) }));
  }
  const whole = [...rest, ...ramp(cap)];
  if (live.every((worker) => worker.state === "idle")) return line("idle", "headline.idle", t("headline.nothing-received"), whole);
  return line("good", "headline.draining", rates, whole);
}

function waiting(status) {
  const { lag, eta } = status;
  if (lag.error) return nodes("waiting.unknown", { error: data(lag.error) });
  // Without an estimate of orders per message, the lag is in messages.
  const what = known(lag.orders) ? t("waiting.orders", { n: count(lag.orders) }) : t("waiting.messages", { n: count(lag.messages) });
  const about = known(lag.oldest_age_s) ? t("waiting.with-oldest", { what, age: seconds(lag.oldest_age_s) }) : what;
  if (!eta) return [t("waiting.end", { about })];
  if (known(eta.seconds)) return [t("waiting.drained-in", { about, time: seconds(eta.seconds), at: moment(eta.drained_at) })];
  return [t("waiting.trend", { about, trend: code("trend", eta.trend) })];
}

const ramp = (cap) => (cap.ramp ? [t("headline.ramp", { from: rate(cap.ramp.from), to: rate(cap.ramp.to), at: moment(cap.ramp.ends_at) })] : []);

/** The headline of a worker that has not joined the pool. */
export const unjoinedState = ({ state, reason }) =>
  ({ tone: "slow", title: t(state === "database_down" ? "headline.database_down" : "headline.joining"), figure: "", reason: reason ? [data(reason)] : [] });
