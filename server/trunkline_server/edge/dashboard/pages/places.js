// Providers and their breakers, jobs, budgets.

import { all, call } from "./calls.js";
import { el, empty, panel, share, state, table } from "./elements.js";
import { count, exact, milliseconds, moment, money, percent, span, units, whole, word } from "./words.js";

const BREAKERS = { BREAKER_STATE_CLOSED: ["good", "closed"], BREAKER_STATE_OPEN: ["bad", "open"], BREAKER_STATE_HALF_OPEN: ["warn", "half open"] };
const JOBS = { SUCCEEDED: "good", FAILED: "bad", RUNNING: "warn" };
const BREAKERS_SHOWN = 6;

export async function providers({ signal }) {
  const rows = await all("ProviderService/ListProviders", {}, "providers", signal);
  const busy = rows.filter((row) => row.enabled).sort((one, other) => count(other.health?.attemptCount) - count(one.health?.attemptCount));
  const off = rows.filter((row) => !row.enabled);
  return [
    busy.length ? el("div", { class: "cards" }, busy.map(provider)) : panel("Providers", null, empty("No provider is in use.")),
    off.length ? panel("Not in use", whole(off.length), table({
      Provider: [(row) => row.name],
      Why: [(row) => row.disabledReason || "–"],
    }, off)) : null,
  ];
}

function provider(row) {
  const health = row.health || {};
  const breakers = health.breakers || [];
  const open = breakers.filter((each) => each.state !== "BREAKER_STATE_CLOSED");
  const facts = {
    Succeeded: health.successRate === undefined ? "–" : percent(health.successRate, 1),
    Attempts: `${whole(health.attemptCount)}, ${whole(health.failureCount)} failed`,
    "First token": span(milliseconds(health.firstTokenLatency)),
    Answer: span(milliseconds(health.answerLatency)),
    "In flight": whole(health.inFlightCount),
    "Last failure": health.lastFailureTime ? `${word(health.lastFailureKind)}, ${moment(health.lastFailureTime)}` : "none",
  };
  return panel(row.name, null,
    el("dl", { class: "facts" }, Object.entries(facts).flatMap(([name, told]) => [el("dt", {}, name), el("dd", {}, told)])),
    el("div", { class: "breakers" }, breakers.length ? [...open, ...breakers.filter((each) => !open.includes(each))].slice(0, BREAKERS_SHOWN).map(breaker) : state("good", "no breaker has tripped")));
}

function breaker(each) {
  const [kind, words] = BREAKERS[each.state] || ["", "unknown"];
  return el("div", {}, el("span", {}, each.name), state(kind, each.probeTime ? `${words}, probe ${moment(each.probeTime)}` : words));
}

export async function jobs({ signal }) {
  const told = await call("JobService/ListJobs", { pageSize: 100 }, signal);
  const rows = told.jobs || [];
  if (!rows.length) return [panel("Jobs", null, empty("There are no jobs."))];
  const name = (row) => (row.state || "").replace("JOB_STATE_", "");
  const counts = Object.groupBy ? Object.entries(Object.groupBy(rows, name)).map(([key, of]) => `${of.length} ${word(key)}`).join(" · ") : "";
  return [panel("Jobs", `the last ${rows.length}: ${counts}`, table({
    Job: [(row) => row.jobId],
    State: [(row) => state(JOBS[name(row)] || "", word(name(row)))],
    Queue: [(row) => row.queue],
    User: [(row) => row.userId || "–"],
    Attempts: [(row) => `${row.attemptCount || 0} of ${row.maxAttempts || 0}`, true],
    Made: [(row) => moment(row.createTime)],
    Ended: [(row) => moment(row.endTime)],
    Credits: [(row) => (row.charge ? money(units(row.charge)) : "–"), true],
  }, rows))];
}

export async function budgets({ signal }) {
  const told = await call("LimitService/ListBudgets", { pageSize: 1000 }, signal);
  const rows = told.budgets || [];
  if (!rows.length) return [panel("Budgets", null, empty("There are no budgets. `trunkline budgets set` makes one."))];
  const by = Object.groupBy ? Object.groupBy(told.windows || [], (each) => each.budget) : {};
  return [el("div", { class: "cards" }, rows.map((row) => budget(row, by[row.name] || [])))];
}

function budget(row, windows) {
  const unit = row.amount?.unit === "USD" ? "US dollars" : "credits";
  const period = word(row.period, "BUDGET_PERIOD_");
  const windowsTold = windows.slice(0, 8).map((each) => {
    const part = units(each.spent) / Math.max(units(row.amount), 1e-9);
    const subject = Object.values(each.subject || {}).filter(Boolean).join(", ") || "all calls";
    return el("div", {}, el("div", { class: "facts" }, el("dt", {}, subject), el("dd", { title: `${exact(each.spent)} spent` }, `${money(units(each.spent))} · ${percent(part, 0)}`)),
      share(part, part >= 1 ? "bad" : part >= 0.8 ? "warn" : ""));
  });
  return panel(row.name, `${exact(row.amount)} ${unit} a ${period}${row.hard ? ", hard" : ""}`, windowsTold.length ? el("div", { class: "windows" }, windowsTold) : empty("Nothing was spent of it yet."));
}
