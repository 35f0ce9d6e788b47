// What the console's plots and the report's charts share: elements, scales, shapes, and the keys that move a cursor.
//
// An ES module without imports. The console serves it as it is; the report inlines it without `export`.

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** Text becomes text nodes only, so no value is ever parsed as markup. `on` maps events to handlers. @returns {any} */
export function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG_NAMESPACE, tag), attributes, children);
/** The element, which the page has. @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

// The least round number at or above `value`: 1, 2 or 5 times a power of ten.
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((round) => round >= value * (1 - 1e-9));
}

// A scale from 0 to a round number at or above `highest` (1 if it is 0), with about five ticks.
export function linearScale(highest, from, to, format) {
  const most = highest > 0 ? highest : 1;
  const step = roundUp(most / 5);
  const top = step * Math.max(1, Math.ceil((most / step) * (1 - 1e-9)));
  const ticks = [];
  for (let index = 0; index * step <= top * (1 + 1e-9); index += 1) {
    ticks.push({ value: index * step, label: format(index * step) });
  }
  return { ticks, at: (value) => from + ((to - from) * value) / top };
}

// Index of the value of ascending `values` that is nearest to `wanted`.
export function nearest(values, wanted) {
  let [low, high] = [0, values.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] <= wanted) low = middle;
    else high = middle;
  }
  return Math.abs(values[high] - wanted) < Math.abs(wanted - values[low]) ? high : low;
}

// Horizontal grid lines of a y scale, with their labels left of them.
export const yGrid = (scale, left, right) =>
  scale.ticks.map(({ value, label, minor }) => [
    svg("line", { class: minor ? "grid minor" : "grid", x1: left, x2: right, y1: scale.at(value), y2: scale.at(value) }),
    svg("text", { class: "tick", x: left - 8, y: scale.at(value) + 4, "text-anchor": "end" }, label),
  ]);

export const pointText = (x, y) => `${x.toFixed(1)},${y.toFixed(1)}`;

// A legend's sample of a series: a filled area if it is stacked, else its line.
export const swatch = (series) =>
  svg("svg", { class: `swatch ${series.color}`, width: 16, height: 16, viewBox: "0 0 16 16", "aria-hidden": "true" },
    series.stack
      ? svg("rect", { class: "area", x: 1, y: 3, width: 14, height: 10, rx: 2 })
      : svg("line", { class: "line", x1: 0, y1: 8, x2: 16, y2: 8, "stroke-dasharray": series.dash }));

// Steps that a key moves a cursor over `count` values; undefined for other keys.
export function keySteps(key, count) {
  const leap = Math.max(1, Math.round(count / 10));
  return { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: leap, PageDown: -leap, Home: -Infinity, End: Infinity }[key];
}
