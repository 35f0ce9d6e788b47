// The choices of the page itself: time zone, language, dark or light.

import { byId } from "./chart.js";
import { fillSelect } from "./dom.js";
import { setScheduleZone, setZone, zoneChoice, zoneChoices, zoneText } from "./format.js";
import { language, onLocale, setLanguage, t } from "./i18n.js";
import { view } from "./state.js";

const KEY = "spillway-theme";

// As the system is set, until the operator chooses.
function theme() {
  const button = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem(KEY);
    if (chosen) document.documentElement.dataset.theme = chosen;
    button.setAttribute("aria-pressed", String(chosen ? chosen === "dark" : system.matches));
  };
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, button.getAttribute("aria-pressed") === "true" ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

function zones() {
  const select = byId("zone");
  const label = ({ choice, zone }) => (choice === "schedule" ? t("bar.schedule-zone", { zone: zoneText(zone) }) : zoneText(zone));
  const draw = () => fillSelect(select, zoneChoices().map((one) => [one.choice, label(one)]), zoneChoice().choice);
  select.addEventListener("change", () => setZone(select.value));
  onLocale(draw);
  view(null, ({ status }) => {
    if (status) setScheduleZone(status.settings.schedule?.time_zone ?? null);
  });
  draw();
}

export function bar() {
  theme();
  zones();
  const select = byId("language");
  select.value = language();
  select.addEventListener("change", () => setLanguage(select.value));
}
