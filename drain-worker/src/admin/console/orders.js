// Orders: one by its id, or a buyer's by pages.

import { api, errorText } from "./api.js";
import { byId, el } from "./chart.js";
import { actions, data, fillTable, morph, scrolling } from "./dom.js";
import { NONE, count, fromLocal, moment, money, zoneText } from "./format.js";
import { code, nodes, t } from "./i18n.js";
import { lettersTable, look } from "./letters.js";
import { render, view } from "./state.js";

const PAGE = 50;
const UUID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

const found = {
  /** The query of the buyer's orders; null: none. */
  wanted: null,
  /** Its pages so far end before this sequence. */
  page: null,
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
  fillTable(table, { caption: t("orders.of-buyer"), columns, rows, none: t("orders.none") });
  return [scrolling(t("orders.of-buyer"), table),
    el("div", { class: "actions" }, el("button", { type: "button", "data-act": "first" }, t("page.first")), el("button", { type: "button", "data-act": "more", disabled: !next }, t("page.next"))),
    letters.length ? lettersOf(letters) : null];
}

function draw() {
  morph(byId("order-error"), found.error ? errorText(found.error) : []);
  morph(byId("orders-zone"), t("bar.zone-is", { zone: zoneText() }));
  morph(byId("order-body"), found.order ? details(found.order) : null, found.page ? results(found.page) : null);
}

/** @param {(error: Error) => void} trouble */
export function orders(trouble) {
  async function act(what) {
    found.error = null;
    try {
      await what();
    } catch (error) {
      if (error.status === 401 || error.status === 403) trouble(error);
      found.error = error;
    }
    render();
  }
  // An answer to an earlier question must not stand under a later one.
  let question = 0;
  const load = async (after) => {
    const mine = (question += 1);
    const page = await api.orders({ ...found.wanted, after, limit: PAGE });
    if (mine === question) found.page = page;
  };
  const open = async (id) => {
    const mine = (question += 1);
    const order = await api.order(id);
    if (mine === question) found.order = order;
  };

  byId("order-find").addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = byId("order-wanted").value.trim();
    Object.assign(found, { page: null, order: null, wanted: null });
    if (UUID.test(wanted)) return act(() => open(wanted));
    found.wanted = { user_id: wanted, reference: byId("order-reference").value.trim(), from: fromLocal(byId("order-from").value), to: fromLocal(byId("order-to").value) };
    return act(() => load(0));
  });
  actions(byId("order-body"), {
    open: (button) => act(() => open(button.dataset.id)),
    more: () => act(() => load(found.page.next)),
    first: () => act(() => load(0)),
    look: (button) => act(() => look(button.dataset.id)),
  });
  view("orders", draw);
}
