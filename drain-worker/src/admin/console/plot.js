// One plot over time: lines with gaps where nothing is known, and a legend that tells the values where the cursor is.
//
// plot(figure, {
//   title, format,                  what it shows; a value as text
//   series: [{ key, label, color, dash, step }],   key: of a sample; step: holds until the next, as a cap does
//   point: (time) => …,             told the moment that is pointed at, or null
// }) gives { draw(samples, span_s), at(time) }

import { el, svg } from "./dom.js";
import { clock } from "./format.js";

const HEIGHT = 176;
const MARGIN = { top: 10, right: 10, bottom: 22, left: 58 };
const GAP_S = 3.5;

export function plot(figure, spec) {
  const keys = spec.series.map((series) => ({ series, value: el("b", {}, "–") }));
  const when = el("span", { class: "when" });
  const legend = el("ul", { class: "legend" }, keys.map(({ series, value }) => el("li", {}, swatch(series), series.label, " ", value)));
  const box = el("div", { class: "plot", tabindex: "0", role: "img" });
  figure.replaceChildren(el("figcaption", {}, spec.title, when), legend, box);
  let samples = [];
  let span = 300;
  let cursor = null;
  let frame = null;

  function draw(next = samples, seconds = span) {
    span = seconds;
    const end = next.length ? next[next.length - 1].time : 0;
    samples = next.filter((sample) => sample.time >= end - span * 1000);
    const width = Math.floor(box.clientWidth);
    if (!width) return;
    frame = lay(spec, samples, width, end, span);
    box.replaceChildren(picture(spec, samples, frame));
    at(cursor);
  }

  // Shows the values at `time`, else the newest.
  function at(time) {
    cursor = time;
    const index = time === null ? samples.length - 1 : nearest(samples, time);
    const sample = samples[index];
    for (const { series, value } of keys) value.textContent = sample ? spec.format(sample[series.key]) : "–";
    when.textContent = time === null || !sample ? "" : clock(sample.time);
    const told = spec.series.map((series) => `${series.label} ${sample ? spec.format(sample[series.key]) : "not known"}`);
    box.setAttribute("aria-label", `${spec.title}${time === null ? "" : ` at ${when.textContent}`}: ${told.join(", ")}. Arrow keys read earlier values.`);
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
    const leap = Math.max(1, Math.round(samples.length / 10));
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -leap, PageDown: leap, Home: -Infinity, End: Infinity };
    if (event.key === "Escape") spec.point(null);
    if (!(event.key in steps) || !samples.length) return;
    event.preventDefault();
    const from = cursor === null ? samples.length - 1 : nearest(samples, cursor);
    const to = Math.max(0, Math.min(samples.length - 1, from + steps[event.key]));
    spec.point(samples[to].time);
  });
  new ResizeObserver(() => draw()).observe(box);
  return { draw, at };
}

const swatch = (series) =>
  svg("svg", { class: `swatch ${series.color}`, width: 18, height: 10, "aria-hidden": "true" },
    svg("line", { class: "line", x1: 0, y1: 5, x2: 18, y2: 5, "stroke-dasharray": series.dash }));

function nearest(samples, time) {
  let low = 0;
  let high = samples.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (samples[middle].time < time) low = middle + 1;
    else high = middle;
  }
  return low > 0 && time - samples[low - 1].time < samples[low].time - time ? low - 1 : low;
}

// Where things stand.
function lay(spec, samples, width, end, span) {
  const values = samples.flatMap((sample) => spec.series.map((series) => sample[series.key])).filter((value) => Number.isFinite(value));
  const step = tickStep(Math.max(...values, 0), 4);
  const top = Math.max(step, Math.ceil((Math.max(...values, 0) * 1.04) / step) * step);
  const inner = { width: Math.max(1, width - MARGIN.left - MARGIN.right), height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const begin = end - span * 1000;
  return {
    width, top, step, begin, end,
    x: (time) => MARGIN.left + ((time - begin) / (end - begin || 1)) * inner.width,
    y: (value) => MARGIN.top + inner.height - (value / top) * inner.height,
    time: (pixel) => begin + ((pixel - MARGIN.left) / inner.width) * (end - begin),
  };
}

// A step of 1, 2 or 5 times a power of ten that makes about `parts` of `top`.
function tickStep(top, parts) {
  if (!(top > 0)) return 1;
  const rough = top / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) || 10);
}

function picture(spec, samples, frame) {
  const parts = [];
  for (let value = 0; value <= frame.top + frame.step / 2; value += frame.step) {
    const y = frame.y(value);
    parts.push(svg("line", { class: "grid", x1: MARGIN.left, x2: frame.width - MARGIN.right, y1: y, y2: y }));
    parts.push(svg("text", { class: "tick", x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, spec.tick(value)));
  }
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
    : svg("text", { class: "nothing", x: frame.width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "Nothing is known yet.");
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
    const x = frame.x(sample.time).toFixed(1);
    const y = frame.y(value).toFixed(1);
    const joins = last && sample.time - last.time <= GAP_S * 1000;
    if (joins && series.step) shape += `H${x}`;
    shape += `${joins ? "L" : "M"}${x},${y}`;
    last = sample;
  }
  return shape;
}
