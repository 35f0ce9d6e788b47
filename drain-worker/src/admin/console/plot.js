// A plot over time: lines with gaps where values are missing, and a legend with the values at the cursor.
//
// plot(figure, {
//   title, format,                  caption; formats a value
//   series: [{ key, label, color, dash, step }],   key of a sample's member; step: a value applies until the next, like a cap
//   point: (time) => …,             called with the time under the pointer, or null
// }) returns { draw(samples, span_s, step_s), at(time) }

import { el, keySteps, linearScale, nearest, pointText, svg, swatch, yGrid } from "./chart.js";
import { clock } from "./format.js";

const HEIGHT = 176;
const MARGIN = { top: 10, right: 10, bottom: 22, left: 58 };
// Samples further apart than this many steps have a gap between them.
const GAP_STEPS = 3.5;

export function plot(figure, spec) {
  const keys = spec.series.map((series) => ({ series, value: el("b", {}, "–") }));
  const when = el("span", { class: "when" });
  const legend = el("ul", { class: "legend" }, keys.map(({ series, value }) => el("li", {}, swatch(series), series.label, " ", value)));
  const box = el("div", { class: "plot", tabindex: "0", role: "img" });
  figure.replaceChildren(el("figcaption", {}, spec.title, when), legend, box);
  let samples = [];
  let span = 300;
  let step = 1;
  let cursor = null;
  let frame = null;

  function draw(next = samples, seconds = span, step_s = step) {
    span = seconds;
    step = step_s;
    const end = next.length ? next[next.length - 1].time : 0;
    samples = next.filter((sample) => sample.time >= end - span * 1000);
    const width = Math.floor(box.clientWidth);
    if (!width) return;
    frame = lay(spec, samples, width, end, span, step);
    box.replaceChildren(picture(spec, samples, frame));
    at(cursor);
  }

  // Shows the values at `time`, else the newest.
  function at(time) {
    cursor = time;
    const index = time === null ? samples.length - 1 : nearest(frame ? frame.times : [], time);
    const sample = samples[index];
    for (const { series, value } of keys) value.textContent = sample ? spec.format(sample[series.key]) : "–";
    when.textContent = time === null || !sample ? "" : clock(sample.time);
    const values = spec.series.map((series) => `${series.label} ${sample ? spec.format(sample[series.key]) : "not known"}`);
    box.setAttribute("aria-label", `${spec.title}${time === null ? "" : ` at ${when.textContent}`}: ${values.join(", ")}. Arrow keys read earlier values.`);
    const line = box.querySelector(".cursor");
    if (!line || !frame) return;
    line.toggleAttribute("hidden", time === null || !sample);
    if (sample) {
      line.setAttribute("x1", frame.x(sample.time));
      line.setAttribute("x2", frame.x(sample.time));
    }
  }

  box.addEventListener("pointermove", (event) => {
    if (!frame || !samples.length) return;
    spec.point(frame.time(event.clientX - box.getBoundingClientRect().left));
  });
  box.addEventListener("pointerleave", () => spec.point(null));
  box.addEventListener("blur", () => spec.point(null));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") spec.point(null);
    const steps = keySteps(event.key, samples.length);
    if (steps === undefined || !frame || !samples.length) return;
    event.preventDefault();
    const from = cursor === null ? samples.length - 1 : nearest(frame.times, cursor);
    const to = Math.max(0, Math.min(samples.length - 1, from + steps));
    spec.point(samples[to].time);
  });
  new ResizeObserver(() => draw()).observe(box);
  return { draw, at };
}

// Scales and places for a plot of `width` pixels.
function lay(spec, samples, width, end, span, step) {
  const values = samples.flatMap((sample) => spec.series.map((series) => sample[series.key])).filter((value) => Number.isFinite(value));
  const y = linearScale(Math.max(...values, 0) * 1.04, HEIGHT - MARGIN.bottom, MARGIN.top, spec.tick);
  const inner = Math.max(1, width - MARGIN.left - MARGIN.right);
  const begin = end - span * 1000;
  return {
    width, y, begin, end, gap: GAP_STEPS * step * 1000,
    times: samples.map((sample) => sample.time),
    x: (time) => MARGIN.left + ((time - begin) / (end - begin || 1)) * inner,
    time: (pixel) => begin + ((pixel - MARGIN.left) / inner) * (end - begin),
  };
}

function picture(spec, samples, frame) {
  const parts = [yGrid(frame.y, MARGIN.left, frame.width - MARGIN.right)];
  const marks = frame.width < 420 ? 3 : 5;
  for (let mark = 0; mark < marks; mark += 1) {
    const time = frame.begin + ((frame.end - frame.begin) * mark) / (marks - 1);
    const anchor = mark === 0 ? "start" : mark === marks - 1 ? "end" : "middle";
    if (frame.end) parts.push(svg("text", { class: "tick", x: frame.x(time), y: HEIGHT - 5, "text-anchor": anchor }, clock(time)));
  }
  for (const series of spec.series) {
    const shape = path(samples, series, frame);
    parts.push(svg("path", { class: `line ${series.color}`, "data-series": series.key, d: shape, "stroke-dasharray": series.dash }));
  }
  const nothing = samples.some((sample) => spec.series.some((series) => Number.isFinite(sample[series.key]))) ? null
    : svg("text", { class: "nothing", x: frame.width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "No data yet.");
  const cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, hidden: true });
  return svg("svg", { width: frame.width, height: HEIGHT, viewBox: `0 0 ${frame.width} ${HEIGHT}`, "aria-hidden": "true" }, parts, nothing, cursor);
}

function path(samples, series, frame) {
  let shape = "";
  let last = null;
  for (const sample of samples) {
    const value = sample[series.key];
    if (!Number.isFinite(value)) {
      last = null;
      continue;
    }
    const x = frame.x(sample.time);
    const joins = last && sample.time - last.time <= frame.gap;
    if (joins && series.step) shape += `H${x.toFixed(1)}`;
    shape += `${joins ? "L" : "M"}${pointText(x, frame.y.at(value))}`;
    last = sample;
  }
  return shape;
}
