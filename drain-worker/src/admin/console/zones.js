// Wall clocks of time zones, by `Intl`. Instants are milliseconds since 1970.

const HOUR_MS = 3600e3;
const formats = new Map();

function format(zone) {
  if (!formats.has(zone)) {
    formats.set(zone, new Intl.DateTimeFormat("en-US", {
      timeZone: zone, calendar: "gregory", hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    }));
  }
  return formats.get(zone);
}

/** @param {string} zone */
export function isZone(zone) {
  try {
    return Boolean(format(zone));
  } catch {
    return false;
  }
}

/** What the zone's clock shows, as if it were UTC, in whole seconds. @param {string} zone @param {number} at */
function wall(zone, at) {
  const parts = Object.fromEntries(format(zone).formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
}

/** The zone's distance from UTC. @param {string} zone @param {number} at */
export const offset = (zone, at) => wall(zone, at) - Math.floor(at / 1000) * 1000;

/** `UTC+8`, `UTC-3:30`, `UTC`. @param {string} zone @param {number} at */
export function offsetText(zone, at) {
  const minutes = Math.round(offset(zone, at) / 60e3);
  if (minutes === 0) return "UTC";
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? "-" : "+"}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}

/** The value of an input of the type `datetime-local`. @param {string} zone @param {number} at */
export const localText = (zone, at) => new Date(wall(zone, at)).toISOString().slice(0, 19);

/**
 * The instant at which the zone's clock shows `text`, such as 2026-03-29T02:30. A time that occurs twice is the first one; one
 * that the clock skips counts as if it had not been set forward. NaN: no such text.
 * @param {string} zone @param {string} text
 */
export function instant(zone, text) {
  const shown = Date.parse(`${text}Z`);
  if (Number.isNaN(shown)) return NaN;
  const [before, after] = [offset(zone, shown - 24 * HOUR_MS), offset(zone, shown + 24 * HOUR_MS)];
  const hit = [before, after].map((distance) => shown - distance).find((at) => wall(zone, at) === Math.floor(shown / 1000) * 1000);
  return hit ?? shown - before;
}
