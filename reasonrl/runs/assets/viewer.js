// Functions that all pages of `reasonrl view` share.
"use strict";
// What a model or a file says reaches the page as a text node or an attribute set by name, never as HTML.
const $ = id => document.getElementById(id);
const COLOURS = ["#2563eb", "#d97706", "#0f9d74", "#7c5cbf", "#d64545", "#0891b2", "#9aa5b1"];
function make(tag, className, text, attributes) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  return node;
}
function drawn(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}
async function ask(path) {
  const answer = await fetch(path);
  const data = await answer.json();
  if (!answer.ok) throw new Error(data.error || answer.statusText);
  return data;
}
const spoken = name => name.replaceAll("_", " ");
const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
function short(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(+value.toPrecision(4));
}

function marked(node, text, needle) {
  const lower = text.toLowerCase(), find = needle.toLowerCase();
  // Lower case can change the length of a text; then offsets would be wrong.
  if (!find || lower.length !== text.length) { node.append(text); return node; }
  let from = 0;
  for (let at = lower.indexOf(find); at >= 0; at = lower.indexOf(find, from)) {
    node.append(text.slice(from, at), make("mark", "", text.slice(at, at + find.length)));
    from = at + find.length;
  }
  node.append(text.slice(from));
  return node;
}
function turnBox(turn, ...content) {
  const box = make("section", "turn " + (turn.by_policy ? "policy" : "partner") + (turn.judged ? " judged" : "")), head = make("h3", "", turn.speaker);
  head.append(make("span", "", turn.length));
  if (turn.judged) head.append(make("b", "badge", "the verifier read this turn"));
  box.append(head, ...content);
  return box;
}
const written = (className, text, needle) => text ? marked(make("pre", className), String(text), needle) : make("pre", className + " empty", "(empty)");
function transcript(sample, needle) {
  const box = make("div", "turns");
  box.append(...sample.turns.map(turn => turnBox(turn, written("", turn.text, needle))));
  if (sample.other_judged_text !== null) {
    const read = make("section", "turn judged");
    read.append(make("h3", "", "what the verifier read"), written("", sample.other_judged_text, needle));
    box.append(read);
  }
  return box;
}
// What a critic in the reward said of an answer: how many critiques accept it, what that scores and earns, and the first critique.
function reviewBox(part, review, earned, needle) {
  const level = review.accepted === review.rejected, read = review.accepted + review.rejected;
  const [kind, word] = review.failure !== null ? ["error", "no critique"] : !read ? ["unparsed", "not read"]
    : level ? ["", "undecided"] : review.accepted > review.rejected ? ["correct", "accepted"] : ["wrong", "rejected"];
  const box = make("details", "review"), head = make("summary", "", `critic ${spoken(part)} `), numbers = make("p", "numbers");
  head.append(make("span", "badge " + kind, word));
  for (const [label, value] of [["accepted by", `${review.accepted} of ${read + review.unread}`], ["not read", review.unread || null], ["score", review.score], ["earned", earned]]) {
    if (value === null || value === undefined) continue;
    const item = make("span", "", label + " ");
    item.append(make("b", "", typeof value === "number" ? short(value) : value));
    numbers.append(item);
  }
  box.append(head, numbers);
  if (review.failure !== null) box.append(make("p", "", review.failure));
  else if (review.text) box.append(written("", review.text, needle));
  else box.append(make("p", "", "The answer is blank: no critic was asked."));
  box.open = Boolean(needle) && review.text.toLowerCase().includes(needle.toLowerCase());
  return box;
}
function choices(select, options) {
  const old = select.value;
  while (select.options.length > 1) select.remove(1);
  for (const [value, label] of options) select.append(make("option", "", label, { value }));
  select.value = old;
  if (select.selectedIndex < 0) { select.append(make("option", "", old, { value: old })); select.value = old; }
}
// One of the panels of the page is shown; arrow keys go from tab to tab.
function showPanel(names, shown) {
  for (const name of names) {
    $(name).classList.toggle("shown", name === shown);
    $("tab-" + name).setAttribute("aria-selected", name === shown);
    $("tab-" + name).tabIndex = name === shown ? 0 : -1;
  }
}
function listenToTabs(names, show) {
  names.forEach((name, i) => {
    $("tab-" + name).addEventListener("click", () => show(name));
    $("tab-" + name).addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = names[(i + step + names.length) % names.length];
      show(next);
      $("tab-" + next).focus();
    });
  });
}
