// Numbers and times as people read them.

export const count = (told) => Number(told || 0);
export const whole = (value) => count(value).toLocaleString("en-US");
export const percent = (share, digits = 2) => `${((share || 0) * 100).toFixed(digits)} %`;

export function brief(value) {
  const size = Math.abs(value);
  for (const [least, sign] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= least) return `${trim(value / least)}${sign}`;
  }
  return size === 0 || size >= 0.01 ? trim(value) : value.toPrecision(2);
}
const trim = (value) => String(Number(value.toPrecision(3)));

// Amounts are exact: billionths, in text.
export const nanos = (amount) => BigInt(amount?.nanos || 0);
export const units = (amount) => Number(nanos(amount)) / 1e9;

export function exact(amount) {
  const told = nanos(amount);
  const size = told < 0n ? -told : told;
  const part = (size % 1000000000n).toString().padStart(9, "0").replace(/0+$/, "");
  return `${told < 0n ? "-" : ""}${(size / 1000000000n).toLocaleString("en-US")}${part ? `.${part}` : ""}`;
}

export const money = (value) => (value >= 1000 ? brief(value) : value >= 1 || value === 0 ? value.toFixed(2) : value.toPrecision(3));

export const milliseconds = (duration) => (duration ? parseFloat(duration) * 1000 : null);
export function span(ms) {
  if (ms === null || Number.isNaN(ms)) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s` : `${(ms / 60000).toFixed(1)} min`;
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
export const day = (moment) => DAY.format(moment);
export const clock = (moment) => moment.toISOString().slice(11, 16);
export const moment = (told) => (told ? `${day(new Date(told))}, ${clock(new Date(told))}` : "–");
// CIRCUIT_OPEN and JOB_STATE_RUNNING as words.
export const word = (name, before = "") => (name || "").replace(before, "").replaceAll("_", " ").toLowerCase();
