// Nodes that change in place: focus, selection, scroll position and screen readers are not disturbed by a render.

import { el } from "./chart.js";

/** Writes changed text only. @param {Element} node @param {string} text */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/** The elements that a selector finds. @param {string} selector @returns {any[]} */
export const all = (selector) => [...document.querySelectorAll(selector)];

/** Text that others wrote: no translation, never markup. */
export const data = (text) => el("span", { translate: "no" }, String(text));

/** A region that scrolls by itself, so that the page does not. */
export const scrolling = (label, ...children) => el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, children);

/** Makes the children of `parent` equal to `children`, changing what differs. */
export function morph(parent, ...children) {
  const fresh = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
  fresh.forEach((child, index) => {
    const old = parent.childNodes[index];
    if (!old) parent.append(child);
    else patch(old, child);
  });
  while (parent.childNodes.length > fresh.length) parent.lastChild.remove();
}

function patch(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName || old.dataset?.key !== fresh.dataset?.key) {
    old.replaceWith(fresh);
  } else if (old.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
  } else {
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (old instanceof HTMLInputElement) old.checked = fresh.hasAttribute("checked");
    morph(old, [...fresh.childNodes]);
  }
}

/** Calls the handler that `data-act` of a clicked element below `root` names, with that element. */
export function actions(root, handlers) {
  root.addEventListener("click", (event) => {
    const node = event.target.closest("[data-act]");
    if (node && root.contains(node)) handlers[node.dataset.act]?.(node);
  });
}

/**
 * Writes a table. @param {HTMLTableElement} node
 * @param {{ caption: string, columns: { title: unknown, numeric?: boolean }[], rows: { key?: unknown, attributes?: object, cells: unknown[] }[], none: unknown }} table
 */
export function fillTable(node, { caption, columns, rows, none }) {
  const align = (index) => (columns[index].numeric ? "num" : null);
  const head = columns.map((column, index) => el("th", { scope: "col", class: align(index) }, column.title));
  const line = ({ key, attributes, cells }) => el("tr", { "data-key": key, ...attributes }, cells.map((cell, index) => el("td", { class: align(index) }, cell)));
  const body = rows.length ? rows.map(line) : el("tr", { class: "none" }, el("td", { colspan: columns.length }, none));
  morph(node, el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body));
}

/** Options of a select; the chosen value stays. @param {HTMLSelectElement} select @param {string[][]} options  Value and text each. */
export function fillSelect(select, options, chosen = select.value) {
  morph(select, options.map(([value, text]) => el("option", { value }, text)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}
