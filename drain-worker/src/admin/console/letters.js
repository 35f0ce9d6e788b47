// Dead letters: list, details, redrive, discard.

import { api } from "./api.js";
import { confirm } from "./dialogs.js";
import { byId, el } from "./chart.js";
import { fillTable, say } from "./dom.js";
import { NONE, bytes, count, moment, words } from "./format.js";
import { run } from "./outcomes.js";

const PAGE = 50;

export function letters(trouble, changed) {
  const reason = byId("letters-reason");
  const selected = new Set();
  let after = 0;
  let next = null;
  let total = 0;
  let newest = 0;
  let known = null;

  const buttons = () => {
    const none = selected.size === 0;
    byId("redrive-selected").disabled = none;
    byId("discard-selected").disabled = none;
    byId("redrive-all").disabled = total === 0;
    byId("discard-all").disabled = total === 0;
    byId("letters-first").disabled = after === 0;
    byId("letters-next").disabled = next === null;
  };

  async function load() {
    try {
      const page = await api.letters(reason.value, after, PAGE);
      next = page.next ?? null;
      total = page.total;
      newest = page.newest_id;
      const here = new Set(page.letters.map((letter) => letter.id));
      for (const id of selected) if (!here.has(id)) selected.delete(id);
      draw(page.letters);
      say(byId("letters-reload"), "Reload");
    } catch (error) {
      trouble(error);
    }
  }

  function draw(list) {
    const everyone = el("input", { type: "checkbox", "aria-label": "Select all on this page" });
    const boxes = [];
    everyone.addEventListener("change", () => boxes.forEach((box) => {
      box.checked = everyone.checked;
      box.dispatchEvent(new Event("change"));
    }));
    const columns = [{ title: everyone }, { title: "Id", numeric: true }, { title: "Reason" }, { title: "Order" }, { title: "Detail" }, { title: "Attempts", numeric: true },
      { title: "First failed" }, { title: "Last failed" }, { title: "Size", numeric: true }, { title: "" }];
    const rows = list.map((letter) => {
      const box = el("input", { type: "checkbox", "aria-label": `Select letter ${letter.id}` });
      box.checked = selected.has(letter.id);
      box.disabled = Boolean(letter.discarded_at);
      box.addEventListener("change", () => {
        if (box.checked && !box.disabled) selected.add(letter.id);
        else selected.delete(letter.id);
        buttons();
      });
      if (!box.disabled) boxes.push(box);
      const look = el("button", { type: "button", "aria-label": `Show letter ${letter.id}`, on: { click: () => look_at(letter.id) } }, "Show");
      return {
        attributes: { "data-letter": letter.id, class: letter.discarded_at ? "discarded" : null },
        cells: [box, String(letter.id), words(letter.reason), letter.order_id ? el("code", {}, letter.order_id) : NONE,
          letter.discarded_at ? `discarded ${moment(letter.discarded_at)}` : letter.detail || "", count(letter.attempts),
          moment(letter.first_failed_at), moment(letter.last_failed_at), bytes(letter.payload_bytes), look],
      };
    });
    fillTable(byId("letters"), "Dead letters", columns, rows, reason.value ? "None of this reason." : "None. Every received order was decided.");
    say(byId("letters-sum"), count(total));
    buttons();
  }

  async function look_at(id) {
    try {
      const letter = await api.letter(id);
      say(byId("letter-title"), `Letter ${letter.id}: ${words(letter.reason)}`);
      const facts = ["order_id", "message_id", "detail", "attempts", "payload_bytes", "payload_error"].filter((name) => letter[name] !== null && letter[name] !== undefined && letter[name] !== "");
      const times = ["first_failed_at", "last_failed_at", "discarded_at"].filter((name) => letter[name]);
      byId("letter-body").replaceChildren(
        el("dl", { class: "facts" }, facts.map((name) => [el("dt", {}, words(name)), el("dd", {}, String(letter[name]))]),
          times.map((name) => [el("dt", {}, words(name)), el("dd", {}, `${moment(letter[name])} (${letter[name]})`)])),
        letter.orders ? el("div", {}, el("h3", {}, "Orders, without personal data"), el("pre", { tabindex: "0" }, JSON.stringify(letter.orders, null, 2))) : "");
      byId("letter").showModal();
    } catch (error) {
      trouble(error);
    }
  }

  // Redrives or discards the dead letters of `selection`.
  async function act(verb, selection, whom, danger) {
    const send = verb === "Redrive" ? api.redrive : api.discard;
    const lines = verb === "Redrive"
      ? [`${whom}: each order is decided again, under the cap. Redriving twice has no effect.`]
      : [`${whom}: their payloads are deleted for good. They stay on record as discarded and are never decided.`];
    const act = async (who) => {
      if (danger && !who.reason) throw new Error("State a reason: a discard cannot be undone.");
      return who;
    };
    const yes = await confirm({ title: `${verb} dead letters?`, lines, yes: verb, danger, act });
    if (!yes) return;
    // A discard is bounded by what the operator saw; each page leaves fewer.
    let left = selection.count;
    const summary = await run(verb, selection, async (body) => {
      const page = await send({ ...body, ...yes.value, ...(left !== undefined && { count: left }) });
      if (left !== undefined) left -= page.outcomes.length;
      return page;
    });
    selected.clear();
    after = 0;
    await load();
    changed(summary);
  }

  const ids = () => ({ ids: [...selected] });
  const seen = () => ({ newest_id: newest, count: total });
  const filtered = () => (reason.value ? { dead_letter_reason: reason.value } : { all: true });
  const one_or_more = () => `${count(selected.size)} selected`;
  const all = () => `All ${count(total)}${reason.value ? ` of reason ${words(reason.value)}` : ""}`;
  byId("redrive-selected").addEventListener("click", () => act("Redrive", ids(), one_or_more(), false));
  byId("discard-selected").addEventListener("click", () => act("Discard", ids(), one_or_more(), true));
  byId("redrive-all").addEventListener("click", () => act("Redrive", filtered(), all(), false));
  byId("discard-all").addEventListener("click", () => act("Discard", { ...filtered(), ...seen() }, all(), true));
  byId("letters-reload").addEventListener("click", load);
  byId("letter-close").addEventListener("click", () => byId("letter").close());
  const go = (place) => { after = place; load(); };
  byId("letters-first").addEventListener("click", () => go(0));
  byId("letters-next").addEventListener("click", () => go(next));
  reason.addEventListener("change", () => { selected.clear(); go(0); });

  return (status) => {
    // Not counted now.
    if (!status.dead_letters) return;
    const { by_reason: by, total: now } = status.dead_letters;
    const text = JSON.stringify([now, by]);
    if (text === known) return;
    known = text;
    const chosen = reason.value;
    const names = [...new Set([...Object.keys(by), ...(chosen ? [chosen] : [])])].sort();
    reason.replaceChildren(el("option", { value: "" }, `all (${count(now)})`), ...names.map((name) => el("option", { value: name }, `${words(name)} (${count(by[name] || 0)})`)));
    reason.value = chosen;
    // While an operator selects rows, the table does not change.
    const busy = selected.size > 0 || byId("letters").contains(document.activeElement);
    if (busy) say(byId("letters-reload"), "Reload: new letters");
    else load();
  };
}
