// Orders: one by its id, or a buyer's by pages. Sales: stock by SKU and the reasons of rejects.

import { api } from "./api.js";
import { byId, el } from "./chart.js";
import { fillTable, say } from "./dom.js";
import { NONE, count, moment, words } from "./format.js";

const PAGE = 50;
const UUID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

const state = (order) => (order.reason ? `${words(order.state)}: ${words(order.reason)}` : words(order.state));

export function orders(trouble) {
  let user = "";
  let next = null;

  function lettersTable(list) {
    const table = el("table");
    const rows = list.map((letter) => ({ cells: [String(letter.id), words(letter.reason), letter.order_id ? el("code", {}, letter.order_id) : NONE,
      letter.discarded_at ? `discarded ${moment(letter.discarded_at)}` : letter.detail || "", moment(letter.last_failed_at)] }));
    fillTable(table, "Dead letters", [{ title: "Letter", numeric: true }, { title: "Reason" }, { title: "Order" }, { title: "Detail" }, { title: "Last failed" }], rows, "None.");
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Dead letters of these orders" }, el("h3", {}, "Dead letters"), table);
  }

  function facts(order) {
    const decided = order.decided || {};
    const items = Object.entries(decided.items || {}).map(([sku, line]) => `${line.quantity} × ${sku}`).join(", ");
    const values = [["State", state(order)], ["Buyer", decided.user_id], ["Sale", decided.sale_id], ["Reference", decided.client_reference], ["Items", items],
      ["Accepted", decided.accepted_at], ["Decided", decided.decided_at], ["Trace", decided.traceparent], ["Digest", decided.digest]].filter(([, value]) => value);
    const conflicts = order.conflicts.map((one) => el("li", {}, el("code", {}, one.digest), ` first seen ${moment(one.first_seen_at)}`));
    return [el("h3", {}, `Order ${order.order_id}`), el("dl", { class: "facts" }, values.map(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))])),
      ...(conflicts.length ? [el("p", {}, "Other payloads under this id, which were not decided:"), el("ul", {}, conflicts)] : []),
      ...(order.dead_letters.length ? [lettersTable(order.dead_letters)] : [])];
  }

  async function show(id) {
    byId("order-body").replaceChildren(...facts(await api.order(id)));
  }

  async function find(after) {
    const page = await api.orders({ user_id: user, reference: byId("order-reference").value.trim(), after, limit: PAGE });
    next = page.next ?? null;
    const table = el("table", { id: "orders" });
    const rows = page.orders.map((order) => ({ cells: [el("button", { type: "button", on: { click: () => act(() => show(order.order_id)) } }, order.order_id),
      state(order), order.sale_id, order.client_reference || NONE, moment(order.accepted_at), moment(order.decided_at), count(order.conflicts)] }));
    fillTable(table, "Orders of the buyer", [{ title: "Order" }, { title: "State" }, { title: "Sale" }, { title: "Reference" }, { title: "Accepted" }, { title: "Decided" }, { title: "Conflicts", numeric: true }],
      rows, "No decided order. One that was answered 202 may still be queued.");
    const more = el("button", { type: "button", disabled: next === null, on: { click: () => act(() => find(next)) } }, "Next page");
    byId("order-body").replaceChildren(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Orders of the buyer" }, table), el("div", { class: "actions" }, more),
      ...(page.dead_letters.length ? [lettersTable(page.dead_letters)] : []));
  }

  async function act(what) {
    say(byId("order-error"), "");
    try {
      await what();
    } catch (error) {
      if (error.status === 401 || error.status === 403) trouble(error);
      byId("order-body").replaceChildren();
      say(byId("order-error"), error.message);
    }
  }

  async function sales() {
    const { sales: list } = await api.sales();
    byId("sale").replaceChildren(...list.map((sale) => el("option", { value: sale.sale_id }, `${sale.sale_id} (${count(sale.stock_total - sale.stock_reserved)} left)`)));
    if (list.length) await sale();
    else fillTable(byId("skus"), "SKUs of the sale", [{ title: "SKU" }], [], "The database has no sale: run init with the catalogue.");
  }

  async function sale() {
    const view = await api.sale(byId("sale").value);
    const columns = ["SKU", "Stock", "Reserved", "Left", "Limit", "Confirmed", "Sold out", "Over the limit"].map((title, index) => ({ title, numeric: index > 0 }));
    const rows = view.skus.map((sku) => ({ cells: [sku.sku, count(sku.stock_total), count(sku.stock_reserved), count(sku.stock_total - sku.stock_reserved), count(sku.per_user_limit),
      count(sku.recent.confirmed), count(sku.recent.sold_out), count(sku.recent.limit_exceeded)] }));
    fillTable(byId("skus"), "SKUs of the sale", columns, rows, "None.");
    const { confirmed, sold_out: out, limit_exceeded: over } = view.recent;
    say(byId("sale-sum"), `of the last ${count(confirmed + out + over)} orders ${count(confirmed)} confirmed, ${count(out)} sold out, ${count(over)} over the limit`);
  }

  byId("order-find").addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = byId("order-wanted").value.trim();
    user = wanted;
    act(() => (UUID.test(wanted) ? show(wanted) : find(0)));
  });
  byId("sale").addEventListener("change", () => act(sale));
  byId("sale-load").addEventListener("click", () => act(sales));
}
