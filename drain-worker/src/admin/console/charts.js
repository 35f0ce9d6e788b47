// The five plots, with a common cursor and common marks.

import { api } from "./api.js";
import { byId, el } from "./chart.js";
import { fillSelect, say } from "./dom.js";
import { count, ms, rate, seconds } from "./format.js";
import { onLocale, t } from "./i18n.js";
import { marksIn, mayLack } from "./marks.js";
import { plot } from "./plot.js";
import { view } from "./state.js";

const SPECS = [
  {
    id: "committed", format: rate, tick: count,
    series: [{ key: "cap", color: "red", dash: "6 4", step: true }, { key: "committed", color: "blue" }],
  },
  { id: "lag", format: count, tick: count, series: [{ key: "lag_orders", color: "purple" }] },
  { id: "oldest", format: seconds, tick: (value) => (value ? value < 120 ? t("unit.s", { n: value }) : seconds(value) : "0"), series: [{ key: "oldest_age_s", color: "orange" }] },
  { id: "commit", format: ms, tick: (value) => (value ? t("unit.ms", { n: count(value) }) : "0"), series: [{ key: "p50_ms", color: "green" }, { key: "p99_ms", color: "red" }] },
  {
    id: "rejects", format: rate, tick: count,
    series: [
      { key: "sold_out", color: "blue" }, { key: "limit_exceeded", color: "orange" },
      { key: "conflict", color: "purple", dash: "2 3" }, { key: "dead_lettered", color: "red", dash: "6 4" },
    ],
  },
];

// The longest span that is drawn by second; the worker keeps no more of them.
const BY_SECOND_S = 900;
const SPAN_MAX_S = { second: BY_SECOND_S, minute: 86400 };
const SPANS = [[120, "min", 2], [300, "min", 5], [900, "min", 15], [3600, "h", 1], [21600, "h", 6], [86400, "h", 24]];

/** Returns a function that loads the samples which are not loaded yet, and draws. */
export function charts() {
  const box = byId("plots");
  const span = byId("span");
  const loaded = { second: [], minute: [] };
  const step = () => (Number(span.value) > BY_SECOND_S ? "minute" : "second");
  const point = (time) => plots.forEach((one) => one.at(time));
  let plots = [];
  let shown = null;

  function build() {
    fillSelect(span, SPANS.map(([value, unit, n]) => [String(value), t(`plots.${unit}`, { n })]), span.value || "300");
    box.replaceChildren();
    plots = SPECS.map((spec) => {
      const figure = el("figure", { id: `plot-${spec.id}`, class: spec.id === "committed" ? "card wide" : "card" });
      box.append(figure);
      const series = spec.series.map((one) => ({ ...one, label: t(`series.${one.key}`) }));
      return plot(figure, { ...spec, series, title: t(`plot.${spec.id}`), hasButtons: spec.id === "committed", point });
    });
    draw();
  }

  function draw() {
    const samples = loaded[step()];
    const end = samples.at(-1)?.time ?? 0;
    const begin = end - Number(span.value) * 1000;
    // A change may be newer than the newest sample.
    const marks = end ? marksIn(begin, end + SPAN_MAX_S[step()]) : [];
    plots.forEach((one) => one.draw(samples, Number(span.value), step() === "minute" ? 60 : 1, marks));
    say(byId("plots-note"), mayLack(begin) ? t("plots.lack") : "");
  }

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
  onLocale(build);
  view("overview", ({ acts }) => {
    if (acts === shown) return;
    shown = acts;
    draw();
  });
  build();
  return load;
}
