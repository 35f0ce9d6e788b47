// The five plots, with a common cursor.

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

export function charts() {
  const box = byId("plots");
  const span = byId("span");
  let samples = [];
  const point = (time) => plots.forEach((one) => one.at(time));
  const plots = SPECS.map((spec) => {
    const figure = el("figure", { id: `plot-${spec.id}`, class: spec.id === "committed" ? "card wide" : "card" });
    box.append(figure);
    return plot(figure, { ...spec, point });
  });
  const draw = () => plots.forEach((one) => one.draw(samples, Number(span.value)));
  span.addEventListener("change", draw);
  return (history) => {
    samples = history.samples.map((sample) => ({ ...sample, time: Date.parse(sample.at) }));
    draw();
  };
}
