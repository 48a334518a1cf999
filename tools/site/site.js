"use strict";
// The search over all titles, and the choice between light and dark. Pages are whole without it.

const root = document.currentScript.dataset.root.replace(/index\.html$/, "");
const SHOWN = 12;

const theme = {
  get kept() { try { return localStorage.getItem("theme"); } catch { return null; } },
  set kept(name) { try { localStorage.setItem("theme", name); } catch { /* pages from a folder may keep nothing */ } },
  get isDark() { return (this.kept || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark"; },
  show() { if (this.kept) document.documentElement.dataset.theme = this.kept; },
};
theme.show();

function score([title, about], words) {
  const name = title.toLowerCase();
  const all = `${name} ${about.toLowerCase()}`;
  if (!words.every((word) => all.includes(word))) return 0;
  const [first] = words;
  return (name === words.join(" ") ? 8 : name.startsWith(first) ? 4 : name.includes(first) ? 2 : 1) + 1 / (1 + name.length);
}

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const found = FOUND.map((entry) => [score(entry, words), entry]).filter(([points]) => points > 0);
  return found.sort(([a], [b]) => b - a).slice(0, SHOWN).map(([, entry]) => entry);
}

function hit([title, about, place]) {
  const link = Object.assign(document.createElement("a"), { href: root + place, textContent: title });
  if (about) link.append(Object.assign(document.createElement("small"), { textContent: about }));
  const item = document.createElement("li");
  item.append(link);
  return item;
}

const box = document.getElementById("search");
const hits = document.getElementById("hits");
const contents = document.getElementById("contents");

box.addEventListener("input", () => {
  const found = search(box.value);
  hits.replaceChildren(...found.map(hit));
  hits.hidden = !found.length;
  contents.hidden = Boolean(found.length);
});
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter") hits.querySelector("a")?.click();
  if (event.key === "Escape") { box.value = ""; box.dispatchEvent(new Event("input")); }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== box) { event.preventDefault(); box.focus(); }
});
document.getElementById("theme").addEventListener("click", () => {
  theme.kept = theme.isDark ? "light" : "dark";
  theme.show();
});
if (matchMedia("(max-width: 52rem)").matches) {
  for (const part of document.querySelectorAll("nav details:not(:has([aria-current]))")) part.open = false;
}
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest" });
