// A plot over time: lines with gaps where values are missing, marks of changes, and a legend with the values at the cursor.

import { el, keySteps, linearScale, nearest, pointText, svg, swatch, yGrid } from "./chart.js";
import { morph } from "./dom.js";
import { clock, clockMinute, moment } from "./format.js";
import { actText } from "./headline.js";
import { t } from "./i18n.js";

const HEIGHT = 176;
const MARGIN = { top: 14, right: 12, bottom: 22, left: 58 };
// Samples further apart than this many steps have a gap between them.
const GAP_STEPS = 3.5;

/**
 * @typedef {object} Spec
 * @property {string} title
 * @property {(value: unknown) => string} format
 * @property {(value: number) => string} tick
 * @property {{ key: string, label: string, color: string, dash?: string, step?: boolean }[]} series  A member of the samples each; with `step` a value applies until the next, like a cap.
 * @property {boolean} hasButtons  The marks can be focused.
 * @property {(time: number | null) => void} point  Called with the time under the pointer.
 */

/** @param {HTMLElement} figure @param {Spec} spec */
export function plot(figure, spec) {
  const keys = spec.series.map((series) => ({ series, value: el("b", {}, "–") }));
  const when = el("span", { class: "when" });
  const legend = el("ul", { class: "legend" }, keys.map(({ series, value }) => el("li", {}, swatch(series), series.label, " ", value)));
  const box = el("div", { class: "plot", tabindex: "0", role: "img" });
  const buttons = spec.hasButtons ? el("ul", { class: "marks", "aria-label": t("plots.changes") }) : null;
  figure.replaceChildren(el("figcaption", {}, spec.title, when), legend, el("div", { class: "plot-frame" }, box, buttons ?? ""));
  let [samples, marks, span, step] = [[], [], 300, 1];
  let cursor = null;
  let frame = null;

  function draw(next = samples, seconds = span, step_s = step, changes = marks) {
    [span, step, marks] = [seconds, step_s, changes];
    const end = next.length ? next[next.length - 1].time : 0;
    samples = next.filter((sample) => sample.time >= end - span * 1000);
    const width = Math.floor(box.clientWidth);
    if (!width) return;
    frame = lay(spec, samples, width, end, span, step);
    box.replaceChildren(picture(spec, samples, frame, marks));
    if (buttons) drawButtons(buttons, marks, frame);
    at(cursor);
  }

  // Shows the values at `time`, else the newest.
  function at(time) {
    cursor = time;
    const index = time === null ? samples.length - 1 : nearest(frame ? frame.times : [], time);
    const sample = samples[index];
    for (const { series, value } of keys) value.textContent = sample ? spec.format(sample[series.key]) : "–";
    when.textContent = time === null || !sample ? "" : moment(sample.time);
    const values = spec.series.map((series) => `${series.label} ${sample ? spec.format(sample[series.key]) : t("unknown")}`).join(", ");
    box.setAttribute("aria-label", time === null ? t("plots.label", { title: spec.title, values }) : t("plots.label-at", { title: spec.title, values, time: when.textContent }));
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
    width, y, begin, end, gap: GAP_STEPS * step * 1000, clock: span > 3600 ? clockMinute : clock,
    times: samples.map((sample) => sample.time),
    x: (time) => MARGIN.left + ((Math.min(time, end) - begin) / (end - begin || 1)) * inner,
    time: (pixel) => begin + ((pixel - MARGIN.left) / inner) * (end - begin),
  };
}

// Pauses stand out: they stop the pool.
const kind = ({ action }) => (action === "pause" ? "paused" : action === "resume" ? "resumed" : "changed");

function picture(spec, samples, frame, marks) {
  const parts = [yGrid(frame.y, MARGIN.left, frame.width - MARGIN.right)];
  const ticks = frame.width < 420 ? 3 : 5;
  for (let tick = 0; tick < ticks; tick += 1) {
    const time = frame.begin + ((frame.end - frame.begin) * tick) / (ticks - 1);
    const anchor = tick === 0 ? "start" : tick === ticks - 1 ? "end" : "middle";
    if (frame.end) parts.push(svg("text", { class: "tick", x: frame.x(time), y: HEIGHT - 5, "text-anchor": anchor }, frame.clock(time)));
  }
  for (const { act, time } of marks) {
    const x = frame.x(time);
    parts.push(svg("line", { class: `mark ${kind(act)}`, x1: x, x2: x, y1: MARGIN.top - 4, y2: HEIGHT - MARGIN.bottom }, svg("title", {}, plain(act))));
  }
  for (const series of spec.series) {
    const shape = path(samples, series, frame);
    parts.push(svg("path", { class: `line ${series.color}`, "data-series": series.key, d: shape, "stroke-dasharray": series.dash }));
  }
  const nothing = samples.some((sample) => spec.series.some((series) => Number.isFinite(sample[series.key]))) ? null
    : svg("text", { class: "nothing", x: frame.width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, t("plots.nothing"));
  const cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, hidden: true });
  return svg("svg", { width: frame.width, height: HEIGHT, viewBox: `0 0 ${frame.width} ${HEIGHT}`, "aria-hidden": "true" }, parts, nothing, cursor);
}

const plain = (act) => actText(act).map((part) => (part instanceof Node ? part.textContent : part)).join("");

// A button at each mark, whose text shows while it has the pointer or the focus.
function drawButtons(list, marks, frame) {
  const oldest = [...marks].reverse();
  morph(list, oldest.map(({ act }) => el("li", { "data-key": act.id },
    el("button", { type: "button", class: `mark-button ${kind(act)}`, "aria-label": plain(act) }, el("span", { class: "mark-text" }, actText(act))))));
  oldest.forEach(({ time }, index) => {
    const { style, firstChild } = list.children[index];
    const x = frame.x(time);
    style.insetInlineStart = `${x}px`;
    // The text stays within the plot.
    firstChild.classList.toggle("left", x > frame.width / 2);
  });
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
