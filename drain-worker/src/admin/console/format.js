// Formats numbers, times and durations in the page's language and in the one time zone that the page shows.

import { locale, onLocale, relocalise, t } from "./i18n.js";
import { instant, isZone, localText, offsetText } from "./zones.js";

const KEY = "spillway-zone";
export const NONE = "–";

let scheduled = null;
let cached = {};
onLocale(() => { cached = {}; });

const browserZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** The zone of each choice; the schedule's only if there is one, and the browser knows it. @returns {{ choice: string, zone: string }[]} */
export function zoneChoices() {
  const all = [{ choice: "browser", zone: browserZone() }, { choice: "utc", zone: "UTC" }, { choice: "schedule", zone: scheduled }];
  return all.filter(({ zone }, index) => zone && isZone(zone) && all.findIndex((other) => other.zone === zone) === index);
}

export const zoneChoice = () => {
  const chosen = localStorage.getItem(KEY) || "browser";
  const choices = zoneChoices();
  return (choices.find(({ choice }) => choice === chosen) ?? choices[0]);
};
export const zone = () => zoneChoice().zone;
export const zoneText = (name = zone()) => (name === "UTC" ? "UTC" : `${name} (${offsetText(name, Date.now())})`);

/** @param {string} choice */
export function setZone(choice) {
  localStorage.setItem(KEY, choice);
  relocalise();
}

/** The schedule's zone has become `name`, or null. */
export function setScheduleZone(name) {
  if (name === scheduled) return;
  scheduled = name;
  relocalise();
}

/** The instant of a `datetime-local` input, RFC 3339; null: empty. */
export function fromLocal(text) {
  const at = instant(zone(), text);
  return Number.isNaN(at) ? null : new Date(at).toISOString();
}
export const toLocal = (at) => localText(zone(), at);

const intl = (name, make) => (cached[name] ??= make());
const whole = () => intl("whole", () => new Intl.NumberFormat(locale(), { maximumFractionDigits: 0 }));
const tenths = () => intl("tenths", () => new Intl.NumberFormat(locale(), { minimumFractionDigits: 1, maximumFractionDigits: 1 }));
const times = () => intl("time", () => new Intl.DateTimeFormat(locale(), { timeZone: zone(), hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: "2-digit" }));
const minutes = () => intl("minute", () => new Intl.DateTimeFormat(locale(), { timeZone: zone(), hourCycle: "h23", hour: "2-digit", minute: "2-digit" }));
const days = () => intl("day", () => new Intl.DateTimeFormat(locale(), { timeZone: zone(), day: "numeric", month: "short" }));
const years = () => intl("year", () => new Intl.DateTimeFormat(locale(), { timeZone: zone(), day: "numeric", month: "short", year: "numeric" }));

/** @param {unknown} value */
export const known = (value) => typeof value === "number" && Number.isFinite(value);

export const count = (value) => (known(value) ? whole().format(value) : NONE);
export const rate = (value) => (known(value) ? t("unit.rate", { n: whole().format(value) }) : NONE);

export function ms(value) {
  if (!known(value)) return NONE;
  if (Math.abs(value) >= 1000) return seconds(value / 1000);
  return t("unit.ms", { n: value >= 100 ? whole().format(value) : tenths().format(value) });
}

export function seconds(value) {
  if (!known(value)) return NONE;
  if (value < 10) return t("unit.s", { n: tenths().format(value) });
  if (value < 120) return t("unit.s", { n: whole().format(value) });
  if (value < 7200) return t("unit.min", { n: whole().format(value / 60) });
  if (value < 172800) return t("unit.h", { n: tenths().format(value / 3600) });
  return t("unit.days", { n: whole().format(value / 86400) });
}

export function bytes(value) {
  if (!known(value)) return NONE;
  return value < 1024 ? `${value} B` : `${tenths().format(value / 1024)} KiB`;
}

/** An amount of the currency's minor units, such as fen. */
export function money(minor, currency) {
  try {
    const form = new Intl.NumberFormat(locale(), { style: "currency", currency });
    return form.format(minor / 10 ** form.resolvedOptions().maximumFractionDigits);
  } catch {
    return `${minor} ${currency}`;
  }
}

export const clock = (when) => (when ? times().format(new Date(when)) : NONE);
export const clockMinute = (when) => minutes().format(new Date(when));

// The date on the page's clock, such as 2026-11-30.
const date = (when) => toLocal(new Date(when).getTime()).slice(0, 10);

/** The day, with the year unless it is this one. */
export const day = (when) => (date(when).slice(0, 4) === date(Date.now()).slice(0, 4) ? days() : years()).format(new Date(when));

/** The time, with the day unless it is today. */
export function moment(when) {
  if (!when) return NONE;
  return date(when) === date(Date.now()) ? clock(when) : `${day(when)} ${clock(when)}`;
}
