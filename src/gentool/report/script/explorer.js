// The list of cases, the events, and the start.
const PAGE = 25;
const SEARCH_PAUSE = 100; // milliseconds without a key before the search begins

function marks(index) {
  return data.models.map((model) => {
    const found = result(model, index);
    if (!found) return null;
    const kind = kindOf(mainClass(found[1]));
    const sign = { good: "✓", part: "≈", bad: "✗" }[kind];
    return el("span", { class: { good: "yes", part: "nearly", bad: "no" }[kind], title: `${model}: ${classLabel(mainClass(found[1]))}` }, `${sign} ${model}`);
  });
}

function showList() {
  const pages = Math.max(1, Math.ceil(shown.length / PAGE));
  state.page = Math.min(Math.max(0, state.page), pages - 1);
  const first = state.page * PAGE;
  byId("cases").replaceChildren(...shown.slice(first, first + PAGE).map((index) => {
    const c = data.cases[index];
    return el("li", {}, el("a", { href: `#case=${c.id}`, "aria-current": c.id === state.case ? "true" : null, "data-case": c.id },
      el("span", { class: "text" }, data.queries[c.q].text),
      el("span", { class: "where" }, `${scenarioOf(c)} · ${transitionOf(c)}`),
      el("span", { class: "marks" }, marks(index))));
  }));
  byId("count").textContent = shown.length === data.cases.length ? `${shown.length} examples` : `${shown.length} of ${data.cases.length} examples`;
  byId("page").textContent = `${state.page + 1} of ${pages}`;
  byId("page-back").disabled = state.page === 0;
  byId("page-on").disabled = state.page >= pages - 1;
  byId("download").disabled = !shown.length;
  byId("download").textContent = `Download JSONL (${shown.length})`;
}

function showCase() {
  const at = shown.findIndex((i) => data.cases[i].id === state.case);
  const target = byId("case");
  if (at < 0) {
    const why = data.cases.length ? "No example fits these filters." : "No predictions were found, so there are no examples.";
    target.replaceChildren(el("p", { class: "card" }, why));
    delete target.dataset.case;
    return;
  }
  target.replaceChildren(...caseNodes(at, (step) => {
    choose(data.cases[shown[at + step]].id);
    const again = target.querySelector(step < 0 ? ".back" : ".on");
    (again.disabled ? target : again).focus({ preventScroll: true });
  }).filter(Boolean));
  target.dataset.case = data.cases[shown[at]].id;
}

function turnToCase() {
  const at = shown.indexOf(caseIndex.get(state.case));
  if (at >= 0) state.page = Math.floor(at / PAGE);
}

function update(write) {
  filter();
  if (!caseIndex.has(state.case) || !shown.includes(caseIndex.get(state.case))) {
    state.case = shown.length ? data.cases[shown[0]].id : "";
  }
  turnToCase();
  showList();
  showCase();
  if (write) writeHash();
}

function choose(id) {
  state.case = id;
  turnToCase();
  showList();
  showCase();
  writeHash();
  const current = byId("cases").querySelector("[aria-current]");
  if (current) {
    const box = byId("cases"), a = current.getBoundingClientRect(), b = box.getBoundingClientRect();
    if (a.top < b.top || a.bottom > b.bottom) box.scrollTop += a.top - b.top - b.height / 3;
  }
  if (byId("case").getBoundingClientRect().top < 0) byId("case").scrollIntoView();
}

function turnPage(step) {
  state.page += step;
  showList();
  byId("cases").scrollTop = 0;
}

function formChanged() {
  readForm();
  update(true);
}

let timer;
form.addEventListener("input", (event) => {
  clearTimeout(timer);
  if (event.target.type === "search") timer = setTimeout(formChanged, SEARCH_PAUSE);
  else formChanged();
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(formChanged));
byId("cases").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(link.dataset.case);
  if (matchMedia("(max-width: 860px)").matches) byId("case").scrollIntoView();
  byId("cases").querySelector("[aria-current]")?.focus({ preventScroll: true });
});
byId("page-back").addEventListener("click", () => turnPage(-1));
byId("page-on").addEventListener("click", () => turnPage(1));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const button = { j: ".on", k: ".back" }[event.key];
  if (button) byId("case").querySelector(`.case-nav ${button}`)?.click();
});
window.addEventListener("hashchange", () => { if (readHash()) update(false); });

for (const seed of seeds) form.elements.seed.append(el("option", { value: seed }, seed));
byId("seed-label").hidden = seeds.length < 2;
byId("compare").hidden = data.models.length < 2;
if (data.cases.length < data.total) {
  byId("limited").hidden = false;
  byId("limited").textContent = `The run is large: ${data.cases.length} of ${data.total} probes are kept here, whole queries drawn evenly over scenarios and pairs. Tables and plots count all.`;
}
const linked = readHash();
if (!linked) readForm();
update(false);
if (linked) byId("examples").scrollIntoView();
root.dataset.ready = "true";
performance.mark("ready");
