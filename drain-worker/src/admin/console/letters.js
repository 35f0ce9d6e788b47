// Dead letters: list, details, redrive, discard, restore.

import { api } from "./api.js";
import { byId, el } from "./chart.js";
import { confirm } from "./dialogs.js";
import { actions, data, fillSelect, fillTable, morph, say, show } from "./dom.js";
import { NONE, bytes, count, moment } from "./format.js";
import { code, nodes, t } from "./i18n.js";
import { run } from "./outcomes.js";
import { mayOperate, render, state, view } from "./state.js";

const PAGE = 50;

const list = {
  /** The page that is shown; null: not loaded. */
  page: null,
  after: 0,
  selected: new Set(),
  /** True after an act, until the page is loaded again: its numbers are not those of the next act. */
  isSpent: false,
  /** The counts that the page was loaded with. */
  counted: "",
};

const letterReason = (name) => code("dead-reason", name);

/** A table of dead letters, also beside an order. @param {any} node @param {any[]} letters @param {{ columns: { title: unknown }[], cells: (letter: any) => unknown[], buttons: (letter: any) => unknown[] }} [extra] @param {string} [none] */
export function lettersTable(node, letters, extra = { columns: [], cells: () => [], buttons: () => [] }, none = t("none")) {
  const columns = [...extra.columns, { title: t("letters.id"), numeric: true }, { title: t("letters.reason") }, { title: t("letters.order") }, { title: t("letters.detail") },
    { title: t("letters.attempts"), numeric: true }, { title: t("letters.first") }, { title: t("letters.last") }, { title: t("letters.size"), numeric: true }, { title: el("span", { class: "unseen" }, t("letters.show-column")) }];
  const rows = letters.map((letter) => ({
    key: letter.id,
    attributes: { "data-letter": letter.id, class: letter.discarded_at ? "discarded" : null },
    cells: [...extra.cells(letter), String(letter.id), letterReason(letter.reason), letter.order_id ? el("code", { translate: "no" }, letter.order_id) : NONE,
      letter.discarded_at ? nodes(letter.discarded_reason ? "letters.discarded-because" : "letters.discarded-at", { time: moment(letter.discarded_at), by: letter.discarded_by ? data(letter.discarded_by) : t("unnamed"), reason: data(letter.discarded_reason || "") }) : data(letter.detail || ""),
      count(letter.attempts), moment(letter.first_failed_at), moment(letter.last_failed_at), bytes(letter.payload_bytes),
      [el("button", { type: "button", "data-act": "look", "data-id": letter.id, "aria-label": t("letters.show-label", { id: letter.id }) }, t("letters.show")), ...extra.buttons(letter)]],
  }));
  fillTable(node, { caption: t("nav.letters"), columns, rows, none });
}

/** Shows one dead letter in a dialog. */
export async function look(id) {
  const letter = await api.letter(id);
  morph(byId("letter-title"), nodes("letters.title", { id: letter.id, reason: letterReason(letter.reason) }));
  const has = (name) => letter[name] !== null && letter[name] !== undefined && letter[name] !== "";
  const facts = ["order_id", "message_id", "detail", "attempts", "payload_bytes", "payload_error", "discarded_by", "discarded_reason"].filter(has);
  const times = ["first_failed_at", "last_failed_at", "discarded_at", "restorable_until"].filter(has);
  byId("letter-body").replaceChildren(
    el("dl", { class: "facts" }, facts.map((name) => [el("dt", {}, t(`letter.${name}`)), el("dd", {}, data(letter[name]))]),
      times.map((name) => [el("dt", {}, t(`letter.${name}`)), el("dd", {}, moment(letter[name]), " ", el("small", { translate: "no" }, letter[name]))])),
    letter.orders ? el("div", {}, el("h3", {}, t("letter.orders")), el("pre", { tabindex: "0", translate: "no" }, JSON.stringify(letter.orders, null, 2))) : "");
  byId("letter").showModal();
}

/** @param {(error: Error) => void} trouble @param {(text: string) => void} changed */
export function letters(trouble, changed) {
  const reason = byId("letters-reason");
  const standing = byId("letters-standing");
  const { selected } = list;

  async function load() {
    const wanted = { dead_letter_reason: reason.value, state: standing.value, after: list.after, limit: PAGE };
    const counted = JSON.stringify(state.status?.dead_letters ?? null);
    const page = await api.letters(wanted);
    // The operator has chosen others meanwhile.
    if (wanted.dead_letter_reason !== reason.value || wanted.state !== standing.value || wanted.after !== list.after) return;
    Object.assign(list, { page, counted, isSpent: false });
    const here = new Set(page.letters.map(({ id }) => id));
    for (const id of selected) if (!here.has(id)) selected.delete(id);
    render();
  }

  const selectable = () => (list.page?.letters ?? []).filter((letter) => !letter.discarded_at);

  function draw() {
    const page = list.page;
    const isOpen = standing.value === "open";
    const open = state.status?.dead_letters;
    // The status counts open ones alone.
    const figure = (value) => count(isOpen && open ? value ?? 0 : null);
    const names = new Set([...Object.keys(open?.by_reason ?? {}), ...(page?.letters ?? []).map((letter) => letter.reason), reason.value]);
    names.delete("");
    fillSelect(reason, [["", t("letters.any", { n: figure(open?.total) })], ...[...names].sort().map((name) => [name, t("letters.of-reason", { reason: letterReason(name), n: figure(open?.by_reason[name]) })])]);
    say(byId("letters-sum"), page ? count(page.total) : "");
    const acts = mayOperate();
    const all = selectable();
    const box = (attributes, label) => el("input", { type: "checkbox", "aria-label": label, ...attributes });
    const extra = acts ? {
      columns: [{ title: box({ "data-act": "every", checked: all.length > 0 && all.every(({ id }) => selected.has(id)) }, t("letters.select-all")) }],
      cells: (letter) => [box({ "data-act": "select", "data-id": letter.id, checked: selected.has(letter.id), disabled: Boolean(letter.discarded_at) }, t("letters.select", { id: letter.id }))],
      buttons: ({ id, restorable_until: until }) => (until ? [" ", el("button", { type: "button", "data-act": "restore", "data-id": id, "aria-label": t("restore.label", { id }), title: t("restore.until", { time: moment(until) }) }, t("restore.name"))] : []),
    } : undefined;
    const none = !page ? t("loading") : page.total ? t("none") : reason.value ? t("letters.none-of-reason") : isOpen ? t("letters.none") : t("none");
    lettersTable(byId("letters"), page?.letters ?? [], extra, none);
    byId("redrive-selected").disabled = byId("discard-selected").disabled = selected.size === 0;
    // The list's total is of discarded ones too, if these are shown.
    const isUnknown = !page?.total || list.isSpent;
    byId("redrive-all").disabled = byId("discard-all").disabled = isUnknown || !isOpen;
    byId("restore-all").disabled = isUnknown;
    const isDiscarded = standing.value === "discarded";
    for (const name of ["redrive-selected", "redrive-all", "discard-selected", "discard-all"]) show(byId(name), !isDiscarded);
    show(byId("restore-all"), isDiscarded);
    byId("letters-first").disabled = list.after === 0;
    byId("letters-next").disabled = !page?.next;
    say(byId("letters-reload"), t(isOld() ? "letters.reload-new" : "letters.reload"));
  }

  const isOld = () => list.page !== null && list.counted !== JSON.stringify(state.status?.dead_letters ?? null);

  // Redrives, discards or restores the dead letters of `selection`.
  async function act(verb, selection, whom) {
    const isDiscard = verb === "discard";
    const lines = [t(`${verb}.effect`, { whom })];
    const done = await confirm({
      title: t(`${verb}.title`), lines, yes: t(`${verb}.name`), danger: isDiscard,
      act: async (who) => {
        if (isDiscard && !who.reason) throw new Error(t("discard.reason-needed"));
        return who;
      },
    });
    if (!done) return;
    changed(await run(t(`${verb}.name`), { ...selection, ...done.value }, api[verb]));
    selected.clear();
    Object.assign(list, { after: 0, isSpent: true });
    render();
    await load().catch(trouble);
  }

  const ids = () => ({ ids: [...selected] });
  const some = () => t("letters.selected", { n: count(selected.size) });
  const filtered = () => (reason.value ? { dead_letter_reason: reason.value } : { all: true });
  const every = () => (reason.value ? t("letters.all-of-reason", { n: count(list.page.total), reason: letterReason(reason.value) }) : t("letters.all-of-them", { n: count(list.page.total) }));
  byId("redrive-selected").addEventListener("click", () => act("redrive", ids(), some()));
  byId("discard-selected").addEventListener("click", () => act("discard", ids(), some()));
  byId("redrive-all").addEventListener("click", () => act("redrive", filtered(), every()));
  byId("restore-all").addEventListener("click", () => act("restore", filtered(), every()));
  // Bounded by what the operator saw: later ones stay.
  byId("discard-all").addEventListener("click", () => act("discard", { ...filtered(), newest_id: list.page.newest_id, count: list.page.total }, every()));
  byId("letters-reload").addEventListener("click", () => load().catch(trouble));
  byId("letter-close").addEventListener("click", () => byId("letter").close());
  actions(byId("letters"), {
    look: (button) => look(button.dataset.id).catch(trouble),
    restore: ({ dataset: { id } }) => act("restore", { ids: [Number(id)] }, t("letters.one", { id })),
    select: (box) => {
      if (box.checked) selected.add(Number(box.dataset.id));
      else selected.delete(Number(box.dataset.id));
      render();
    },
    every: (box) => {
      for (const { id } of selectable()) if (box.checked) selected.add(id); else selected.delete(id);
      render();
    },
  });
  const go = (after) => { list.after = after; load().catch(trouble); };
  byId("letters-first").addEventListener("click", () => go(0));
  byId("letters-next").addEventListener("click", () => go(list.page.next));
  for (const select of [reason, standing]) select.addEventListener("change", () => { selected.clear(); list.page = null; render(); go(0); });
  view("letters", draw);

  // While an operator selects rows, the table does not change.
  return async () => {
    const busy = selected.size > 0 || byId("letters").contains(document.activeElement);
    if (list.page === null || list.isSpent || (isOld() && !busy)) await load();
  };
}
