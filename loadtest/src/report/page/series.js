// Converts a chart's series to shapes.

const AXES = {
  count: compact,
  micros: microsTick,
  cpus: (value) => String(parseFloat(value.toPrecision(3))),
};

// Lower and upper edge of each series at each stop; a stacked series starts at the edge of the previous one.
function edges(spec, visible) {
  const floor = spec.stops.map(() => 0);
  return visible.map((series) => {
    if (!series.stack) return { series, low: null, high: series.values };
    const low = [...floor];
    const high = series.values.map((value, stop) => (value === null ? null : floor[stop] + value));
    high.forEach((value, stop) => {
      if (value !== null) floor[stop] = value;
    });
    return { series, low, high };
  });
}

// Scales and layout of a chart of `width` pixels.
function lay(spec, visible, width, wide) {
  const height = width < 480 ? 220 : wide ? 320 : 260;
  const shapes = edges(spec, visible);
  const tops = shapes.flatMap(({ series, high }) => (series.curve ? series.curve.map(([, y]) => y) : high));
  const real = tops.filter((value) => value !== null && (!spec.log || value > 0));
  const most = [...real, ...(spec.marks || []).map(({ value }) => value)].reduce((a, b) => Math.max(a, b), spec.log ? 1 : 0);
  const least = real.reduce((a, b) => Math.min(a, b), most);
  const [bottom, top] = [height - MARGIN.bottom, MARGIN.top];
  const y = spec.log
    ? logScale(Math.max(least, 1), most, bottom, top, AXES[spec.y])
    : spec.y === "bytes" ? byteScale(most, bottom, top) : linearScale(most, bottom, top, AXES[spec.y]);
  // Room for the widest label, at about the width of a digit.
  const left = 12 + 7.2 * Math.max(...y.ticks.map(({ label }) => label.length));
  const right = width - MARGIN.right;
  const x = spec.x === "time" ? timeScale(spec.end, left, right) : quantileScale(spec.end, left, right);
  const pixels = spec.stops.map(x.at);
  return { width, height, left, right, top, bottom, x, y, shapes, pixels };
}

// Runs of stops with values.
function runsOfValues(values) {
  const found = [];
  values.forEach((value, stop) => {
    if (value === null) return;
    if (stop > 0 && values[stop - 1] !== null) found[found.length - 1].push(stop);
    else found.push([stop]);
  });
  return found;
}

const polyline = (points) => (points.length ? `M${points.join("L")}` : "");

function lineShape(series, high, { x, y, pixels }) {
  const attributes = { class: `line ${series.color}`, "stroke-dasharray": series.dash, "data-series": series.label };
  if (series.curve) {
    return svg("path", { ...attributes, d: polyline(series.curve.map(([at, value]) => pointText(x.at(at), y.at(value)))) });
  }
  const parts = runsOfValues(high);
  const lines = parts.filter((stops) => stops.length > 1);
  const path = lines.map((stops) => polyline(stops.map((stop) => pointText(pixels[stop], y.at(high[stop])))));
  // A value without neighbours becomes a dot.
  const alone = parts.filter((stops) => stops.length === 1);
  const dots = alone.map(([stop]) => svg("circle", { class: `dot ${series.color}`, cx: pixels[stop], cy: y.at(high[stop]), r: 3 }));
  return [path.length ? svg("path", { ...attributes, d: path.join("") }) : null, dots];
}

function areaShape(series, low, high, spec, { x, y, pixels, left, right }) {
  const path = runsOfValues(high).map((stops) => {
    if (stops.length === 1) {
      const [stop] = stops;
      const reach = [-1, 1].map((side) => Math.max(left, Math.min(right, x.at(spec.stops[stop] + side * spec.half))));
      return `${polyline([pointText(reach[0], y.at(low[stop])), pointText(reach[0], y.at(high[stop])), pointText(reach[1], y.at(high[stop])), pointText(reach[1], y.at(low[stop]))])}Z`;
    }
    const upper = stops.map((stop) => pointText(pixels[stop], y.at(high[stop])));
    const lower = stops.map((stop) => pointText(pixels[stop], y.at(low[stop]))).reverse();
    return `${polyline([...upper, ...lower])}Z`;
  });
  return svg("path", { class: `area ${series.color}${series.soft ? " soft" : ""}`, d: path.join(""), "data-series": series.label });
}

// The static picture; the crosshair is added to `.cursor` later.
function picture(spec, visible, geometry) {
  const { width, height, left, right, top, bottom, x, y, shapes } = geometry;
  const grid = yGrid(y, left, right);
  const below = x.ticks.map(({ value, label }) => {
    const at = x.at(value);
    const anchor = at > right - 16 ? "end" : at < left + 4 ? "start" : "middle";
    return [
      svg("line", { class: "grid", x1: at, x2: at, y1: bottom, y2: bottom + 4 }),
      svg("text", { class: "tick", x: at, y: height - 6, "text-anchor": anchor }, label),
    ];
  });
  const seams = (spec.seams || []).map(({ at, label }) => [
    svg("line", { class: "seam", x1: x.at(at), x2: x.at(at), y1: top - 2, y2: bottom }),
    svg("text", { class: "seam-name", x: x.at(at), y: top - 7, "text-anchor": x.at(at) > (left + right) / 2 ? "end" : "start" }, label),
  ]);
  const marks = (spec.marks || []).map(({ value, label, color }) => [
    svg("line", { class: `mark ${color}`, x1: left, x2: right, y1: y.at(value), y2: y.at(value) }),
    svg("text", { class: `mark-name ${color}`, x: right - 2, y: y.at(value) - 6, "text-anchor": "end" }, label),
  ]);
  const areas = shapes.filter(({ series }) => series.stack).map(({ series, low, high }) => [
    areaShape(series, low, high, spec, geometry),
    series.soft ? lineShape(series, high, geometry) : null,
  ]);
  const lines = shapes.filter(({ series }) => !series.stack).map(({ series, high }) => lineShape(series, high, geometry));
  const hatch = spec.isVoid ? svg("rect", { class: "hatch", x: left, y: top, width: right - left, height: bottom - top, fill: "url(#hatch)" }) : null;
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" },
    grid,
    svg("text", { class: "unit", x: 0, y: 11 }, spec.unit),
    below,
    areas,
    seams,
    hatch,
    lines,
    marks,
    svg("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }),
    svg("g", { class: "cursor" }),
  );
}

// The crosshair at a stop, and a dot on each series.
function pointAt(spec, visible, geometry, plot, stop) {
  const { shapes, pixels, y, top, bottom } = geometry;
  const x = pixels[stop];
  const dots = shapes
    .filter(({ high }) => high[stop] !== null)
    .map(({ series, high }) => svg("circle", { class: `dot ${series.color}`, cx: x, cy: y.at(high[stop]), r: 3.5 }));
  plot.querySelector(".cursor").replaceChildren(svg("line", { class: "cross", x1: x, x2: x, y1: top, y2: bottom }), ...dots);
}
