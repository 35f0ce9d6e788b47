// Dark or light: as the system is set, until the operator chooses.

import { byId } from "./chart.js";

const KEY = "spillway-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export function theme() {
  const button = byId("theme");
  const apply = () => {
    const chosen = localStorage.getItem(KEY);
    if (chosen) document.documentElement.dataset.theme = chosen;
    const dark = chosen ? chosen === "dark" : system.matches;
    button.setAttribute("aria-pressed", String(dark));
  };
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, button.getAttribute("aria-pressed") === "true" ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
