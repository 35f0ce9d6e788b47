// Tables, lists of facts, and status signs.

// A table. Columns: { title, numeric }; cells are text or nodes.
function table(caption, columns, rows, attributes = {}) {
  const head = columns.map(({ title, numeric }) => el("th", { scope: "col", class: numeric && "numeric" }, title));
  const body = rows.map((cells) => {
    const made = cells.map((cell, index) => {
      const tag = index === 0 ? "th" : "td";
      return el(tag, { scope: index === 0 && "row", class: columns[index].numeric && "numeric" }, cell);
    });
    return el("tr", {}, made);
  });
  const whole = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body));
  // Wide tables scroll on their own.
  return el("div", { class: "table", ...attributes }, whole);
}

// Names and values.
const facts = (pairs) =>
  el("dl", { class: "facts" }, pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));

const SIGNS = {
  pass: "M4 12.500l5.200 5.200L20 6.800",
  fail: "M5.500 5.500l13 13M18.500 5.500l-13 13",
  warn: "M12 5v9M12 17.800v1.400",
  none: "M5 12h14",
};

// A sign whose shape, not only its colour, shows the status; the text beside it has the meaning.
const sign = (kind) =>
  svg("svg", { class: `sign ${kind}`, viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: SIGNS[kind] }));
