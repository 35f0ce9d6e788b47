// Orders: one by its id, a buyer's, or those with a reference, by pages.

import { api, errorText } from "./api.js";
import { byId, el } from "./chart.js";
import { actions, data, fillTable, morph, scrolling } from "./dom.js";
import { NONE, count, fromLocal, moment, money, zoneText } from "./format.js";
import { code, nodes, t } from "./i18n.js";
import { lettersTable, look } from "./letters.js";
import { render, view } from "./state.js";

const PAGE = 50;
// With all hyphens or none, as the API reads it.
const UUID = /^[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}$/i;

const found = {
  /** A page of a buyer's orders, and the query that it answers; null: none. */
  page: null,
  wanted: null,
  /** True while all orders are looked through. */
  isLooking: false,
  /** One order with all that is known of it. */
  order: null,
  error: null,
};

const pill = (order) => el("span", { class: `pill ${order.reason || order.state}` },
  order.reason ? t("order.state-reason", { state: code("order-state", order.state), reason: code(order.state === "dead_lettered" ? "dead-reason" : "reject", order.reason) }) : code("order-state", order.state));

function lettersOf(letters) {
  if (!letters.length) return null;
  const table = el("table");
  lettersTable(table, letters);
  return [el("h3", {}, t("order.letters")), scrolling(t("order.letters"), table)];
}

const lineText = ([sku, line], currency) => el("li", {}, nodes("order.line", { quantity: count(line.quantity), sku: data(sku), price: money(line.unit_price_minor, currency) }));

function details(order) {
  const decided = order.decided;
  const text = (value) => (value ? data(value) : null);
  const values = [
    ["state", pill(order)], ["buyer", text(decided?.user_id)], ["sale", text(decided?.sale_id)], ["reference", text(decided?.client_reference)],
    ["items", decided && el("ul", {}, Object.entries(decided.items).map((line) => lineText(line, decided.currency)))],
    ["total", decided && money(decided.total_minor, decided.currency)],
    ["accepted", decided && [moment(decided.accepted_at), " ", el("small", { translate: "no" }, decided.accepted_at)]],
    ["decided", decided && [moment(decided.decided_at), " ", el("small", { translate: "no" }, decided.decided_at)]],
    ["trace", text(decided?.traceparent)], ["catalogue", text(decided?.catalogue_revision)], ["digest", text(decided?.digest)],
  ].filter(([, value]) => value);
  const conflicts = order.conflicts.map((one) => el("li", {}, el("code", { translate: "no" }, one.digest), " ", t("order.first-seen", { time: moment(one.first_seen_at) })));
  return el("article", { class: "card", id: "order-detail", "aria-labelledby": "order-title" },
    el("h3", { id: "order-title" }, nodes("order.title", { id: data(order.order_id) })),
    el("dl", { class: "facts" }, values.map(([name, value]) => [el("dt", {}, t(`order.${name}`)), el("dd", {}, value)])),
    conflicts.length ? [el("p", {}, t("order.conflicts")), el("ul", {}, conflicts)] : null, lettersOf(order.dead_letters));
}

function results({ orders, next, dead_letters: letters }) {
  const table = el("table", { id: "orders" });
  const rows = orders.map((order) => ({
    key: order.order_id,
    cells: [el("button", { type: "button", class: "link", "data-act": "open", "data-id": order.order_id, translate: "no" }, order.order_id), pill(order), data(order.sale_id),
      order.client_reference ? data(order.client_reference) : NONE, money(order.total_minor, order.currency), moment(order.accepted_at), moment(order.decided_at), count(order.conflicts)],
  }));
  const columns = ["order", "state", "sale", "reference", "total", "accepted", "decided", "other-payloads"].map((name) => ({ title: t(`order.${name}`), numeric: name === "total" || name === "other-payloads" }));
  fillTable(table, { caption: t("orders.found"), columns, rows, none: t("orders.none") });
  return [scrolling(t("orders.found"), table),
    el("div", { class: "actions" }, el("button", { type: "button", "data-act": "first" }, t("page.first")), el("button", { type: "button", "data-act": "more", disabled: !next }, t("page.next"))),
    letters.length ? lettersOf(letters) : null];
}

function draw() {
  morph(byId("order-error"), found.error ? errorText(found.error) : []);
  morph(byId("orders-zone"), t("bar.zone-is", { zone: zoneText() }));
  morph(byId("order-body"), found.isLooking ? el("p", {}, t("loading")) : null, found.order ? details(found.order) : null, found.page ? results(found.page) : null);
}

/** @param {(error: Error) => void} trouble */
export function orders(trouble) {
  let newest = 0;
  // Shows what `question` returns, or its error, unless another one was asked meanwhile.
  async function answer(question) {
    const mine = newest;
    found.error = null;
    try {
      const values = await question();
      if (mine === newest) Object.assign(found, values);
    } catch (error) {
      if (error.status === 401 || error.status === 403) trouble(error);
      if (mine === newest) found.error = error;
    }
    if (mine === newest) found.isLooking = false;
    render();
  }
  const ask = (question) => {
    newest += 1;
    return answer(question);
  };
  const open = async (id) => ({ order: await api.order(id) });
  // Without a buyer, an answer is for a part of all orders that may have none.
  async function load(wanted, after) {
    const mine = newest;
    const part = (from) => api.orders({ ...wanted, after: from, limit: PAGE });
    let page = await part(after);
    while (!wanted.user_id && !page.orders.length && page.next && mine === newest) page = await part(page.next);
    return { wanted, page };
  }
  // An order by its id, or the orders of a buyer whose name looks like one.
  async function find(wanted) {
    try {
      return await open(wanted.user_id);
    } catch (error) {
      if (error.status !== 404) throw error;
      const loaded = await load(wanted, 0);
      if (!loaded.page.orders.length && !loaded.page.dead_letters.length) throw error;
      return loaded;
    }
  }

  byId("order-find").addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = { user_id: byId("order-wanted").value.trim(), reference: byId("order-reference").value.trim(), from: fromLocal(byId("order-from").value), to: fromLocal(byId("order-to").value) };
    Object.assign(found, { page: null, order: null, wanted: null, isLooking: !wanted.user_id });
    render();
    return ask(() => (UUID.test(wanted.user_id) ? find(wanted) : load(wanted, 0)));
  });
  actions(byId("order-body"), {
    open: (button) => ask(() => open(button.dataset.id)),
    more: () => ask(() => load(found.wanted, found.page.next)),
    first: () => ask(() => load(found.wanted, 0)),
    // Its answer is a dialog, beside what was found.
    look: (button) => answer(() => look(button.dataset.id)),
  });
  view("orders", draw);
}
