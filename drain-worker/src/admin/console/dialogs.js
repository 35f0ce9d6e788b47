// Dialogs: a question with who and why, and the token. The browser keeps the focus inside and lets Escape close them.

import { token } from "./api.js";
import { byId, el } from "./chart.js";
import { say, show } from "./dom.js";

const WHO = "spillway-who";

// Asks; runs `act({ who, reason })` on yes and stays open with the reason if that fails. Gives what `act` gave, or null.
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
    const submit = async (event) => {
      event.preventDefault();
      const who = byId("confirm-who").value.trim();
      const reason = byId("confirm-reason").value.trim();
      sessionStorage.setItem(WHO, who);
      accept.disabled = true;
      show(error, false);
      try {
        result = { value: await act({ ...(who && { who }), ...(reason && { reason }) }) };
        dialog.close();
      } catch (failure) {
        say(error, failure.message);
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
    // Not on the field that a finger is on by habit, nor on the button that acts.
    byId(byId("confirm-who").value ? "confirm-reason" : "confirm-who").focus();
  });
}

// Asks for the token. `done` is called when there is another one.
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
