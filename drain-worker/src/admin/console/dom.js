// Tables and texts that change in place.

import { el } from "./chart.js";

// Writes changed text only: scroll position, selection and screen readers are not disturbed each second.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

// Replaces a table's content. `columns` are { title, numeric }; rows are { attributes, cells } of text or nodes. A `steady`
// table holds text only and changes cell by cell, so that a selection in it stays.
export function fillTable(table, caption, columns, rows, none, steady = false) {
  const head = el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col", class: column.numeric ? "num" : null }, column.title))));
  const line = (row) => el("tr", row.attributes || {}, row.cells.map((cell, index) => el("td", { class: columns[index].numeric ? "num" : null }, cell)));
  const body = rows.length ? rows.map(line) : [el("tr", { class: "none" }, el("td", { colspan: columns.length }, none))];
  if (steady && table.tBodies.length && rows.length === table.tBodies[0].rows.length) {
    [...table.tBodies[0].rows].forEach((row, index) => row.isEqualNode(body[index]) || refresh(row, body[index]));
    return;
  }
  table.replaceChildren(el("caption", { class: "unseen" }, caption), head, el("tbody", {}, body));
}

function refresh(row, fresh) {
  if (row.cells.length !== fresh.cells.length || row.dataset.lease !== fresh.dataset.lease) return row.replaceWith(fresh);
  const cells = [...fresh.cells];
  return [...row.cells].forEach((cell, index) => cell.isEqualNode(cells[index]) || cell.replaceWith(cells[index]));
}
