// Dialogs: confirmation with name and reason, and the token. The browser traps the focus and closes them on Escape.

import { errorText, token } from "./api.js";
import { byId } from "./chart.js";
import { morph, say, show } from "./dom.js";
import { actText } from "./headline.js";
import { nodes, t } from "./i18n.js";
import { revision } from "./state.js";

const WHO = "spillway-who";

// What others changed since the dialog opened, in the words of the audit trail.
const conflict = ({ changes }) => nodes("confirm.conflict", { changes: changes.flatMap((change) => [...actText(change), " "]) });

/**
 * Confirms, then runs `act({ who, reason }, madeOn)`, on the settings that the operator saw when the dialog opened; on
 * failure the dialog stays open with the error. After a refusal that a confirmation lifts, the next click adds `confirm`.
 * Returns the result of `act`, or null.
 * @param {{ title: string, lines?: (string | (string | Node)[])[], body?: Node, yes: string, danger?: boolean, wide?: boolean, act: (who: { who?: string, reason?: string, confirm?: true }, madeOn: number) => Promise<any> }} dialog
 * @returns {Promise<{ value: any } | null>}
 */
export function confirm({ title, lines = [], body, yes, danger, wide, act }) {
  const dialog = byId("confirm");
  const error = byId("confirm-error");
  const accept = byId("confirm-yes");
  say(byId("confirm-title"), title);
  byId("confirm-body").replaceChildren(...lines.map((line) => {
    const paragraph = document.createElement("p");
    paragraph.append(...[line].flat());
    return paragraph;
  }), ...(body ? [body] : []));
  say(accept, yes);
  accept.classList.toggle("danger", Boolean(danger));
  accept.disabled = false;
  dialog.classList.toggle("wide", Boolean(wide));
  show(error, false);
  byId("confirm-who").value = sessionStorage.getItem(WHO) || "";
  byId("confirm-reason").value = "";
  return new Promise((resolve) => {
    let result = null;
    let madeOn = revision();
    let isRepeated = false;
    let [isSending, isOver] = [false, false];
    const submit = async (event) => {
      event.preventDefault();
      const who = byId("confirm-who").value.trim();
      const reason = byId("confirm-reason").value.trim();
      sessionStorage.setItem(WHO, who);
      accept.disabled = true;
      isSending = true;
      show(error, false);
      try {
        result = { value: await act({ ...(who && { who }), ...(reason && { reason }), ...(isRepeated && { confirm: true }) }, madeOn) };
        // The operator closed the dialog meanwhile, and may have opened another.
        if (isOver) resolve(result); else dialog.close();
      } catch (failure) {
        if (isOver) return resolve(null);
        const name = failure.problem?.code;
        // What was confirmed was confirmed on other settings.
        isRepeated = name === "confirmation_required";
        if (name === "settings_changed") {
          madeOn = failure.problem.revision;
          morph(error, conflict(failure.problem));
        } else {
          morph(error, errorText(failure), isRepeated ? [" ", t("confirm.again")] : []);
        }
        accept.classList.toggle("danger", Boolean(danger) || isRepeated || name === "settings_changed");
        show(error, true);
      } finally {
        isSending = false;
        if (!isOver) accept.disabled = false;
      }
      return undefined;
    };
    // A confirmation is of what was refused, not of an edit after it.
    const edited = () => { isRepeated = false; };
    for (const kind of ["input", "click"]) body?.addEventListener(kind, edited);
    const cancel = () => dialog.close();
    const form = dialog.querySelector("form");
    form.addEventListener("submit", submit);
    byId("confirm-no").addEventListener("click", cancel);
    dialog.addEventListener("close", () => {
      form.removeEventListener("submit", submit);
      byId("confirm-no").removeEventListener("click", cancel);
      isOver = true;
      if (!isSending) resolve(result);
    }, { once: true });
    dialog.showModal();
    // Focus on neither a field of the change nor the button that acts, so that a stray key does nothing.
    byId(byId("confirm-who").value ? "confirm-reason" : "confirm-who").focus();
  });
}

/** Asks for the token. Calls `done` when it has changed; returns a function that opens the dialog. */
export function tokenDialog(done) {
  const dialog = byId("token");
  const field = byId("token-value");
  const use = (value) => {
    token.set(value);
    field.value = "";
    dialog.close();
    done();
  };
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    use(field.value.trim());
  });
  byId("token-forget").addEventListener("click", () => use(""));
  const open = () => {
    if (dialog.open) return;
    field.value = "";
    dialog.showModal();
    field.focus();
  };
  byId("token-open").addEventListener("click", open);
  return open;
}
