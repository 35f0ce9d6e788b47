// Formatted numbers. The unit follows on the same line.

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const PRECISE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 6 });

const count = (value) => WHOLE.format(value);

// Three significant digits: 1.25, 12.5, 125.
function digits(value) {
  const size = Math.abs(value);
  return size >= 100 ? WHOLE.format(value) : String(parseFloat(value.toFixed(size >= 10 ? 1 : 2)));
}

// For axes: 0, 500, 20k, 1.5M.
function compact(value) {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) return `${parseFloat((value / size).toPrecision(3))}${unit}`;
  }
  return String(parseFloat(value.toPrecision(3)));
}

const perSecond = (value) => `${value > 0 && value < 10 ? digits(value) : count(value)}/s`;

function micros(us) {
  if (us >= 60e6) return seconds(us / 1e6);
  if (us >= 1e6) return `${digits(us / 1e6)}\u00a0s`;
  if (us >= 1e3) return `${digits(us / 1e3)}\u00a0ms`;
  return `${digits(us)}\u00a0µs`;
}

// For axes: integers have no decimals.
function microsTick(us) {
  for (const [size, unit] of [[1e6, "s"], [1e3, "ms"]]) {
    if (us >= size) return `${parseFloat((us / size).toPrecision(3))}\u00a0${unit}`;
  }
  return `${parseFloat(us.toPrecision(3))}\u00a0µs`;
}

function seconds(value) {
  if (value < 60) return `${digits(value)}\u00a0s`;
  const whole = Math.round(value);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}\u00a0h ${minutes}\u00a0min` : `${minutes}\u00a0min${rest ? ` ${rest}\u00a0s` : ""}`;
}

// A moment on a time axis.
function moment(value) {
  const whole = parseFloat(value.toFixed(3));
  if (whole < 60) return `${whole}\u00a0s`;
  return `${Math.floor(whole / 60)}:${String(Math.round(whole % 60)).padStart(2, "0")}`;
}

function bytes(value) {
  for (const [size, unit] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (value >= size) return `${digits(value / size)}\u00a0${unit}`;
  }
  return `${count(value)}\u00a0B`;
}

// A share; a positive one is never shown as 0.
function percent(share) {
  if (share > 0 && share < 0.0001) return "<\u00a00.01\u00a0%";
  return `${parseFloat((share * 100).toFixed(share < 0.1 ? 2 : 1))}\u00a0%`;
}

// A quantile: 50 %, 99.9 %, 99.99 %.
const quantileName = (quantile) => `${parseFloat((quantile * 100).toFixed(5))}\u00a0%`;

const shareOf = (part, whole) => (whole > 0 ? part / whole : 0);

// A number with its noun in singular or plural.
const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

const cpus = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(1));
