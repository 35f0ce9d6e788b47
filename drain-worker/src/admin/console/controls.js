// Rate, ramp and holds. Each change is confirmed before it is sent.

import { api } from "./api.js";
import { confirm } from "./dialogs.js";
import { byId, el } from "./chart.js";
import { say, show } from "./dom.js";
import { moment, rate, seconds } from "./format.js";
import { source } from "./state.js";

const described = ({ id, owner, since, until, reason }) =>
  `Hold ${id} by ${owner || "unnamed"} since ${moment(since)}, until ${until ? moment(until) : "resumed"}${reason && `: ${reason}`}.`;

// `now()` gives the newest status, or null; `changed(text)` reports what was done.
export function controls(now, changed) {
  const current = () => (now() ? `Now ${rate(now().cap.orders_per_second)}, ${source(now())}.` : "The cap in force is not known.");

  byId("rate-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = Number(byId("rate").value);
    const ramp = Number(byId("ramp").value) || 0;
    const how = ramp ? `, by a ramp of ${seconds(ramp)}` : ", at once";
    const lines = [current(), `New: ${rate(wanted)} for the whole pool${how}.`];
    const steep = now() && wanted > 2 * now().cap.orders_per_second;
    if (steep) lines.push("This is more than twice the present cap.");
    if (now()?.cap.source === "paused") lines.push("The pool stays paused. The rate takes effect when it is resumed.");
    const done = await confirm({
      title: "Set the rate?", lines, yes: `Set ${rate(wanted)}`,
      act: (who, madeOn) => api.setRate({ rate: wanted, ...(ramp && { ramp_s: ramp }), ...(steep && { confirm: true }), ...who }, madeOn),
    });
    if (!done) return;
    byId("rate-form").reset();
    changed(`Rate set to ${rate(wanted)}${how}.`);
  });

  byId("rate-reset").addEventListener("click", async () => {
    const settings = now()?.settings;
    const back = settings?.schedule ? "The schedule sets the cap again." : `The default of ${rate(settings?.default)} applies again.`;
    const done = await confirm({ title: "Clear the manual rate?", lines: [current(), back], yes: "Clear it", act: api.resetRate });
    if (done) changed("Manual rate cleared.");
  });

  const kind = byId("pause-kind");
  const fields = () => {
    show(byId("pause-minutes-label"), kind.value === "for");
    show(byId("pause-until-label"), kind.value === "until");
    byId("pause-minutes").required = kind.value === "for";
    byId("pause-until").required = kind.value === "until";
  };
  kind.addEventListener("change", fields);
  fields();

  byId("pause-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const minutes = Number(byId("pause-minutes").value);
    const until = byId("pause-until").value;
    const [body, length] = {
      open: [{}, "until resumed"],
      for: [{ for_s: minutes * 60 }, `for ${minutes} min`],
      until: [until && { until: new Date(until).toISOString() }, `until ${moment(until)}, your time`],
    }[kind.value];
    const done = await confirm({
      title: "Pause the pool?", lines: [current(), `No worker commits an order ${length}. Orders are still accepted, and wait.`],
      yes: "Pause", danger: true, act: (who) => api.pause({ ...body, ...who }),
    });
    if (done) changed(`Paused ${length}.`);
  });

  byId("resume").addEventListener("click", async () => {
    const holds = now()?.settings.holds.map(described) || [];
    const done = await confirm({ title: "Resume the pool?", lines: [current(), "All holds end:", ...holds], yes: "Resume", act: api.resume });
    if (done) changed("Resumed.");
  });

  const end = async (hold) => {
    const lines = [described(hold), "The pool runs when no hold is left."];
    const done = await confirm({ title: `End hold ${hold.id}?`, lines, yes: "End it", act: (who) => api.endHold({ hold: hold.id, ...who }) });
    if (done) changed(`Hold ${hold.id} ended.`);
  };
  let shown = "";
  const list = (holds) => {
    const text = JSON.stringify(holds);
    if (text === shown) return;
    shown = text;
    const button = (hold) => el("button", { type: "button", on: { click: () => end(hold) } }, `End hold ${hold.id}…`);
    byId("holds").replaceChildren(...holds.map((hold) => el("li", {}, described(hold), " ", button(hold))));
  };

  return (status) => {
    const paused = status.cap.source === "paused";
    list(status.settings.holds);
    byId("resume").disabled = !paused;
    byId("rate-reset").disabled = !status.settings.manual;
    say(byId("rate-reset"), status.settings.schedule ? "Back to schedule…" : "Back to default…");
    byId("rate").placeholder = String(status.cap.orders_per_second);
    say(byId("pause"), paused ? "Add a hold…" : "Pause…");
  };
}
