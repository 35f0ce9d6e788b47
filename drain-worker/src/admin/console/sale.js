// A sale: its stock by SKU, live, and why orders are rejected.

import { api } from "./api.js";
import { byId, el } from "./chart.js";
import { data, fillSelect, fillTable, morph, scrolling, show } from "./dom.js";
import { NONE, count, known, moment } from "./format.js";
import { t } from "./i18n.js";
import { render, view } from "./state.js";

const sales = {
  /** All sales; null: not loaded. */
  list: null,
  /** The sale that is shown; null: not loaded. */
  sale: null,
};

const share = (part, whole) => (whole > 0 ? Math.max(0, Math.min(1, part / whole)) : 0);

/** The part of the stock that is reserved, as a bar. */
const bar = (sku) => el("progress", { max: 1, value: share(sku.stock_reserved, sku.stock_total).toFixed(4), "aria-label": t("sale.reserved-of", { reserved: count(sku.stock_reserved), stock: count(sku.stock_total) }) });

function summary({ recent, skus }) {
  const whole = recent.confirmed + recent.sold_out + recent.limit_exceeded;
  const sum = (name) => skus.reduce((total, sku) => total + sku[name], 0);
  const of = (part) => (whole ? t("sale.share", { percent: Math.round((100 * part) / whole) }) : NONE);
  const [stock, reserved] = [sum("stock_total"), sum("stock_reserved")];
  const values = [
    ["left", count(stock - reserved), t("sale.of-stock", { stock: count(stock) })],
    ["confirmed", count(recent.confirmed), of(recent.confirmed)],
    ["sold_out", count(recent.sold_out), of(recent.sold_out)],
    ["limit_exceeded", count(recent.limit_exceeded), of(recent.limit_exceeded)],
  ];
  return el("dl", { class: "tiles four", id: "sale-tiles" }, values.map(([name, figure, note]) =>
    el("div", { id: `sale-${name}` }, el("dt", {}, t(`sale.${name}`)), el("dd", {}, el("b", {}, figure), el("span", {}, note)))));
}

function skuTable({ skus }) {
  const table = el("table", { id: "skus" });
  const columns = ["sku", "stock", "reserved", "bar", "left", "limit", "confirmed", "sold_out", "limit_exceeded"].map((name) => ({ title: t(`sale.${name}`), numeric: !["sku", "bar"].includes(name) }));
  const rows = skus.map((sku) => ({
    key: sku.sku,
    cells: [data(sku.sku), count(sku.stock_total), count(sku.stock_reserved), bar(sku), count(sku.stock_total - sku.stock_reserved), known(sku.per_user_limit) ? count(sku.per_user_limit) : NONE,
      count(sku.recent.confirmed), count(sku.recent.sold_out), count(sku.recent.limit_exceeded)],
  }));
  fillTable(table, { caption: t("sale.caption"), columns, rows, none: t("none") });
  return scrolling(t("sale.caption"), table);
}

function draw() {
  const { list, sale } = sales;
  show(byId("sale-choice"), (list?.length ?? 0) > 0);
  if (!list) return morph(byId("sale-body"), el("p", {}, t("loading")));
  if (!list.length) return morph(byId("sale-body"), el("p", {}, t("sale.none")));
  fillSelect(byId("sale"), list.map((one) => [one.sale_id, one.sale_id]));
  const chosen = list.find((one) => one.sale_id === sale?.sale_id);
  const closes = chosen?.closes_at ? el("p", { class: "fine", id: "sale-closes" }, t("sale.closes", { time: moment(chosen.closes_at) })) : null;
  return morph(byId("sale-body"), sale?.sale_id === byId("sale").value ? [summary(sale), skuTable(sale), el("p", { class: "fine" }, t("sale.note")), closes] : el("p", {}, t("loading")));
}

/** @param {(error: Error) => void} trouble  Returns a function that loads the page. */
export function sale(trouble) {
  const choice = byId("sale");
  const load = async () => {
    sales.list = (await api.sales()).sales;
    if (sales.list.length) {
      render();
      const one = await api.sale(choice.value);
      if (one.sale_id === choice.value) sales.sale = one;
    }
    render();
  };
  choice.addEventListener("change", () => load().catch(trouble));
  view("sale", draw);
  return load;
}
