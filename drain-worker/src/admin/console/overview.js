// Headline, tiles, warnings and workers.

import { byId, el } from "./chart.js";
import { fillTable, say } from "./dom.js";
import { NONE, clock, count, known, ms, rate, seconds, words } from "./format.js";
import { NAMES, poolState, source } from "./state.js";

let announced = "";

export function overview(status) {
  const pool = poolState(status);
  byId("headline").dataset.state = pool.state;
  say(byId("state"), pool.title);
  say(byId("state-figure"), pool.figure);
  say(byId("state-reason"), pool.reason);
  say(byId("whose"), `group ${status.group}`);
  document.title = `${pool.title} – Spillway ${status.group}`;
  // The figures change every second; a screen reader announces changes of state and cap only.
  const news = `${pool.title}. Cap ${rate(status.cap.orders_per_second)}, ${source(status)}.`;
  if (news !== announced) say(byId("announce"), news);
  announced = news;
  say(byId("cap-source"), `cap ${rate(status.cap.orders_per_second)}, ${source(status)}`);
  say(byId("foot"), `From worker ${status.worker} at ${clock(status.now)}, your time. Settings revision ${status.settings.revision}.`);
  tiles(status);
  warnings(status.warnings);
  workers(status.workers);
}

// The headline for a worker that has not joined the pool.
export function unjoined(answer) {
  byId("headline").dataset.state = "slow";
  say(byId("state"), NAMES[answer.state] || "Joining");
  say(byId("state-figure"), "");
  say(byId("state-reason"), answer.reason || "");
}

// What more of would make the drain quicker.
const LIMITS = {
  cap: "a higher rate drains faster", database_latency: "commits are slow or fail", connections: "more writers drain faster",
  broker: "messages are not delivered", nothing_waits: "all that arrives is committed",
};

function tiles(status) {
  const { lag, commit_ms: commit, dead_letters: letters, receive_failures_per_second: failures } = status;
  const unknown = lag.error ? "not known" : null;
  const values = [
    ["arriving", "Arriving", rate(status.arriving_per_second), failures > 0 ? `${rate(failures)} receives fail` : "orders a second"],
    ["limited", "Limited by", status.limited_by ? words(status.limited_by) : NONE, LIMITS[status.limited_by] || "not known now"],
    ["lag", "Orders waiting", unknown ? NONE : count(lag.orders), unknown || `${count(lag.messages)} messages`],
    ["oldest", "Oldest waits", seconds(lag.oldest_age_s), !unknown ? "since it was stored" : known(lag.oldest_age_s) ? "of those in the workers" : unknown],
    ["commit", "Commit p50", ms(commit?.p50), `p99 ${ms(commit?.p99)}`],
    ["dead", "Dead letters", count(letters?.total), !letters ? "not known" : letters.total ? `oldest ${seconds(letters.oldest_age_s)}` : "none"],
  ];
  const box = byId("tiles");
  if (box.children.length !== values.length) {
    box.replaceChildren(...values.map(([id, name]) => el("div", { id: `tile-${id}` }, el("dt", {}, name), el("dd", {}, el("b"), el("span")))));
  }
  for (const [id, , figure, note] of values) {
    say(byId(`tile-${id}`).querySelector("b"), figure);
    say(byId(`tile-${id}`).querySelector("span"), note);
  }
  byId("tile-dead").classList.toggle("warn", letters?.total > 0);
}

function warnings(list) {
  const box = byId("warnings");
  const shown = [...box.children].map((item) => item.textContent);
  if (shown.join("\n") === list.join("\n")) return;
  box.replaceChildren(...list.map((warning) => el("li", {}, warning)));
}

const COLUMNS = [
  { title: "Worker" }, { title: "State" }, { title: "Share", numeric: true }, { title: "Wants", numeric: true },
  { title: "Committed", numeric: true }, { title: "Commit p50", numeric: true }, { title: "p99", numeric: true },
  { title: "In flight, orders", numeric: true }, { title: "Since" }, { title: "Lease ends in", numeric: true },
];

function workers(list) {
  const live = list.filter((worker) => worker.state !== "lease_expired");
  const sum = live.reduce((total, worker) => total + worker.share, 0);
  say(byId("workers-sum"), `${live.length} live, shares ${rate(sum)} in all`);
  const rows = list.map((worker) => ({
    attributes: { "data-lease": worker.lease },
    cells: [
      worker.name,
      el("span", {}, el("span", { class: `pill ${worker.state}` }, words(worker.state)), worker.reason ? ` ${worker.reason}` : ""),
      rate(worker.share), rate(worker.wanted), rate(worker.committed_per_second), ms(worker.commit_ms?.p50), ms(worker.commit_ms?.p99),
      count(worker.held_orders), clock(worker.joined_at), ms(worker.expires_in_ms),
    ],
  }));
  fillTable(byId("workers"), "Workers of the pool and their shares of the cap", COLUMNS, rows, "No worker has a lease.", true);
}
