// Formats numbers, times and durations.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short" });

export const NONE = "–";
export const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

export const count = (value) => (known(value) ? whole.format(value) : NONE);
export const rate = (value) => (known(value) ? `${whole.format(value)}/s` : NONE);

export function ms(value) {
  if (!known(value)) return NONE;
  if (value >= 1000) return seconds(value / 1000);
  return `${value >= 100 ? whole.format(value) : value.toFixed(1)} ms`;
}

export function seconds(value) {
  if (!known(value)) return NONE;
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172800) return `${(value / 3600).toFixed(1)} h`;
  return `${Math.round(value / 86400)} days`;
}

export function bytes(value) {
  if (!known(value)) return NONE;
  return value < 1024 ? `${value} B` : `${(value / 1024).toFixed(1)} KiB`;
}

export const clock = (when) => (when ? clockFormat.format(new Date(when)) : NONE);

// The time, with the date unless it is today.
export function moment(when) {
  if (!when) return NONE;
  const at = new Date(when);
  const today = at.toDateString() === new Date().toDateString();
  return today ? clockFormat.format(at) : `${dayFormat.format(at)} ${clockFormat.format(at)}`;
}

export const words = (name) => String(name).replaceAll("_", " ");
