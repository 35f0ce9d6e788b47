// One chart: axes, lines or stacked areas, a legend that toggles series, and a read-out that follows the pointer
// and the arrow keys. It is redrawn when its width changes.
//
// chart(figure, {
//   title, note,          heading and explanation
//   unit,                 over the y axis
//   x: "time" | "quantile", end,    seconds, or the number of values behind the quantiles
//   y: "count" | "micros" | "cpus" | "bytes", log,
//   format,               of a value in the read-out
//   stops, stopName,      x of each value, ascending; the name of a stop by its index
//   series: [{ label, color, dash, values, stack, soft, curve }],
//                         values: null where there is none; stack: on top of the previous one; soft: a pale area with
//                         an edge; curve: [[x, y]] to draw instead of the values
//   marks: [{ value, label, color }],         horizontal lines
//   seams: [{ at, label }],                   moments
//   half,                 half the width of a stop, for a bar where a stack has one value alone
//   sale, narrowed,       seconds that a button can narrow the chart to, and whether it is at first
//   isVoid,               true if its values are void
// })

const MARGIN = { top: 34, right: 14, bottom: 26 };
const charts = [];
let drawn = 0;

function chart(figure, whole) {
  const has = (series) => (series.curve ? series.curve.length > 0 : series.values.some((value) => value !== null));
  if (!whole.stops.length || !whole.series.some(has)) {
    figure.append(el("figcaption", {}, whole.title), el("p", { class: "no-data" }, whole.none || "No data."));
    return;
  }
  const canNarrow = whole.sale > 0 && whole.stops[0] <= whole.sale;
  let spec = canNarrow && whole.narrowed ? cut(whole) : whole;
  const shown = spec.series.map(() => true);
  const plot = el("div", { class: "plot", tabindex: "0", role: "slider", "aria-label": `${spec.title}: read values with the arrow keys`, "aria-valuemin": 0, "aria-valuenow": 0 });
  const readout = el("div", { class: "readout", hidden: true });
  const narrow = el("button", { type: "button", class: "key narrow" });
  const nameNarrow = () => narrow.replaceChildren(spec === whole ? "Only the sale" : "Show the drain");
  nameNarrow();
  narrow.addEventListener("click", () => {
    spec = spec === whole ? cut(whole) : whole;
    nameNarrow();
    draw(true);
  });
  fill(figure, {}, [
    el("figcaption", {}, el("div", {}, spec.title, spec.note ? el("small", {}, spec.note) : null), canNarrow ? narrow : null),
    spec.isVoid ? el("p", { class: "void-note" }, sign("warn"), "Void: the generator was late. Not the server’s latencies.") : null,
    legend(spec, shown, () => draw(true)),
    plot,
    values(whole),
  ]);
  figure.classList.toggle("void", Boolean(spec.isVoid));
  let geometry = null;
  let stop = 0;

  function draw(force) {
    const width = Math.floor(plot.clientWidth);
    if (!width || (geometry && geometry.width === width && !force)) return;
    const visible = spec.series.filter((_, index) => shown[index]);
    geometry = lay(spec, visible, width, figure.classList.contains("wide"));
    plot.replaceChildren(picture(spec, visible, geometry), readout);
    stop = Math.min(stop, spec.stops.length - 1);
    plot.setAttribute("aria-valuemax", spec.stops.length - 1);
    announce(visible);
    hide();
  }

  // For screen readers.
  function announce(visible) {
    plot.setAttribute("aria-valuenow", stop);
    plot.setAttribute("aria-valuetext", announcement(spec, visible, stop));
  }

  // Shows the values at stop `index`; charts that only follow show no box.
  function show(index, follows) {
    if (!geometry) return;
    stop = Math.max(0, Math.min(spec.stops.length - 1, index));
    const visible = spec.series.filter((_, at) => shown[at]);
    pointAt(spec, visible, geometry, plot, stop);
    announce(visible);
    readout.hidden = Boolean(follows);
    if (!follows) fillReadout(spec, visible, geometry, readout, stop);
  }

  function hide() {
    readout.hidden = true;
    plot.querySelector(".cursor")?.replaceChildren();
  }

  // All time charts show the same moment.
  const others = () => (spec.x === "time" ? charts.filter((other) => other.plot !== plot && other.overTime) : []);
  function lead(index) {
    show(index);
    const at = spec.stops[stop];
    for (const other of others()) other.follow(at);
  }
  function leave() {
    hide();
    for (const other of others()) other.hide();
  }
  function follow(at) {
    const reach = spec.end + 1e-9;
    if (at > reach) hide();
    else show(nearest(spec.stops, at), true);
  }

  const aim = (event) => {
    if (!geometry) return;
    const pixel = event.clientX - plot.getBoundingClientRect().left;
    lead(nearest(geometry.pixels, pixel * (geometry.width / plot.clientWidth)));
  };
  plot.addEventListener("pointermove", aim);
  plot.addEventListener("pointerdown", aim);
  // A lifted finger does not hide the values: they stay until the next touch.
  plot.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && leave());
  plot.addEventListener("blur", leave);
  plot.addEventListener("focus", () => plot.matches(":focus-visible") && lead(stop));
  plot.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    const steps = keySteps(event.key, spec.stops.length);
    if (steps === undefined) return;
    event.preventDefault();
    lead(stop + steps);
  });
  charts.push({ plot, overTime: spec.x === "time", draw, follow, hide });
  draw(true);
  drawn += 1;
}

// The same chart, up to the end of the sale.
function cut(spec) {
  const stops = spec.stops.filter((at) => at <= spec.sale);
  return {
    ...spec,
    end: spec.sale,
    seams: [],
    stops,
    series: spec.series.map((series) => ({ ...series, values: series.values.slice(0, stops.length) })),
  };
}

// A toggle button; `act` gets the new state and may return false to keep the old one.
function toggle(attributes, content, down, act) {
  const button = el("button", { type: "button", "aria-pressed": String(down), ...attributes }, content);
  button.addEventListener("click", () => {
    const next = button.getAttribute("aria-pressed") !== "true";
    if (act(next) !== false) button.setAttribute("aria-pressed", String(next));
  });
  return button;
}

// Buttons that hide and show a series.
function legend(spec, shown, redraw) {
  if (spec.series.length < 2) return null;
  const keys = spec.series.map((series, index) =>
    toggle({ class: "key" }, [swatch(series), series.label], true, (down) => {
      // At least one series stays visible.
      if (!down && shown.filter(Boolean).length === 1) return false;
      shown[index] = down;
      redraw();
      return true;
    }));
  return el("div", { class: "legend", role: "group", "aria-label": `${spec.title}: visible series` }, keys);
}

// The values as a table, created when it is opened.
function values(spec) {
  const details = el("details", { class: "values" }, el("summary", {}, "Values as a table"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const columns = [{ title: spec.x === "time" ? "Time" : "Quantile" }, ...spec.series.map(({ label }) => ({ title: label, numeric: true }))];
    const rows = spec.stops.map((_, stop) => [spec.stopName(stop), ...spec.series.map((series) => valueText(spec, series, stop))]);
    details.append(table(spec.title, columns, rows));
  });
  return details;
}

const valueText = (spec, series, stop) => (series.values[stop] === null ? "–" : spec.format(series.values[stop]));

const announcement = (spec, visible, stop) =>
  `${spec.stopName(stop)}: ${visible.map((series) => `${series.label} ${valueText(spec, series, stop)}`).join(", ")}`;

function fillReadout(spec, visible, geometry, readout, stop) {
  const rows = visible.map((series) => el("div", {}, el("dt", {}, swatch(series), series.label), el("dd", {}, valueText(spec, series, stop))));
  readout.replaceChildren(el("p", {}, spec.stopName(stop)), el("dl", {}, rows));
  // Beside the line, on the side that has room, and never beyond the chart.
  const x = geometry.pixels[stop];
  const width = readout.offsetWidth;
  const left = x + 14 + width <= geometry.width ? x + 14 : x - 14 - width;
  readout.style.left = `${Math.max(0, Math.min(left, geometry.width - width))}px`;
}
