// Polls the worker once a second, and the data of the page that is shown.

import { api, errorText, token } from "./api.js";
import { audit } from "./audit.js";
import { bar } from "./bar.js";
import { byId } from "./chart.js";
import { charts } from "./charts.js";
import { controls } from "./controls.js";
import { cordon } from "./cordon.js";
import { tokenDialog } from "./dialogs.js";
import { all, morph, say, show } from "./dom.js";
import { clock, seconds } from "./format.js";
import { headline } from "./headline.js";
import { holds } from "./holds.js";
import { onLocale, t, translate } from "./i18n.js";
import { letters } from "./letters.js";
import { loadActs } from "./marks.js";
import { orders } from "./orders.js";
import { overview } from "./overview.js";
import { sale } from "./sale.js";
import { schedule } from "./schedule.js";
import { render, state, update, view } from "./state.js";

const EVERY_MS = 1000;
// The poll interval of a hidden page.
const HIDDEN_EVERY_MS = 10000;
const STALE_MS = 3500;
// The time for which a result stays on the page.
const DONE_MS = 10000;

let waiting = null;
// The newest round of polls; an older round stops.
let round = 0;
let asked = 0;
let invited = false;
let forget = null;

translate();

const openToken = tokenDialog(() => {
  invited = true;
  again();
});
const trouble = (error) => {
  const away = error.status === 401;
  update(away ? { trouble: error, access: null } : { trouble: error });
  if (away && !token.get() && !invited) openToken();
  invited ||= away;
};
const changed = (text, isWarning = false) => {
  say(byId("done"), text);
  byId("done").classList.toggle("warn", isWarning);
  show(byId("done"), true);
  clearTimeout(forget);
  forget = setTimeout(() => show(byId("done"), false), DONE_MS);
  again();
};

headline();
overview();
view(null, ({ trouble: error }) => {
  morph(byId("trouble"), error ? errorText(error) : []);
  show(byId("trouble"), error !== null);
});
holds(changed);
controls(changed);
cordon(changed);
schedule(changed);
orders(trouble);
bar();

/** What each page loads beside the status, and every how many polls. */
const LOADS = {
  overview: [[charts(), 2], [loadActs, 5]],
  sale: [[sale(trouble), 2]],
  letters: [[letters(trouble, changed), 1]],
  orders: [],
  audit: [[audit(trouble), 5]],
};

async function tick() {
  const mine = (round += 1);
  try {
    if (asked === 0) update({ access: await api.access() });
    const answer = await api.status();
    if (mine !== round) return;
    if (answer.cap) {
      // The worker may itself have heard nothing for a while.
      update({ status: answer, unjoined: null, heard: Date.now() - answer.age_s * 1000 });
    } else {
      update({ unjoined: answer });
    }
    const poll = asked;
    asked += 1;
    for (const [load, every] of LOADS[state.page]) {
      if (poll % every === 0) await load();
      // The operator has opened another page meanwhile, whose round counts its own polls.
      if (mine !== round) return;
    }
    update({ trouble: null });
  } catch (error) {
    if (mine === round) trouble(error);
  } finally {
    // Also after a status that cannot be drawn.
    if (mine === round) waiting = setTimeout(tick, document.hidden ? HIDDEN_EVERY_MS : EVERY_MS);
  }
}

// Polls at once, all parts, and asks anew what the token allows.
function again() {
  clearTimeout(waiting);
  asked = 0;
  tick();
}

// The page of the address; of an unknown one, the first. The focus goes to its title, where a screen reader reads on.
function route(isFirst) {
  const name = location.hash.replace(/^#\//, "");
  const page = /** @type {import("./state.js").Page} */ (name in LOADS ? name : "overview");
  for (const section of all("[data-page]")) show(section, section.dataset.page === page);
  update({ page });
  if (isFirst) return;
  all("#pages [aria-current]")[0].scrollIntoView({ block: "nearest", inline: "nearest" });
  all(`[data-page="${page}"] h2`)[0].focus({ preventScroll: true });
  again();
}

// Marks old figures and states their age.
function age() {
  const { heard } = state;
  const stale = heard === 0 || Date.now() - heard > (document.hidden ? HIDDEN_EVERY_MS * 2 : STALE_MS);
  document.body.classList.toggle("stale", stale);
  say(byId("connection"), heard === 0 ? t("connection.none") : stale ? t("connection.old", { age: seconds((Date.now() - heard) / 1000) }) : t("connection.live", { time: clock(heard) }));
}

onLocale(render);
onLocale(age);
setInterval(age, 500);
document.addEventListener("visibilitychange", () => document.hidden || again());
addEventListener("hashchange", () => route(false));
// The address names the page, so it stays.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
route(true);
age();
tick();
