// The contents of the charts.

// Intervals for the charts. Request charts end with the last planned request; the drain's charts continue.
function timelineOf(report) {
  const all = report.timeline;
  const last = all.reduce((found, interval, index) => (interval.planned || interval.sent ? index : found), -1);
  const end = (interval) => (interval.at_ms + interval.length_ms) / 1000;
  const played = all.slice(0, last + 1);
  return {
    all,
    played,
    allEnd: all.length ? end(all[all.length - 1]) : 0,
    playedEnd: played.length ? end(played[played.length - 1]) : 0,
  };
}

// The fields of a time chart that depend on its intervals.
function overTime(intervals, end) {
  const from = (interval) => interval.at_ms / 1000;
  const to = (interval) => (interval.at_ms + interval.length_ms) / 1000;
  const short = (value) => parseFloat(value.toFixed(3));
  return {
    x: "time",
    end,
    stops: intervals.map((interval) => (from(interval) + to(interval)) / 2),
    stopName: (stop) => `${short(from(intervals[stop]))} to ${short(to(intervals[stop]))} s`,
    half: intervals.length ? (to(intervals[0]) - from(intervals[0])) / 2 : 0,
  };
}

const rate = (interval, number) => (interval.length_ms > 0 ? (number * 1000) / interval.length_ms : null);

function loadChart(report, { played, playedEnd }) {
  const series = (label, color, name, more) => ({ label, color, values: played.map((interval) => rate(interval, interval[name])), ...more });
  const { retries } = report.totals;
  chart(byId("chart-load"), {
    ...overTime(played, playedEnd),
    title: "Requests a second: planned, and by outcome",
    note: retries > 0 ? `By planned time; ${plural(retries, "retry", "retries")} in addition.` : "By planned time.",
    unit: "requests a second",
    y: "count",
    format: perSecond,
    series: [
      series("accepted", "c-accepted", "accepted", { stack: true }),
      series("shed", "c-shed", "shed", { stack: true }),
      series("refused", "c-refused", "refused", { stack: true }),
      series("unknown", "c-unknown", "unknown", { stack: true }),
      series("planned", "c-ink", "planned", {}),
    ],
  });
}

function latencyCharts(report, { played, playedEnd }) {
  const isVoid = !report.generator.latencies_valid;
  // An interval without a response has no latency; a response within a microsecond counts as one.
  const answered = (interval) => interval.max_us > 0 && interval.accepted + interval.shed + interval.refused > 0;
  const series = (label, color, name, dash) => ({ label, color, dash, values: played.map((interval) => (answered(interval) ? Math.max(interval[name], 1) : null)) });
  chart(byId("chart-latency"), {
    ...overTime(played, playedEnd),
    title: "Latency over time",
    note: "Accepted requests, and those without a response with the time that they waited.",
    unit: "log scale",
    y: "micros",
    log: true,
    format: micros,
    isVoid,
    series: [
      series("max", "c-q4", "max_us", "2 3"),
      series("p99", "c-q3", "p99_us"),
      series("p90", "c-q2", "p90_us"),
      series("p50", "c-q1", "p50_us"),
    ],
  });
  const { accepted, shed, all } = report.latency;
  distribution("chart-distribution", {
    title: "Latency distribution",
    note: "Share of responses within a time.",
    isVoid,
    series: [
      { label: "accepted", color: "c-accepted", of: accepted },
      { label: "shed", color: "c-shed", of: shed },
      { label: "all", color: "c-ink", of: all, dash: "5 4" },
    ],
  });
}

// Quantiles of the read-out: ten per nine.
function readingPoints(values) {
  const points = [];
  for (let nine = 0; 10 ** -nine * values >= 1 || nine < 1; nine += 1) {
    for (let step = 0; step < 9; step += 1) points.push(1 - 10 ** -nine * (1 - step / 10));
  }
  return points;
}

// Smallest value that the share `quantile` of values does not exceed.
const valueAt = (curve, quantile) => {
  const found = curve.find((each) => each.quantile >= quantile - 1e-12);
  return found ? Math.max(found.value_us, 1) : null;
};

function distribution(id, { series, ...spec }) {
  const some = series.filter(({ of }) => of.curve.length > 0);
  const most = Math.max(0, ...some.map(({ of }) => of.count));
  const stops = some.length ? readingPoints(most) : [];
  chart(byId(id), {
    x: "quantile",
    end: most,
    stops,
    stopName: (stop) => `${quantileName(stops[stop])} within`,
    unit: "log scale",
    y: "micros",
    log: true,
    format: micros,
    ...spec,
    series: some.map(({ label, color, of, dash }) => ({
      label,
      color,
      dash,
      values: stops.map((quantile) => (1 - quantile) * of.count < 0.5 ? null : valueAt(of.curve, quantile)),
      // The last value is drawn at its share of all values: 100 % is infinitely far away.
      curve: of.curve.map(({ quantile, value_us }) => [Math.min(quantile, 1 - 1 / Math.max(of.count, 2)), Math.max(value_us, 1)]),
    })),
  });
}

// Commits of the second that ends with each interval: commits may bunch in shorter intervals, the cap counts seconds.
function committedPerSecond(intervals) {
  return intervals.map((interval, index) => {
    if (interval.length_ms >= 1000) return rate(interval, interval.committed);
    let [sum, left] = [0, 1000];
    for (let at = index; at >= 0 && left > 0; at -= 1) {
      const { length_ms: length, committed } = intervals[at];
      if (length > 0) sum += committed * Math.min(1, left / length);
      left -= length;
    }
    return sum;
  });
}

// During the drain there are no requests; a long drain leaves little room for the sale.
const drainApart = (end, playedEnd) => ({
  seams: end > playedEnd * 1.05 ? [{ at: playedEnd, label: "last request" }] : [],
  sale: end > playedEnd * 1.5 ? playedEnd : 0,
});

function queueCharts(report, { all, allEnd, playedEnd }) {
  const watched = all.some(({ queued, committed }) => queued > 0 || committed > 0);
  const shown = watched ? all : [];
  const base = overTime(shown, allEnd);
  const { seams, sale } = drainApart(allEnd, playedEnd);
  const none = "No data: the database was not read.";
  chart(byId("chart-queue"), {
    ...base,
    title: "Orders queued",
    note: "Accepted, and not yet in the database.",
    unit: "orders",
    y: "count",
    format: count,
    none,
    seams,
    sale,
    stops: shown.map((interval) => (interval.at_ms + interval.length_ms) / 1000),
    stopName: (stop) => `at ${moment((shown[stop].at_ms + shown[stop].length_ms) / 1000)}`,
    series: [{ label: "queued", color: "c-queue", stack: true, soft: true, values: shown.map(({ queued }) => queued) }],
  });
  const cap = report.scenario.drain.rate;
  const sliding = shown.some(({ length_ms: length }) => length < 1000);
  chart(byId("chart-drain"), {
    ...base,
    title: "Orders committed a second, against the cap",
    note: sliding ? "In the second that ends with each interval, by the database’s clock." : "By the database’s clock.",
    unit: "orders a second",
    y: "count",
    format: perSecond,
    none,
    seams,
    sale,
    marks: [{ value: cap, label: `cap ${count(cap)}/s`, color: "c-cap" }],
    series: [{ label: "committed", color: "c-drain", stack: true, soft: true, values: committedPerSecond(shown) }],
  });
}

const PROCESS_COLORS = { "ingest-fn": "c-p1", "drain-worker": "c-p2", broker: "c-p3", database: "c-p4", loadtest: "c-p5" };

// A process has the same colour in every report; a second one of a kind has another dash pattern.
function paintProcesses(processes) {
  const kinds = new Map();
  let other = 0;
  return processes.map((process) => {
    const kind = Object.keys(PROCESS_COLORS).find((name) => process.name.startsWith(name)) || process.name;
    const known = kinds.get(kind) || { color: PROCESS_COLORS[kind] || `c-p${6 + (other++ % 3)}`, seen: 0 };
    kinds.set(kind, { ...known, seen: known.seen + 1 });
    return { process, color: known.color, dash: [null, "6 3", "2 3", "8 3 2 3"][known.seen % 4] };
  });
}

function processCharts(report, { playedEnd }) {
  const painted = paintProcesses(report.processes);
  const times = [...new Set(report.processes.flatMap(({ samples }) => samples.map(({ at_ms }) => at_ms)))].sort((a, b) => a - b);
  // A sample covers the time since the previous one, so a moment in between uses the next one.
  const at = (samples, time, name) => {
    const found = samples.length && time >= samples[0].at_ms - 1000 ? samples.find(({ at_ms }) => at_ms >= time) : null;
    return found ? found[name] : null;
  };
  const end = times.length ? times[times.length - 1] / 1000 : 0;
  const base = {
    ...drainApart(end, playedEnd),
    narrowed: true,
    x: "time",
    end,
    stops: times.map((time) => time / 1000),
    stopName: (stop) => `at ${moment(times[stop] / 1000)}`,
    half: times.length > 1 ? (times[1] - times[0]) / 2000 : times[0] / 1000,
    none: report.processes.length ? "No data: this system provides none." : "No data: no process was sampled.",
  };
  const series = (name, more) =>
    painted.map(({ process, color, dash }) => ({ label: process.name, color, dash, values: times.map((time) => at(process.samples, time, name)), ...more }));
  const processors = report.run.machine.cpus;
  chart(byId("chart-cpu"), {
    ...base,
    title: "CPU, by process",
    note: "1.0 is one processor.",
    unit: "processors",
    y: "cpus",
    format: cpus,
    marks: processors > 0 ? [{ value: processors, label: `the machine has ${processors}`, color: "c-cap" }] : [],
    series: series("cpus", { stack: true }),
  });
  chart(byId("chart-memory"), {
    ...base,
    title: "Memory, by process",
    note: "Resident memory (RSS).",
    unit: "bytes",
    y: "bytes",
    format: bytes,
    series: series("rss_bytes", {}),
  });
}

function sendDelayChart(report) {
  const { send_delay: delay, send_delay_p999_us_max: most } = report.generator;
  distribution("chart-send-delay", {
    title: "Send delay of the generator",
    note: "Share of requests sent within a time.",
    marks: most > 0 && delay.curve.length ? [{ value: most, label: `bound at 99.9 %: ${micros(most)}`, color: "c-cap" }] : [],
    series: [{ label: "send delay", color: "c-p5", of: delay }],
  });
}
