// A chat with a model of one's choice, streamed, with its bill.

import { all, call, chat } from "./calls.js";
import { el, panel } from "./elements.js";
import { count, exact, span, whole, word } from "./words.js";

const kept = { model: "", system: "", most: "512", history: [] };

export async function playground({ signal }) {
  const models = await all("ModelService/ListModels", {}, "models", signal);
  const names = models.filter((model) => (model.capabilities || []).includes("CAPABILITY_CHAT")).map((model) => model.name);
  const model = kept.model || await usual(names, signal);
  const none = el("option", { value: "", disabled: true, selected: !model }, "Choose a model");
  const choice = el("select", { id: "model" }, none, names.map((name) => el("option", { value: name, selected: name === model }, name)));
  const system = el("textarea", { id: "system", rows: 4, placeholder: "You are ..." });
  const most = el("input", { id: "most", type: "number", min: 1, max: 100000, value: kept.most });
  const said = el("div", { class: "said", "aria-live": "polite" });
  const words = el("textarea", { rows: 2, placeholder: "Ask something", "aria-label": "Your message" });
  const send = el("button", { class: "primary" }, "Send");
  system.value = kept.system;
  const talk = new Talk(said, () => ({ model: choice.value, system: system.value, most: Number(most.value) }));
  kept.history.forEach((each) => talk.show(each));
  const ask = async (event) => {
    event.preventDefault();
    if (talk.stop) return talk.stop();
    if (!choice.value) return choice.focus();
    if (!words.value.trim()) return undefined;
    Object.assign(kept, { model: choice.value, system: system.value, most: most.value });
    const text = words.value;
    words.value = "";
    send.textContent = "Stop";
    await talk.ask(text);
    send.textContent = "Send";
    return words.focus();
  };
  words.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey) ask(event); });
  const clear = el("button", { class: "plain", type: "button", click: () => { kept.history.length = 0; said.replaceChildren(); } }, "New chat");
  return [el("div", { class: "playground" },
    panel("Model", null, el("div", { class: "set" },
      el("label", { for: "model" }, "Model"), choice,
      el("label", { for: "system" }, "System message"), system,
      el("label", { for: "most" }, "Most output tokens"), most, el("p", {}, clear))),
    el("section", { class: "card talk" }, said, el("form", { class: "ask", submit: ask }, words, send)))];
}

// The model that has answered most of late.
async function usual(names, signal) {
  const request = { selection: { groupBy: ["DIMENSION_MODEL"], operation: "chat" }, pageSize: 1000 };
  const { rows = [] } = await call("AnalyticsService/GetPerformance", request, signal).catch(() => ({}));
  const answered = (row) => count(row.callCount) - count(row.failedCount);
  const known = rows.map((row) => ({ name: `${row.group.provider}/${row.group.model}`, times: answered(row) })).filter(({ name }) => names.includes(name));
  return known.sort((one, other) => other.times - one.times)[0]?.name || "";
}

class Talk {
  constructor(said, settings) {
    this.said = said;
    this.settings = settings;
    this.stop = null;
  }

  show({ role, text, bill }) {
    const told = el("div", { class: "text" }, text);
    this.said.append(el("div", { class: role === "ROLE_USER" ? "mine" : "theirs" }, told, bill || null));
    return told;
  }

  async ask(text) {
    const control = new AbortController();
    const mine = { role: "ROLE_USER", text };
    kept.history.push(mine);
    this.show(mine);
    const theirs = new Answer(this.show({ role: "ROLE_ASSISTANT", text: "" }));
    this.stop = () => (theirs.id ? call("ChatService/CancelCompletion", { completionId: theirs.id }).catch(() => control.abort()) : control.abort());
    try {
      for await (const event of chat(this.request(), control.signal)) theirs.hear(event);
    } catch (error) {
      theirs.fail(error.name === "AbortError" || error.code === "canceled" ? "stopped" : error.message);
      if (!theirs.text) kept.history.pop();
    }
    this.stop = null;
    if (theirs.text) kept.history.push({ role: "ROLE_ASSISTANT", text: theirs.text, bill: theirs.bill });
  }

  request() {
    const { model, system, most } = this.settings();
    const part = ({ role, text }) => ({ role, parts: [{ text: { text } }] });
    const before = system.trim() ? [part({ role: "ROLE_SYSTEM", text: system })] : [];
    return { input: { model, messages: [...before, ...kept.history.map(part)], ...(most > 0 ? { sampling: { maxOutputTokens: most } } : {}) } };
  }
}

// One answer as it comes.
class Answer {
  constructor(place) {
    this.place = place;
    this.text = "";
    this.began = performance.now();
    this.first = null;
    this.id = "";
    this.who = "";
  }

  hear(event) {
    if (event.started) this.id = event.started.completionId;
    if (event.started) this.who = `${event.started.provider}/${event.started.model}`;
    if (event.partDelta) this.add(event.partDelta);
    if (event.completed) this.settle(event.completed);
  }

  add({ text, refusal, reasoning }) {
    this.first ??= performance.now() - this.began;
    if (reasoning) this.think(reasoning);
    const more = text || refusal;
    if (!more) return;
    this.text += more;
    this.place.append(more);
  }

  think(more) {
    this.thought ??= this.place.parentElement.insertBefore(el("div", { class: "text thought" }), this.place);
    this.thought.append(more);
  }

  settle({ usage = {}, charge, cost, outcome }) {
    const facts = {
      Charged: `${exact(charge)} credits`,
      Cost: `${exact(cost)} US dollars`,
      Tokens: `${whole(usage.inputTokens)} in, ${whole(usage.outputTokens)} out`,
      "First token": span(this.first),
      Took: span(performance.now() - this.began),
      By: this.who,
    };
    if (outcome !== "OUTCOME_COMPLETED") facts.Ended = word(outcome, "OUTCOME_");
    this.bill = el("div", { class: "bill" }, Object.entries(facts).map(([name, told]) => el("span", {}, `${name} `, el("b", {}, told))));
    this.place.parentElement.append(this.bill);
  }

  fail(words) {
    this.place.parentElement.append(el("p", { class: "problem" }, words));
  }
}
