// Who is signed in, which part is shown, and what it is shown of.

import { all, call, isSignedIn, signIn, signOut } from "./calls.js";
import { el, empty, panel } from "./elements.js";
import { overview } from "./overview.js";
import { playground } from "./playground.js";
import { budgets, jobs, providers } from "./places.js";
import { brief, count } from "./words.js";

const PARTS = { overview, providers, jobs, budgets, playground };
const TIMES = { "24 h": 24, "7 d": 168, "30 d": 720, "90 d": 2160 };
const FRESH_MS = { overview: 60e3, providers: 10e3, jobs: 5e3, budgets: 30e3 };
const LIVE_MS = 5e3;

const $ = (id) => document.getElementById(id);
const view = $("view");
const chosen = { hours: 168, filters: {} };
let control = new AbortController();
let timer = 0;
let liveTimer = 0;
let shown = "";

const part = () => (location.hash.slice(1) in PARTS ? location.hash.slice(1) : "overview");

async function show(fresh = true) {
  const name = part();
  clearTimeout(timer);
  control.abort();
  control = new AbortController();
  const { signal } = control;
  document.querySelectorAll("nav a").forEach((link) => link.hash === `#${name}` ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current"));
  $("filters").hidden = name !== "overview";
  if (fresh) view.setAttribute("aria-busy", "true");
  try {
    const made = (await PARTS[name]({ ...chosen, signal })).filter(Boolean);
    if (signal.aborted) return;
    view.replaceChildren(...made);
    shown = name;
    $("as-of").textContent = `as of ${new Date().toLocaleTimeString("en-GB")}`;
  } catch (error) {
    if (signal.aborted) return;
    if (shown !== name || fresh) view.replaceChildren(panel("This cannot be shown", null, empty(error.message)));
  }
  view.removeAttribute("aria-busy");
  if (FRESH_MS[name]) timer = setTimeout(() => (document.hidden ? null : show(false)), FRESH_MS[name]);
}

async function live() {
  clearTimeout(liveTimer);
  if (!$("house").hidden && !document.hidden) {
    try {
      const now = await call("AnalyticsService/GetRealtime", {});
      $("live").replaceChildren(`${count(now.heldCount)} running`, el("span", { class: "more" }, ` · ${brief(count(now.all?.callCount))} calls/min`));
      $("live").removeAttribute("data-off");
    } catch {
      $("live").setAttribute("data-off", "");
    }
  }
  liveTimer = setTimeout(live, LIVE_MS);
}

async function fillFilters() {
  const rows = await all("AnalyticsService/GetCosts", { selection: { startTime: new Date(Date.now() - 90 * 864e5).toISOString(), groupBy: ["DIMENSION_MODEL", "DIMENSION_OPERATION"] } }, "rows");
  for (const name of ["provider", "model", "operation"]) {
    const select = document.querySelector(`#filters [name=${name}]`);
    const values = [...new Set(rows.map((row) => row.group[name]).filter(Boolean))].sort();
    select.replaceChildren(select.options[0], ...values.map((value) => el("option", { value, selected: chosen.filters[name] === value }, value)));
  }
}

function chooseTime(hours) {
  chosen.hours = hours;
  document.querySelectorAll(".segments button").forEach((button) => button.setAttribute("aria-checked", String(TIMES[button.textContent] === hours)));
}

async function report() {
  const startTime = new Date(Date.now() - chosen.hours * 3600e3).toISOString();
  const told = await call("AnalyticsService/GetReport", { selection: { startTime, ...chosen.filters, groupBy: ["DIMENSION_MODEL"] }, format: "REPORT_FORMAT_HTML" });
  const bytes = Uint8Array.from(atob(told.document), (char) => char.charCodeAt(0));
  const link = el("a", { href: URL.createObjectURL(new Blob([bytes], { type: told.mediaType })), download: `usage-${new Date().toISOString().slice(0, 10)}.html` });
  link.click();
  URL.revokeObjectURL(link.href);
}

async function enter() {
  const inside = await isSignedIn();
  $("sign-in").hidden = inside;
  $("house").hidden = !inside;
  if (!inside) return $("api-key").focus();
  fillFilters().catch(() => {});
  live();
  return show();
}

function leave() {
  control.abort();
  clearTimeout(timer);
  clearTimeout(liveTimer);
  view.replaceChildren();
  $("house").hidden = true;
  $("sign-in").hidden = false;
}

function theme(name) {
  document.documentElement.dataset.theme = name;
}

const dark = matchMedia("(prefers-color-scheme: dark)");
theme(localStorage.getItem("theme") || (dark.matches ? "dark" : "light"));
dark.addEventListener("change", () => { if (!localStorage.getItem("theme")) theme(dark.matches ? "dark" : "light"); });
$("theme").addEventListener("click", () => {
  theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  localStorage.setItem("theme", document.documentElement.dataset.theme);
});

document.querySelector(".segments").append(...Object.entries(TIMES).map(([name, hours]) =>
  el("button", { role: "radio", click: () => { chooseTime(hours); show(); } }, name)));
chooseTime(chosen.hours);
document.querySelectorAll("#filters [name]").forEach((field) => field.addEventListener("change", () => {
  chosen.filters = { ...chosen.filters, [field.name]: field.value };
  show();
}));
$("report").addEventListener("click", () => report().catch((error) => view.prepend(panel("The report could not be made", null, empty(error.message)))));
$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = document.querySelector("#sign-in .problem");
  try {
    await signIn($("api-key").value.trim());
    $("api-key").value = "";
    problem.hidden = true;
    await enter();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
});
$("sign-out").addEventListener("click", () => signOut().finally(leave));
window.addEventListener("signed-out", leave);
window.addEventListener("hashchange", () => show());
document.addEventListener("visibilitychange", () => { if (!document.hidden && !$("house").hidden) show(false); });

enter();
