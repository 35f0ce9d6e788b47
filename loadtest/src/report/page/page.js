// Renders the report on the page.

const root = document.documentElement;

// Shows every error on the page: a partial report must not look complete.
function showError(error) {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  root.dataset.error = text;
  delete root.dataset.ready;
  byId("page-error").replaceChildren(el("strong", {}, "This page could not be rendered completely. "), text);
  byId("page-error").hidden = false;
}

window.addEventListener("error", (event) => showError(event.error || event.message));

// A number beyond JavaScript's range, such as a seed, keeps its digits as text.
const exact = (key, value, context) =>
  typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value) && context ? context.source : value;

function drawAll() {
  const text = byId("report").textContent;
  const report = JSON.parse(text, exact);
  const timeline = timelineOf(report);
  verdict(report, timeline);
  loadChart(report, timeline);
  refusals(report);
  latencyCharts(report, timeline);
  quantileTable(report);
  queueCharts(report, timeline);
  ledgerTable(report);
  expectationTable(report);
  processCharts(report, timeline);
  processTable(report);
  sendDelayChart(report);
  generatorTable(report);
  about(report);
  byId("provenance").textContent = `Spillway ${report.run.version} · ${report.scenario.name} · ${when(report.run.started_at)}`;
  offerSave(text, report);
}

function offerSave(text, report) {
  const button = byId("save");
  button.hidden = false;
  button.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([`${JSON.stringify(JSON.parse(text), null, 2)}\n`], { type: "application/json" }));
    const name = `${report.scenario.name}-${report.run.started_at}`.replace(/[^\w.-]+/g, "-");
    el("a", { href: address, download: `${name}.json` }).click();
    URL.revokeObjectURL(address);
  });
}

// Light or dark as the system's setting, until the user chooses.
function offerTheme() {
  const button = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`);
  };
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    label();
  });
  system.addEventListener("change", label);
  button.hidden = false;
  label();
}

// Redraws charts when their width changes; opens all details for printing.
function watch() {
  const observer = new ResizeObserver(() => requestAnimationFrame(() => charts.forEach(({ draw }) => draw(false))));
  charts.forEach(({ plot }) => observer.observe(plot));
  const opened = [];
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details.more:not([open])")) {
      details.open = true;
      opened.push(details);
    }
  });
  window.addEventListener("afterprint", () => {
    for (const details of opened.splice(0)) details.open = false;
  });
}

try {
  offerTheme();
  drawAll();
  watch();
  root.dataset.charts = drawn;
  root.dataset.ready = "true";
} catch (error) {
  showError(error);
}
