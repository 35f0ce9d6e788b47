// The caps that an edited schedule results in during the next 24 hours: a step plot and a list. The worker computes them.

import { api, errorText } from "./api.js";
import { el, linearScale, pointText, svg, yGrid } from "./chart.js";
import { morph } from "./dom.js";
import { clockMinute, count, day, rate, zoneText } from "./format.js";
import { holdText } from "./headline.js";
import { t } from "./i18n.js";

const QUIET_MS = 250;
const [WIDTH, HEIGHT] = [440, 150];
const MARGIN = { top: 8, right: 10, bottom: 22, left: 58 };

/** Returns `ask(schedule)`, which shows its preview once the operator rests. */
export function previewer() {
  const body = el("div", { id: "preview-body", "aria-live": "polite" });
  const node = el("div", { class: "preview" }, el("h3", {}, t("preview.title")), el("p", { class: "fine" }, t("preview.zone", { zone: zoneText() })), body);
  let waiting = null;
  let newest = 0;
  /** @type {(faults: { code: string, pointer: string }[]) => void} */
  let faulty = () => {};

  async function load(schedule) {
    const mine = (newest += 1);
    try {
      const answer = await api.previewSchedule(schedule);
      if (mine !== newest) return;
      faulty([]);
      morph(body, drawn(answer));
    } catch (error) {
      if (mine !== newest) return;
      const faults = error.problem?.errors ?? [];
      faulty(faults);
      // A fault that has a place stands there.
      morph(body, el("p", { class: "fine" }, t("preview.none")), faults.some(({ pointer }) => pointer !== "/entries") ? [] : el("p", { class: "fault" }, errorText(error)));
    }
  }

  function clear() {
    clearTimeout(waiting);
    newest += 1;
    faulty([]);
    morph(body, el("p", { class: "fine" }, t("preview.none")));
  }

  return {
    node,
    clear,
    onFaults: (listener) => { faulty = listener; },
    ask: (schedule) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => load(schedule), QUIET_MS);
    },
    end: clear,
  };
}

function drawn({ from, until, steps, cap, settings }) {
  const time = (at) => (day(at) === day(from) ? clockMinute(at) : `${day(at)} ${clockMinute(at)}`);
  const lines = steps.map((step, index) => el("li", {}, el("b", {}, index ? time(step.at) : t("preview.now")), " ", rate(step.orders_per_second)));
  const overrides = [
    ...settings.holds.map((hold) => el("li", {}, holdText(hold))),
    ...(settings.manual ? [el("li", {}, t("preview.manual", { rate: rate(settings.manual.to) }))] : []),
  ];
  return [
    overrides.length ? el("div", { class: "note" }, el("p", {}, t("preview.overridden", { cap: rate(cap.orders_per_second) })), el("ul", {}, overrides)) : null,
    picture(Date.parse(from), Date.parse(until), steps),
    el("ol", { class: "steps", "aria-label": t("preview.steps") }, lines),
  ];
}

function picture(begin, end, steps) {
  const bottom = HEIGHT - MARGIN.bottom;
  const y = linearScale(Math.max(...steps.map((step) => step.orders_per_second)) * 1.04, bottom, MARGIN.top, count);
  const x = (time) => MARGIN.left + ((time - begin) / (end - begin)) * (WIDTH - MARGIN.left - MARGIN.right);
  const shape = steps.map((step, index) => {
    const [at, level] = [x(Date.parse(step.at)), y.at(step.orders_per_second)];
    return index ? `H${at.toFixed(1)}V${level.toFixed(1)}` : `M${pointText(at, level)}`;
  }).join("");
  const ticks = [0, 6, 12, 18, 24].map((hours) => {
    const time = begin + hours * 3600e3;
    return svg("text", { class: "tick", x: x(time), y: HEIGHT - 5, "text-anchor": hours === 0 ? "start" : hours === 24 ? "end" : "middle" }, clockMinute(time));
  });
  return svg("svg", { class: "step-plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t("preview.picture", { from: `${day(begin)} ${clockMinute(begin)}` }) },
    yGrid(y, MARGIN.left, WIDTH - MARGIN.right), ticks,
    svg("path", { class: "area blue", d: `${shape}H${x(end).toFixed(1)}V${bottom}H${MARGIN.left}Z` }), svg("path", { class: "line blue", d: `${shape}H${x(end).toFixed(1)}` }));
}
