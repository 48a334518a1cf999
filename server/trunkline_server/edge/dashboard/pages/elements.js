// Elements of a page. What comes from elsewhere is only ever text.

const SVG = "http://www.w3.org/2000/svg";

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export const el = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

// A legend goes beside the title.
export function panel(title, note, ...content) {
  const legends = content.filter((each) => each?.className === "legend");
  const head = el("header", {}, el("h2", {}, title), note ? el("span", { class: "soft" }, note) : null, legends);
  return el("section", { class: "card panel" }, head, content.filter((each) => !legends.includes(each)));
}

export const empty = (words) => el("div", { class: "empty" }, words);
export const state = (kind, words) => el("span", { class: `state ${kind}` }, words);

export function share(part, kind = "") {
  const inner = el("span", { class: kind });
  inner.style.width = `${Math.max(0, Math.min(1, part)) * 100}%`;
  return el("span", { class: "share" }, inner);
}

// `columns`: heading → [how a row is told, whether it is a number].
export function table(columns, rows) {
  const names = Object.keys(columns);
  const kind = (name) => ({ class: columns[name][1] ? "number" : null });
  const head = el("tr", {}, names.map((name) => el("th", { scope: "col", ...kind(name) }, name)));
  const body = rows.map((row) => el("tr", {}, names.map((name) => el("td", kind(name), columns[name][0](row)))));
  return el("div", { class: "wide" }, el("table", {}, el("thead", {}, head), el("tbody", {}, body)));
}
