// The language of the page, and its texts.
//
// A text is a template: {name} stands for a parameter. English templates may have two forms, for one and for other values
// of {n}, separated by a bar.

import { all } from "./dom.js";
import { en } from "./en.js";
import { zh } from "./zh.js";

const KEY = "spillway-language";
const CATALOGUES = { en, zh };
const LOCALES = { en: "en-GB", zh: "zh-CN" };

/** @typedef {"en" | "zh"} Language */

/** @returns {Language} */
function preferred() {
  const chosen = localStorage.getItem(KEY);
  if (chosen === "en" || chosen === "zh") return chosen;
  for (const tag of navigator.languages ?? []) {
    if (/^zh\b/i.test(tag)) return "zh";
    if (/^en\b/i.test(tag)) return "en";
  }
  return "en";
}

/** @type {Language} */
let current = preferred();
const listeners = [];

export const language = () => current;
/** The tag for `Intl`. */
export const locale = () => LOCALES[current];
/** Calls `listener` whenever texts or times have to be written anew. */
export const onLocale = (listener) => listeners.push(listener);
export const relocalise = () => listeners.forEach((listener) => listener());

/** @param {Language} chosen */
export function setLanguage(chosen) {
  localStorage.setItem(KEY, chosen);
  current = chosen;
  translate();
  relocalise();
}

/** @param {string} key @param {Record<string, unknown>} parameters */
function template(key, parameters) {
  const text = CATALOGUES[current][key];
  if (text === undefined) throw new Error(`no text ${key}`);
  const [one, other] = text.split("|");
  if (other === undefined) return one;
  const number = Number(String(parameters.n).replaceAll(/[^0-9.]/g, ""));
  return new Intl.PluralRules(LOCALES[current]).select(number) === "one" ? one : other;
}

const PLACE = /\{(\w+)\}/;

/** The text of `key`. @param {string} key @param {Record<string, unknown>} [parameters] @returns {string} */
export function t(key, parameters = {}) {
  return template(key, parameters).split(PLACE).map((part, index) => (index % 2 ? String(parameters[part]) : part)).join("");
}

/** The text of `key` as nodes: a parameter may be a node. @returns {(string | Node)[]} */
export function nodes(key, parameters = {}) {
  return template(key, parameters).split(PLACE).map((part, index) => (index % 2 ? parameters[part] : part)).flat().filter((part) => part !== "");
}

/** The text of a name that the API returns, such as a state; an unknown name stays as it is. */
export function code(kind, name) {
  return CATALOGUES[current][`${kind}.${name}`] ?? String(name);
}

/** True if the catalogue has a text for the name. */
export const hasCode = (kind, name) => `${kind}.${name}` in CATALOGUES[current];

/** Writes the texts of the page's own elements. */
export function translate() {
  document.documentElement.lang = LOCALES[current];
  for (const node of all("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of all("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of all("[data-t-placeholder]")) node.placeholder = t(node.dataset.tPlaceholder);
}
