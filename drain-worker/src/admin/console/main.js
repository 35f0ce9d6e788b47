// Polls the worker once a second and updates the page.

import { api, token } from "./api.js";
import { audit } from "./audit.js";
import { charts } from "./charts.js";
import { controls } from "./controls.js";
import { cordon } from "./cordon.js";
import { tokenDialog } from "./dialogs.js";
import { byId } from "./chart.js";
import { say, show } from "./dom.js";
import { clock, seconds } from "./format.js";
import { letters } from "./letters.js";
import { orders } from "./orders.js";
import { overview, unjoined } from "./overview.js";
import { schedule } from "./schedule.js";
import { theme } from "./theme.js";

const EVERY_MS = 1000;
// The poll interval of a hidden page.
const HIDDEN_EVERY_MS = 10000;
const STALE_MS = 3500;
const HISTORY_EVERY = 2;
const AUDIT_EVERY = 5;
// The time for which a result stays on the page.
const DONE_MS = 10000;

let status = null;
let heard = 0;
let asked = 0;
let waiting = null;
// The newest round of polls; an older round stops.
let round = 0;
let invited = false;
let forget = null;

const now = () => status;
const openToken = tokenDialog(() => {
  invited = true;
  again();
});
const trouble = (error) => {
  const away = error.status === 401 || error.status === 403;
  say(byId("trouble"), away ? "The worker requires a valid token." : error.message);
  show(byId("trouble"), true);
  if (away && !token.get() && !invited) openToken();
  invited ||= away;
};
const changed = (text) => {
  say(byId("done"), text);
  show(byId("done"), true);
  clearTimeout(forget);
  forget = setTimeout(() => show(byId("done"), false), DONE_MS);
  again();
};

theme();
const loadHistory = charts();
const drawControls = controls(now, changed);
const drawCordon = cordon(now, changed);
const drawSchedule = schedule(now, changed);
const drawLetters = letters(trouble, changed);
const loadAudit = audit();
orders(trouble);

async function tick() {
  const mine = (round += 1);
  try {
    const answer = await api.status();
    if (!answer.cap) {
      unjoined(answer);
      throw new Error("This worker knows nothing of the pool yet.");
    }
    status = answer;
    // The worker may itself have heard nothing for a while.
    heard = Date.now() - status.age_s * 1000;
    overview(status);
    drawControls(status);
    drawCordon(status);
    drawSchedule(status);
    drawLetters(status);
    if (asked % HISTORY_EVERY === 0) await loadHistory();
    if (asked % AUDIT_EVERY === 0) await loadAudit();
    asked += 1;
    show(byId("trouble"), false);
  } catch (error) {
    trouble(error);
  }
  if (mine === round) waiting = setTimeout(tick, document.hidden ? HIDDEN_EVERY_MS : EVERY_MS);
}

// Polls at once, all parts.
function again() {
  clearTimeout(waiting);
  asked = 0;
  tick();
}

// Marks old figures and states their age.
function age() {
  const stale = heard === 0 || Date.now() - heard > (document.hidden ? HIDDEN_EVERY_MS * 2 : STALE_MS);
  document.body.classList.toggle("stale", stale);
  const text = heard === 0 ? "no figures yet" : stale ? `figures are ${seconds((Date.now() - heard) / 1000)} old` : `live, ${clock(heard)}`;
  say(byId("connection"), text);
}

setInterval(age, 500);
document.addEventListener("visibilitychange", () => document.hidden || again());
tick();
