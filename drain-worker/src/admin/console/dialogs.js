// Dialogs: confirmation with name and reason, and the token. The browser traps the focus and closes them on Escape.

import { revision, token } from "./api.js";
import { byId, el } from "./chart.js";
import { say, show } from "./dom.js";
import { moment, words } from "./format.js";

const WHO = "spillway-who";

// What others changed since the dialog opened, in the words of the audit trail.
const conflict = ({ changes }) => {
  const lines = changes.map(({ actor, who, action, detail, at, reason }) => `${actor || who || "Unnamed"}, ${moment(at)}: ${words(action)}${detail && ` ${detail}`}${reason && ` (${reason})`}.`);
  return `The settings changed meanwhile; nothing was done. ${lines.join(" ")} Confirm again to change them all the same.`;
};

// Confirms, then runs `act({ who, reason }, madeOn)`, on the settings that the operator saw when the dialog opened; on failure
// the dialog stays open with the error. Returns the result of `act`, or null.
export function confirm({ title, lines, body, yes, danger, act }) {
  const dialog = byId("confirm");
  const error = byId("confirm-error");
  const accept = byId("confirm-yes");
  say(byId("confirm-title"), title);
  byId("confirm-body").replaceChildren(...(lines || []).map((line) => el("p", {}, line)), ...(body ? [body] : []));
  say(accept, yes);
  accept.classList.toggle("danger", Boolean(danger));
  accept.disabled = false;
  show(error, false);
  byId("confirm-who").value = sessionStorage.getItem(WHO) || "";
  byId("confirm-reason").value = "";
  return new Promise((resolve) => {
    let result = null;
    let madeOn = revision();
    const submit = async (event) => {
      event.preventDefault();
      const who = byId("confirm-who").value.trim();
      const reason = byId("confirm-reason").value.trim();
      sessionStorage.setItem(WHO, who);
      accept.disabled = true;
      show(error, false);
      try {
        result = { value: await act({ ...(who && { who }), ...(reason && { reason }) }, madeOn) };
        dialog.close();
      } catch (failure) {
        const changed = failure.problem?.code === "settings_changed";
        if (changed) madeOn = failure.problem.revision;
        say(error, changed ? conflict(failure.problem) : failure.message);
        show(error, true);
      } finally {
        accept.disabled = false;
      }
    };
    const cancel = () => dialog.close();
    const form = dialog.querySelector("form");
    form.addEventListener("submit", submit);
    byId("confirm-no").addEventListener("click", cancel);
    dialog.addEventListener("close", () => {
      form.removeEventListener("submit", submit);
      byId("confirm-no").removeEventListener("click", cancel);
      resolve(result);
    }, { once: true });
    dialog.showModal();
    // Focus on neither a field nor the button that acts, so that a stray key does nothing.
    byId(byId("confirm-who").value ? "confirm-reason" : "confirm-who").focus();
  });
}

// Asks for the token. Calls `done` when it has changed.
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
