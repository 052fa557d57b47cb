/* The page of the jukebox: what a person picks, and what the model recommends. */

import { ModelError, read } from "./model.js";

const K = 10, REASONS = 4, SURPRISES = 4, OPTIONS = 8;
const at = (id) => document.getElementById(id);
const query = at("query"), options = at("options");

let model = null, place = 0, files = [];
let picks = new Map();  // item to plays
let found = [], active = -1;

/* An element with a class, a text or children, and attributes. All names enter the page as text. */
function make(tag, { text, children = [], action, ...attributes } = {}) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  if (action) element.addEventListener("click", action);
  element.append(...children);
  return element;
}

const decimal = (value) => value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const people = (value) => `${Math.round(value).toLocaleString("en")} ${value === 1 ? "listener" : "listeners"}`;

/* The picks */

function setPlays(item, plays, focus) {
  if (plays > 0) picks.set(item, plays);
  else picks.delete(item);
  show();
  focus?.();
}

function add(item) {
  closeOptions();
  query.value = "";
  setPlays(item, (picks.get(item) ?? 0) + 1);
  at("status").textContent = `Added ${item}.`;
}

function pickRow([item, plays], number) {
  const button = (sign, label, change) => make("button", {
    type: "button", text: sign, "aria-label": `${label} ${item}`, class: label.split(" ")[0].toLowerCase(),
    action: () => setPlays(item, change(plays), () => focusPick(item, number, label.split(" ")[0].toLowerCase())),
  });
  return make("li", { children: [
    make("span", { class: "name", text: item }),
    make("span", { class: "plays", children: [
      button("−", "Fewer plays of", (n) => n - 1),
      make("output", { text: plays, "aria-label": `Plays of ${item}` }),
      button("+", "More plays of", (n) => n + 1),
      button("×", "Remove", () => 0),
    ] }),
  ] });
}

/* Keep the focus on the same button, or near the place of a row that is gone. */
function focusPick(item, number, kind) {
  const rows = [...at("picks").children];
  const row = rows.find((each) => each.querySelector(".name").textContent === item)
    ?? rows[Math.min(number, rows.length - 1)];
  (row?.querySelector(`.${kind}`) ?? query).focus();
}

/* The recommendations */

function reasonRow({ item, score }, longest) {
  const fill = make("div", { class: score < 0 ? "fill against" : "fill" });
  fill.style.width = `${(100 * Math.abs(score)) / longest}%`;
  return make("li", { children: [
    make("span", { class: "because", text: item }),
    make("div", { class: "track", "aria-hidden": "true", children: [fill] }),
    make("span", { class: "amount", text: `${score < 0 ? "−" : "+"}${decimal(Math.abs(score))}` }),
  ] });
}

function card({ item, score, users, reasons }, number, longest) {
  const told = reasons.length ? `score ${decimal(score)} · ${people(users)}` : people(users);
  const children = [
    make("div", { children: [make("div", { class: "name", text: item }), make("div", { class: "soft", text: told })] }),
    make("button", { type: "button", class: "add", text: "+ Add", "aria-label": `Add ${item}`, action: () => {
      add(item);
      (at("answer").querySelectorAll(".add")[number] ?? at("answer-title")).focus();
    } }),
  ];
  if (reasons.length) {
    const rows = reasons.slice(0, REASONS).map((each) => reasonRow(each, longest));
    children.push(make("ul", { class: "why", "aria-label": `Reasons for ${item}`, children: rows }));
  }
  return make("li", { class: "panel", children });
}

function show() {
  at("picks").replaceChildren(...[...picks].map(pickRow));
  at("empty").hidden = picks.size > 0;
  const pairs = [["model", place], ...[...picks].map(([item, plays]) => ["pick", `${plays} ${item}`])];
  history.replaceState(null, "", picks.size || place ? `#${new URLSearchParams(pairs)}` : location.pathname);

  const before = performance.now();
  const { found: best, byPopularity } = model.recommend(picks, K);
  const explained = best.map((each) => (
    { ...each, reasons: byPopularity ? [] : model.explain(picks, each.item).filter(({ score }) => score) }
  ));
  const time = performance.now() - before;
  const longest = Math.max(...explained.flatMap(({ reasons }) => reasons.map(({ score }) => Math.abs(score))));
  at("answer").replaceChildren(...explained.map((each, number) => card(each, number, longest)));
  at("answer-title").textContent = byPopularity ? "Most popular" : "Recommended";
  at("facts").textContent = `${model.items.length.toLocaleString("en")} songs, ${Math.max(1, Math.round(time))} ms`;
}

/* The search: a combobox with a list of options */

function closeOptions() {
  options.hidden = true;
  found = [];
  active = -1;
  query.setAttribute("aria-expanded", "false");
  query.removeAttribute("aria-activedescendant");
}

function choose(number) {
  active = number;
  [...options.children].forEach((option, own) => option.setAttribute("aria-selected", own === number));
  query.setAttribute("aria-activedescendant", options.children[number].id);
  options.children[number].scrollIntoView({ block: "nearest" });
}

function search() {
  const text = query.value.trim();
  if (!text) return closeOptions();
  found = model.search(text, OPTIONS);
  const none = `No song matches “${text}”.`;
  options.replaceChildren(...(found.length
    ? found.map((item, number) => make("li", {
      id: `option-${number}`, role: "option", "aria-selected": "false", text: item,
      action: () => { add(item); query.focus(); },
    }))
    : [make("li", { role: "none", text: none })]));
  options.hidden = false;
  query.setAttribute("aria-expanded", "true");
  at("status").textContent = found.length ? `${found.length} songs` : none;
  if (found.length) choose(0);
}

query.addEventListener("input", search);
query.addEventListener("blur", closeOptions);
options.addEventListener("mousedown", (event) => event.preventDefault());  // the focus stays in the field
query.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && found.length) {
    event.preventDefault();
    choose((active + step + found.length) % found.length);
  } else if (event.key === "Enter" && found.length) {
    event.preventDefault();
    add(found[active]);
  } else if (event.key === "Escape") {
    if (options.hidden) query.value = "";
    closeOptions();
  }
});

at("clear").addEventListener("click", () => { picks = new Map(); show(); query.focus(); });
at("surprise").addEventListener("click", () => {
  const popular = model.byPopularity.slice(0, Math.ceil(model.items.length / 4));
  picks = new Map();
  while (picks.size < Math.min(SURPRISES, popular.length)) {
    picks.set(model.items[popular[Math.floor(Math.random() * popular.length)]], 1 + Math.floor(Math.random() * 9));
  }
  show();
  at("status").textContent = `Picked ${[...picks.keys()].join(", ")}.`;
});

/* The model */

function problem(error) {
  at("problem").textContent = error instanceof ModelError ? error.message : `The model cannot be loaded: ${error.message}.`;
  at("problem").hidden = false;
}

async function use(bytes, given) {
  at("problem").hidden = true;
  try {
    model = await read(await bytes);
  } catch (error) {
    return problem(error);
  }
  picks = new Map(given.filter(([item]) => model.columnOf.has(item)));
  for (const id of ["query", "surprise", "clear"]) at(id).disabled = false;
  show();
}

async function download(file) {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file}: ${response.status}`);
  return response.arrayBuffer();
}

at("catalogue").addEventListener("change", ({ target }) => {
  place = Number(target.value);
  use(download(files[place].file), []);
});
at("file").addEventListener("change", ({ target }) => {
  if (target.files.length) use(target.files[0].arrayBuffer(), []);
});

/* The address holds the picks, so that a reload or a link to the page keeps them. */
async function start() {
  const asked = new URLSearchParams(location.hash.slice(1));
  try {
    files = await (await fetch("models.json")).json();
  } catch (error) {
    return problem(error);
  }
  at("catalogue").replaceChildren(...files.map(({ title }, own) => make("option", { value: own, text: title })));
  place = Math.min(Math.max(0, Number.parseInt(asked.get("model") ?? 0, 10) || 0), files.length - 1);
  at("catalogue").value = place;
  const given = asked.getAll("pick")
    .map((pick) => pick.match(/^(\d{1,6}) (.*)$/s))
    .filter((match) => match && Number(match[1]) > 0)
    .map(([, plays, item]) => [item, Number(plays)]);
  await use(download(files[place].file), given);
}

addEventListener("hashchange", start);
start();
