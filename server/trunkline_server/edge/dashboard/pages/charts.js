// Bars and lines over time, drawn as wide as there is room.

import { el, svg } from "./elements.js";

const HEIGHT = 190;
const LEFT_MIN = 46;
const LETTER = 6.6;
const TOP = 6;
const BOTTOM = 22;
const INNER = HEIGHT - TOP - BOTTOM;

const tip = document.getElementById("tip");

function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999999);
}

function frame(width, top, format, times) {
  const y = (value) => TOP + INNER * (1 - value / top);
  const steps = [0, 0.5, 1].map((part) => [y(top * part), format(top * part)]);
  const left = Math.max(LEFT_MIN, 10 + LETTER * Math.max(...steps.map(([, told]) => told.length)));
  const parts = steps.flatMap(([at, told]) => [
    svg("line", { class: "rule", x1: left, x2: width, y1: at, y2: at }),
    svg("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, told),
  ]);
  const room = (width - left) / times.length;
  const every = Math.ceil(times.length / Math.max(1, Math.floor((width - left) / 72)));
  times.forEach((time, place) => {
    if (place % every) return;
    const x = left + room * (place + 0.5);
    const last = x > width - 30;
    parts.push(svg("text", { x: last ? width : x, y: HEIGHT - 5, "text-anchor": last ? "end" : "middle" }, time.label));
  });
  return { y, left, room, parts };
}

function show(event, title, rows) {
  tip.replaceChildren(el("strong", {}, title), ...rows.map(([name, kind, told]) => el("div", {}, el("span", { class: `key ${kind}` }, name), el("span", {}, told))));
  tip.hidden = false;
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = event.clientX + 16 + width > window.innerWidth ? event.clientX - width - 16 : event.clientX + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY - height / 2, window.innerHeight - height - 4))}px`;
}

const hide = () => { tip.hidden = true; };
window.addEventListener("scroll", hide, { passive: true });

function places(times, left, room, rowsOf) {
  return times.map((time, place) => svg("rect", {
    class: "here", x: left + room * place, y: TOP, width: room, height: INNER,
    pointermove: (event) => show(event, time.name, rowsOf(place)), pointerleave: hide,
  }));
}

function drawn(title, draw) {
  const box = el("div", { class: "chart" });
  let width = 0;
  new ResizeObserver(([entry]) => {
    const room = Math.round(entry.contentRect.width);
    if (room < 80 || room === width) return;
    width = room;
    box.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": title }, ...draw(width)));
  }).observe(box);
  return box;
}

// `series`: [{name, kind, values}], one on the other.
export function bars(title, times, series, format, told = format) {
  const top = roundUp(Math.max(0, ...times.map((_, place) => series.reduce((sum, one) => sum + one.values[place], 0))));
  const box = drawn(title, (width) => {
    const { y, left, room, parts } = frame(width, top, format, times);
    const thick = Math.max(1, Math.min(room * 0.72, 44));
    times.forEach((_, place) => {
      let below = 0;
      series.forEach(({ kind, values }) => {
        const high = (values[place] / top) * INNER;
        if (high > 0) parts.push(svg("rect", { class: `bar ${kind}`, x: left + room * (place + 0.5) - thick / 2, y: y(below) - high, width: thick, height: high, rx: Math.min(1, high / 2) }));
        below += values[place];
      });
    });
    const rows = (place) => series.filter(({ values }) => values[place] > 0).map(({ name, kind, values }) => [name, kind, told(values[place])]);
    return [...parts, ...places(times, left, room, rows)];
  });
  return [legend(series), box];
}

// The same as lines; null is a gap.
export function lines(title, times, series, format) {
  const top = roundUp(Math.max(0, ...series.flatMap(({ values }) => values.filter((value) => value !== null))));
  const box = drawn(title, (width) => {
    const { y, left, room, parts } = frame(width, top, format, times);
    const x = (place) => left + room * (place + 0.5);
    series.forEach(({ kind, values }) => {
      let path = "";
      values.forEach((value, place) => {
        if (value === null) return;
        const goesOn = place > 0 && values[place - 1] !== null;
        path += `${goesOn ? "L" : "M"}${x(place).toFixed(1)} ${y(value).toFixed(1)}`;
        if (!goesOn && (values[place + 1] ?? null) === null) parts.push(svg("circle", { class: `dot ${kind}`, cx: x(place), cy: y(value), r: 2.5 }));
      });
      if (path) parts.push(svg("path", { class: `line ${kind}`, d: path }));
    });
    const rows = (place) => series.filter(({ values }) => values[place] !== null).map(({ name, kind, values }) => [name, kind, format(values[place])]);
    return [...parts, ...places(times, left, room, rows)];
  });
  return [legend(series), box];
}

function legend(series) {
  return el("div", { class: "legend" }, series.map(({ name, kind }) => el("span", { class: `key ${kind}` }, name)));
}
