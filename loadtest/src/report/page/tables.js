// The report as text and tables.

const STACKS = {
  embedded: "embedded broker and SQLite",
  real: "RocketMQ and MariaDB",
  real_proxy: "RocketMQ and MariaDB behind the database proxy",
  external: "an external system",
};

// The statement that a ledger without faults supports.
function conclusion(ledger) {
  const orders = ledger.accepted_orders === 1 ? "the one accepted order is" : `all ${count(ledger.accepted_orders)} accepted orders are`;
  if (ledger.source === "look_up") {
    return `${count(ledger.looked_up)} of ${plural(ledger.accepted_orders, "accepted order")} looked up, each known with a payload that was sent`;
  }
  return `${orders} in the database exactly once and as ordered, and nothing else${ledger.other_orders ? " of this run" : ""} is`;
}

const precise = (value) => (value === null || value === undefined ? "" : PRECISE.format(value));

function rangeOf({ min, max }) {
  const [low, high] = [precise(min), precise(max)];
  return low && high ? `${low} to ${high}` : low ? `at least ${low}` : high ? `at most ${high}` : "any";
}

// Results that make up the verdict: { kind, text }.
function findings(report) {
  const { ledger, expectations, surprises, generator } = report;
  const found = [];
  if (!ledger) {
    found.push({ kind: "none", text: "No ledger: the database was not read, so nothing is proven about the orders." });
  } else if (ledger.faults.length) {
    const faults = ledger.faults.map((fault) => `${count(fault.count)} × ${fault.code}`).join(", ");
    found.push({ kind: "fail", text: `The ledger does not add up: ${faults}.` });
  } else {
    found.push({ kind: "pass", text: `The ledger adds up: ${conclusion(ledger)}.` });
  }
  const { aborted } = report.run;
  if (aborted) found.push({ kind: "fail", text: `Aborted ${seconds(aborted.at_ms / 1000)} after the start: ${aborted.metric} was ${PRECISE.format(aborted.value)}, outside ${rangeOf(aborted)}, for ${seconds(aborted.breached_s)}. This report covers the part that was played.` });
  const missed = expectations.filter(({ result }) => result === "fails");
  if (missed.length) {
    found.push({ kind: "fail", text: `${missed.length} of ${plural(expectations.length, "expectation")} missed: ${missed.map(({ name }) => name).join(", ")}.` });
  } else if (expectations.length) {
    const held = expectations.filter(({ result }) => result === "holds").length;
    if (held) found.push({ kind: "pass", text: `${count(held)} of ${plural(expectations.length, "expectation")} ${held === 1 ? "holds" : "hold"}.` });
  } else {
    found.push({ kind: "none", text: "The scenario has no expectations." });
  }
  if (report.not_judged.length) found.push({ kind: "warn", text: `Not judged: ${report.not_judged.join("; ")}.` });
  if (surprises.length) found.push({ kind: "fail", text: `${plural(surprises.length, "surprise")}: responses that no rule allows.` });
  if (generator.latencies_valid && generator.send_delay.count > 0) {
    found.push({ kind: "pass", text: `The generator kept to its plan (send delay p99.9 ${micros(generator.send_delay.p999_us)}, bound ${micros(generator.send_delay_p999_us_max)}): latencies are the server’s.` });
  }
  return found;
}

const HEADLINES = { passed: "Passed", failed: "Failed", not_judged: "Not judged" };
const KINDS = { passed: "pass", failed: "fail", not_judged: "warn" };

function verdict(report, { played }) {
  const { run, scenario, generator } = report;
  const kind = KINDS[report.verdict];
  document.documentElement.dataset.verdict = report.verdict;
  const headline = `${HEADLINES[report.verdict]}${report.ledger ? "" : ", without a ledger"}${run.aborted ? ", aborted" : run.interrupted ? ", interrupted" : ""}`;
  const list = findings(report).map(({ kind, text }) => el("li", {}, sign(kind), el("span", {}, text)));
  if (run.interrupted) list.push(el("li", {}, sign("warn"), el("span", {}, "The run was interrupted: this report covers the part that was played.")));
  const isVoid = generator.latencies_valid
    ? null
    : el("div", { class: "void-banner", id: "void" }, sign("warn"), el("div", {},
        el("strong", {}, "Latencies void: the generator itself was late."),
        el("p", {}, `${generator.void_because ? `${generator.void_because}. ` : ""}Latencies on this page are not the server’s. The ledger is valid.`)));
  const where = run.stack === "external" ? "an external target" : STACKS[run.stack] || run.stack;
  byId("verdict").append(
    el("div", { class: `banner ${kind}` },
      el("div", { class: "ruling" },
        el("h1", {}, sign(kind), headline),
        el("ul", { class: "findings" }, list)),
      el("div", { class: "what" },
        el("p", { class: "scenario" }, scenario.name),
        scenario.description ? el("p", {}, scenario.description) : null,
        el("p", { class: "when" }, el("time", { datetime: run.started_at }, when(run.started_at)), ` · ${where}`))),
    isVoid || [],
    el("dl", { class: "tiles" }, tiles(report, played)),
  );
}

const when = (text) => text.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");

function tiles(report, played) {
  const { totals, latency, ledger, timeline, run, generator } = report;
  const peak = played.reduce((most, interval) => Math.max(most, rate(interval, interval.planned) || 0), 0);
  const tile = (name, value, below, kind) => el("div", { class: kind }, el("dt", {}, name), el("dd", {}, el("b", {}, value), el("span", {}, below)));
  const { accepted } = latency;
  const time = accepted.count === 0
    ? tile("p99 of accepted", "–", "no request was accepted")
    : generator.latencies_valid
      ? tile("p99 of accepted", micros(accepted.p99_us), `p50\u00a0${micros(accepted.p50_us)} · p99.9\u00a0${micros(accepted.p999_us)}`)
      : tile("p99 of accepted", "void", "the generator was late", "warn");
  const queued = timeline.reduce((most, interval) => Math.max(most, interval.queued), 0);
  const first = [
    tile("Offered, at the peak", perSecond(peak), `${plural(totals.planned, "request")} planned`),
    tile("Accepted", count(totals.accepted), `${percent(shareOf(totals.accepted, totals.sent))} of those sent`),
    tile("Shed", percent(shareOf(totals.shed, totals.sent)), `${plural(totals.shed, "request")}, may be retried`),
    time,
  ];
  if (!ledger) {
    return [...first,
      tile("Unknown", count(totals.unknown), "no response"),
      tile("Send delay, p99.9", micros(generator.send_delay.p999_us), `bound ${micros(generator.send_delay_p999_us_max)}`)];
  }
  const cap = ledger.cap === null || ledger.cap === undefined ? "no cap was set" : `the cap is ${count(ledger.cap)}`;
  return [...first,
    tile("Drained within", seconds(run.drained_ms / 1000), `after the last response; at most ${count(queued)} queued`),
    tile("Busiest second", count(ledger.busiest_second), `orders committed; ${cap}`)];
}

const sortedEntries = (map) => Object.entries(map).sort(([, a], [, b]) => b - a);

function refusals({ totals, surprises }) {
  const counted = (caption, title, map) => {
    const rows = sortedEntries(map).filter(([, number]) => number > 0);
    const all = rows.reduce((sum, [, number]) => sum + number, 0);
    return rows.length
      ? table(caption, [{ title }, { title: "Requests", numeric: true }, { title: "Share", numeric: true }], rows.map(([name, number]) => [el("code", {}, name), count(number), percent(shareOf(number, all))]))
      : null;
  };
  const parts = [
    counted("Shed and refused, by code", "Code", totals.refused_by_code),
    counted("Unknown (no response), by cause", "Cause", totals.unknown_by_cause),
  ];
  if (totals.unsent > 0) parts.push(el("p", { class: "alarm" }, sign("warn"), `${plural(totals.unsent, "request")} got no connection in time: the server never saw them.`));
  if (surprises.length) {
    parts.push(el("div", { class: "surprises" }, el("h3", {}, "Surprises: responses that no rule allows"), el("ul", {}, surprises.map((text) => el("li", {}, el("code", {}, text))))));
  }
  byId("refusals").append(...parts.filter(Boolean));
}

function quantileTable({ latency, generator }) {
  const kinds = [["accepted", latency.accepted], ["shed", latency.shed], ["all", latency.all]].filter(([, of]) => of.count > 0);
  if (!kinds.length) return;
  const columns = ["Response", "Responses", "Mean", "p50", "p90", "p99", "p99.9", "Maximum"].map((title, index) => ({ title, numeric: index > 0 }));
  const rows = kinds.map(([name, of]) => [name, count(of.count), ...[of.mean_us, of.p50_us, of.p90_us, of.p99_us, of.p999_us, of.max_us].map(micros)]);
  const caption = generator.latencies_valid ? "Latency of the whole run" : "Latency of the whole run (void)";
  byId("quantiles").append(table(caption, columns, rows, { class: generator.latencies_valid ? "table" : "table void" }));
}

function ledgerTable({ ledger }) {
  const body = byId("ledger-body");
  if (!ledger) {
    body.append(el("p", { class: "no-data" }, "No data: the database was not read."));
    return;
  }
  const columns = [{ title: "What" }, { title: "Number", numeric: true }];
  const below = (name) => el("span", { class: "below" }, name);
  const asked = [
    ["Requests that could have created an order", ledger.requests],
    [below("accepted (202)"), ledger.accepted],
    [below("refused"), ledger.refused],
    [below("unknown (no response)"), ledger.unknown],
    ["Distinct orders accepted", ledger.accepted_orders],
  ];
  const held = [
    ["Orders in the database", ledger.rows],
    [below("confirmed"), ledger.confirmed],
    ...sortedEntries(ledger.rejected).map(([reason, orders]) => [below(["rejected: ", el("code", {}, reason)]), orders]),
    [below("from unknown requests alone"), ledger.rows_of_unknown],
    ["Other payloads under a used key, on record", ledger.conflicts],
    ["Dead letters", ledger.dead_letters],
    ["Orders of others, not judged", ledger.other_orders],
    ["Orders looked up", ledger.looked_up],
    [ledger.cap ? `Most orders within a second (cap ${count(ledger.cap)})` : "Most orders within a second", ledger.busiest_second],
  ];
  const counted = (rows) => rows.map(([name, number]) => [name, count(number)]);
  body.append(
    ledger.faults.length
      ? table("What does not add up", [{ title: "Fault" }, { title: "Number", numeric: true }, { title: "Such as" }], ledger.faults.map((fault) => [el("code", {}, fault.code), count(fault.count), fault.examples.map((example) => [el("code", {}, example), " "])]), { class: "table faults" })
      : el("p", { class: "fine" }, sign("pass"), `No fault: ${conclusion(ledger)}.`),
    ...ledger.not_judged.map((check) => el("p", {}, `Not judged: ${check}.`)),
    el("div", { class: "columns" }, table("Requests", columns, counted(asked)), table(ledger.source === "look_up" ? "Look-up" : "Database", columns, counted(held))));
}

function expectationTable({ expectations }) {
  if (!expectations.length) {
    byId("expectations").hidden = true;
    return;
  }
  const rows = expectations.map((each) => [
    el("code", {}, each.name),
    el("span", { class: each.result === "fails" ? "misses" : "holds" }, sign({ holds: "pass", fails: "fail", not_judged: "warn" }[each.result]), { holds: "holds", fails: "missed", not_judged: "not judged" }[each.result]),
    rangeOf(each),
    precise(each.actual),
  ]);
  byId("expectations-body").append(table("Expected ranges and actual values", [{ title: "Measured" }, { title: "Verdict" }, { title: "Expected", numeric: true }, { title: "Actual", numeric: true }], rows));
}

function processTable(report) {
  const { processes, totals } = report;
  if (!processes.length) return;
  const all = processes.reduce((sum, { cpu_s }) => sum + cpu_s, 0);
  const columns = ["Process", "CPU while played", "Share", "Maximum", "CPU per accepted", "Maximum memory"].map((title, index) => ({ title, numeric: index > 0 }));
  const rows = [...processes].sort((a, b) => b.cpu_s - a.cpu_s).map(({ name, cpu_s, samples, rss_max_bytes }) => [
    name, seconds(cpu_s), percent(shareOf(cpu_s, all)),
    samples.length ? cpus(samples.reduce((most, sample) => Math.max(most, sample.cpus), 0)) : "–",
    totals.accepted ? micros((cpu_s * 1e6) / totals.accepted) : "–",
    bytes(rss_max_bytes),
  ]);
  byId("processes-body").append(table("CPU and memory of each process", columns, rows));
}

function generatorTable({ generator, shards, totals }) {
  const { send_delay: delay } = generator;
  const rows = [
    ["Sending threads", count(generator.threads)],
    ["Pinned to processors", generator.pinned_to.length ? generator.pinned_to.join(", ") : "not pinned"],
    ["Requests sent", count(totals.sent)],
    ["Connections opened", count(generator.connections_opened)],
    ["Maximum open at one time", count(generator.connections_max)],
    ["CPU per request", micros(generator.cpu_us_per_request)],
  ];
  if (delay.count > 0) {
    rows.push(["Send delay p50", micros(delay.p50_us)], ["Send delay p99", micros(delay.p99_us)], ["Send delay p99.9", micros(delay.p999_us)], ["Maximum send delay", micros(delay.max_us)]);
  }
  rows.push(["Bound on p99.9", micros(generator.send_delay_p999_us_max)], ["Latencies", generator.latencies_valid ? "valid" : "void"]);
  for (const { shard, host, sent, interrupted, generator: { send_delay } } of shards || []) {
    rows.push([`Shard ${shard}, ${host}`, `${count(sent)} sent, p99.9 ${micros(send_delay.p999_us)}${interrupted ? ", interrupted" : ""}`]);
  }
  byId("generator-body").append(facts(rows));
}

// Parameters under their names in the scenario file.
function about(report) {
  const { scenario, run } = report;
  const phases = scenario.phases.map(({ name: phase, expect: _, shape, seconds: length, ...rates }) => [phase || "", shape, Object.entries(rates).map(([name, value]) => `${name} = ${PRECISE.format(value)}`).join(", "), PRECISE.format(length)]);
  const groups = Object.entries(scenario).filter(([name, group]) => name !== "expect" && name !== "abort" && group && typeof group === "object" && !Array.isArray(group));
  const groupFacts = groups.map(([name, group]) => el("div", { class: "group" }, el("h3", {}, el("code", {}, `[${name}]`)), facts(Object.entries(group).map(([parameter, value]) => [el("code", {}, parameter), typeof value === "number" ? PRECISE.format(value) : String(value)]))));
  const ofPhases = scenario.phases.flatMap(({ name: phase, expect }) => Object.entries(expect || {}).map(([name, range]) => [`${name}@${phase}`, range]));
  const ranges = [...Object.entries(scenario.expect || {}), ...ofPhases].map(([name, range]) => [el("code", {}, name), Object.entries(range).map(([end, value]) => `${end} ${PRECISE.format(value)}`).join(", ") || "any"]);
  if (ranges.length) groupFacts.push(el("div", { class: "group" }, el("h3", {}, el("code", {}, "[expect]")), facts(ranges)));
  const aborts = Object.entries(scenario.abort || {}).map(([name, abort]) => [el("code", {}, name), `${rangeOf(abort)}, for ${seconds(abort.for_s)}`]);
  if (aborts.length) groupFacts.push(el("div", { class: "group" }, el("h3", {}, el("code", {}, "[abort]")), facts(aborts)));
  const { machine } = run;
  const versions = [
    ["Spillway", run.version], ...Object.entries(run.parts), ["Stack", STACKS[run.stack] || run.stack],
    ["Started", when(run.started_at)], ["Played for", seconds(run.played_ms / 1000)], ["Drained within", seconds(run.drained_ms / 1000)],
    ["Processors", `${machine.cpus}${machine.cpu_model ? ` × ${machine.cpu_model}` : ""}`],
    ["Memory", machine.memory_bytes ? bytes(machine.memory_bytes) : "unknown"], ["Kernel", machine.kernel || "unknown"],
    ["Report format", String(report.format)],
  ];
  byId("about").append(
    el("details", { class: "more" }, el("summary", {}, el("h2", {}, "Scenario"), el("span", {}, `${scenario.name}, seed ${scenario.seed}`)),
      table("Phases", [{ title: "Phase" }, { title: "Shape" }, { title: "Requests a second" }, { title: "Seconds", numeric: true }], phases),
      el("div", { class: "groups" }, groupFacts)),
    el("details", { class: "more" }, el("summary", {}, el("h2", {}, "Versions and machine"), el("span", {}, `Spillway ${run.version} on ${plural(machine.cpus, "processor")}`)), facts(versions)));
}
