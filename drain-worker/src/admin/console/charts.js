// The five plots, with a common cursor.

import { api } from "./api.js";
import { byId, el } from "./chart.js";
import { count, ms, rate, seconds } from "./format.js";
import { plot } from "./plot.js";

const SPECS = [
  {
    id: "committed", title: "Committed orders a second, against the cap", format: rate, tick: count,
    series: [
      { key: "cap", label: "cap", color: "red", dash: "6 4", step: true },
      { key: "committed", label: "committed", color: "blue" },
    ],
  },
  { id: "lag", title: "Orders waiting", format: count, tick: count, series: [{ key: "lag_orders", label: "waiting", color: "purple" }] },
  { id: "oldest", title: "Age of the oldest message", format: seconds, tick: (value) => `${value} s`, series: [{ key: "oldest_age_s", label: "oldest", color: "orange" }] },
  {
    id: "commit", title: "Commit latency", format: ms, tick: (value) => `${value} ms`,
    series: [{ key: "p50_ms", label: "p50", color: "green" }, { key: "p99_ms", label: "p99", color: "red" }],
  },
  {
    id: "rejects", title: "Rejects a second, by reason", format: rate, tick: count,
    series: [
      { key: "sold_out", label: "sold out", color: "blue" },
      { key: "limit_exceeded", label: "limit exceeded", color: "orange" },
      { key: "conflict", label: "conflict", color: "purple", dash: "2 3" },
      { key: "dead_lettered", label: "dead-lettered", color: "red", dash: "6 4" },
    ],
  },
];

// The longest span that is drawn by second; the worker keeps no more of them.
const BY_SECOND_S = 900;
const SPAN_MAX_S = { second: BY_SECOND_S, minute: 86400 };

// Returns a function that loads the samples which are not loaded yet, and draws.
export function charts() {
  const box = byId("plots");
  const span = byId("span");
  const loaded = { second: [], minute: [] };
  const step = () => (Number(span.value) > BY_SECOND_S ? "minute" : "second");
  const point = (time) => plots.forEach((one) => one.at(time));
  const plots = SPECS.map((spec) => {
    const figure = el("figure", { id: `plot-${spec.id}`, class: spec.id === "committed" ? "card wide" : "card" });
    box.append(figure);
    return plot(figure, { ...spec, point });
  });
  const draw = () => plots.forEach((one) => one.draw(loaded[step()], Number(span.value), step() === "minute" ? 60 : 1));
  async function load() {
    const mine = step();
    const since = loaded[mine].at(-1)?.at ?? "";
    const { samples } = await api.history(mine, since);
    const last = loaded[mine].at(-1)?.time ?? 0;
    // Another call may have loaded the same meanwhile.
    loaded[mine].push(...samples.map((sample) => ({ ...sample, time: Date.parse(sample.at) })).filter(({ time }) => time > last));
    const begin = (loaded[mine].at(-1)?.time ?? 0) - SPAN_MAX_S[mine] * 1000;
    loaded[mine] = loaded[mine].filter(({ time }) => time >= begin);
    draw();
  }
  span.addEventListener("change", () => {
    draw();
    // Without an answer, the next poll loads.
    load().catch(() => {});
  });
  return load;
}
