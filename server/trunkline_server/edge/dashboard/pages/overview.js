// What was spent, how much was used, how long it took, and what failed.

import { all, call } from "./calls.js";
import { bars, lines } from "./charts.js";
import { el, empty, panel, share, table } from "./elements.js";
import { brief, clock, count, day, exact, milliseconds, money, nanos, percent, span, units, whole } from "./words.js";

const COLOURS = ["s0", "s1", "s2", "s3", "s4"];
const ROWS = 8;
const HOUR_MS = 3600e3;

// The steps of the chosen time: hours of a day, days of more. The first is whole.
export function axis(hours) {
  const byHour = hours <= 48;
  const step = byHour ? HOUR_MS : 24 * HOUR_MS;
  const end = Date.now();
  const steps = byHour ? hours : hours / 24;
  const first = Math.floor(end / step) * step - (steps - 1) * step;
  const times = Array.from({ length: steps }, (_, place) => {
    const at = new Date(first + place * step);
    const key = at.toISOString().slice(0, byHour ? 13 : 10);
    return { key, label: byHour ? clock(at) : day(at), name: byHour ? `${day(at)}, ${clock(at)} UTC` : day(at) };
  });
  return { times, dimension: byHour ? "DIMENSION_HOUR" : "DIMENSION_DAY", startTime: new Date(first).toISOString(), key: (group) => group.hour || group.day };
}

export async function overview({ hours, filters, signal }) {
  const { times, dimension, startTime, key } = axis(hours);
  const select = (...groupBy) => ({ selection: { startTime, ...filters, groupBy } });
  const performance = "AnalyticsService/GetPerformance";
  const [byTime, [total], byModel, modelCosts, usage, byUser] = await Promise.all([
    all(performance, select(dimension), "rows", signal),
    all(performance, select(), "rows", signal),
    all(performance, select("DIMENSION_MODEL"), "rows", signal),
    all("AnalyticsService/GetCosts", select(dimension, "DIMENSION_MODEL"), "rows", signal),
    all("AnalyticsService/GetUsage", select(dimension), "rows", signal),
    call("AnalyticsService/GetCosts", { ...select("DIMENSION_USER"), pageSize: 1000 }, signal),
  ]);
  const place = new Map(times.map((time, number) => [time.key, number]));
  const spread = (rows, valueOf, none = 0) => {
    const values = times.map(() => none);
    rows.forEach((row) => { if (place.has(key(row.group))) values[place.get(key(row.group))] = valueOf(row); });
    return values;
  };
  const spent = new Map();
  modelCosts.forEach((row) => {
    const name = modelName(row);
    if (!spent.has(name)) spent.set(name, { name, charge: 0n, cost: 0n, rows: [] });
    const of = spent.get(name);
    of.charge += nanos(row.charge);
    of.cost += nanos(row.cost);
    of.rows.push(row);
  });
  const dearest = [...spent.values()].sort((one, other) => (other.charge > one.charge ? 1 : other.charge < one.charge ? -1 : 0));
  return [
    tiles(total, dearest, usage),
    panel("Spend", "credits", ...spendChart(times, dearest, spread)),
    el("div", { class: "two" },
      panel("Calls", null, ...bars("Calls by time", times, [
        { name: "answered", kind: "s0", values: spread(byTime, (row) => count(row.callCount) - count(row.failedCount)) },
        { name: "failed", kind: "bad", values: spread(byTime, (row) => count(row.failedCount)) },
      ], brief, whole)),
      panel("Latency", null, ...lines("Latency by time", times, [
        { name: "p50", kind: "s0", values: spread(byTime, (row) => milliseconds(row.duration?.p50), null) },
        { name: "p95", kind: "s1", values: spread(byTime, (row) => milliseconds(row.duration?.p95), null) },
        { name: "p99", kind: "s3", values: spread(byTime, (row) => milliseconds(row.duration?.p99), null) },
        { name: "first token", kind: "s2", values: spread(byTime, (row) => milliseconds(row.firstToken?.p50), null) },
      ], span)),
      panel("Errors", "share of calls", ...lines("Errors by time", times, [
        { name: "failed", kind: "bad", values: spread(byTime, (row) => row.errorRate || 0) },
      ], (value) => percent(value, 1))),
      panel("Tokens", null, ...bars("Tokens by time", times, [
        { name: "in", kind: "s1", values: spread(usage, (row) => count(row.usage?.inputTokens)) },
        { name: "out", kind: "s2", values: spread(usage, (row) => count(row.usage?.outputTokens)) },
      ], brief, whole)),
    ),
    el("div", { class: "two" }, models(byModel, spent), users(byUser.rows || [])),
  ];
}

const modelName = (row) => `${row.group.provider}/${row.group.model}`;

function tiles(total, dearest, usage) {
  const sum = (field) => dearest.reduce((all_, each) => all_ + each[field], 0n);
  const tokens = usage.reduce((all_, row) => all_ + count(row.usage?.inputTokens) + count(row.usage?.outputTokens), 0);
  const charge = { nanos: sum("charge").toString() };
  const cost = { nanos: sum("cost").toString() };
  const told = [
    ["Credits charged", money(units(charge)), `providers take ${money(units(cost))} $`, `${exact(charge)} credits; ${exact(cost)} US dollars`],
    ["Calls", brief(count(total?.callCount)), `${whole(total?.attemptCount)} attempts`, whole(total?.callCount)],
    ["Failed", percent(total?.errorRate), `${whole(total?.failedCount)} calls`],
    ["Latency, p50", span(milliseconds(total?.duration?.p50)), `p95 ${span(milliseconds(total?.duration?.p95))} · p99 ${span(milliseconds(total?.duration?.p99))}`],
    ["First token, p50", span(milliseconds(total?.firstToken?.p50)), `p95 ${span(milliseconds(total?.firstToken?.p95))}`],
    ["Tokens", brief(tokens), `${brief(total?.tokensPerSecond || 0)} out a second`],
  ];
  return el("dl", { class: "card tiles" }, told.map(([name, value, note, title]) =>
    el("div", {}, el("dt", {}, name), el("dd", { title: title || null }, value), el("dd", { class: "note" }, note))));
}

function spendChart(times, dearest, spread) {
  const first = dearest.slice(0, COLOURS.length).map((one, number) => ({ name: one.name, kind: COLOURS[number], values: spread(one.rows, (row) => units(row.charge)) }));
  const others = dearest.slice(COLOURS.length).map((one) => spread(one.rows, (row) => units(row.charge)));
  if (others.length) first.push({ name: `${others.length} others`, kind: "s5", values: times.map((_, place) => others.reduce((sum, one) => sum + one[place], 0)) });
  return bars("Credits charged by time and model", times, first, brief, money);
}

function models(rows, spent) {
  if (!rows.length) return panel("Models", null, empty("No calls in this time."));
  const most = Math.max(...rows.map((row) => count(row.callCount)));
  const sorted = [...rows].sort((one, other) => count(other.callCount) - count(one.callCount)).slice(0, ROWS);
  return panel("Models", null, table({
    Model: [(row) => el("span", {}, modelName(row), share(count(row.callCount) / most))],
    Calls: [(row) => whole(row.callCount), true],
    Failed: [(row) => percent(row.errorRate, 1), true],
    p50: [(row) => span(milliseconds(row.duration?.p50)), true],
    p95: [(row) => span(milliseconds(row.duration?.p95)), true],
    Credits: [(row) => money(Number(spent.get(modelName(row))?.charge || 0n) / 1e9), true],
  }, sorted));
}

function users(rows) {
  if (!rows.length) return panel("Users", null, empty("No calls in this time."));
  const sorted = [...rows].sort((one, other) => units(other.charge) - units(one.charge)).slice(0, ROWS);
  const most = Math.max(units(sorted[0].charge), 1e-9);
  return panel("Users", "by credits", table({
    User: [(row) => el("span", {}, row.group?.userId || "the tenant itself", share(units(row.charge) / most))],
    Calls: [(row) => whole(row.callCount), true],
    "US dollars": [(row) => money(units(row.cost)), true],
    Credits: [(row) => el("span", { title: exact(row.charge) }, money(units(row.charge))), true],
  }, sorted));
}
