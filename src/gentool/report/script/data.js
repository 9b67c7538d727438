// What the page holds of the run: cases (probes), and what each model and seed answered.
const data = JSON.parse(byId("data").textContent);
const FALLBACK = "generate_response";
const RIGHT = data.classes.indexOf("right");
const form = byId("filters");
const state = { scenario: "", transition: "", model: "", class: "", before: "", a: "", b: "", ab: "", seed: "", q: "", case: "", page: 0 };
const fields = Object.keys(state).filter((key) => key !== "case" && key !== "page");
const caseIndex = new Map(data.cases.map((c, i) => [c.id, i]));
const seeds = [...new Set(data.models.flatMap((m) => Object.keys(data.results[m])))].sort((a, b) => a - b);

// The words of the choices, as the page has them.
const labels = {};
for (const select of [...form.querySelectorAll("select"), byId("metric")]) {
  labels[select.name || select.id] = new Map([...select.options].map((o) => [o.value, o.textContent]));
}
const scenarioOf = (c) => labels.scenario.get(data.scenarios[c.s]);
const transitionOf = (c) => labels.transition.get(data.transitions[c.t]);
const classLabel = (number) => labels.class.get(data.classes[number]);

// The base model is not trained, so it has one seed: it stands beside every seed of the others.
function seedOf(model) {
  const own = Object.keys(data.results[model]);
  return own.includes(state.seed) ? state.seed : own[0];
}

// [answer before, answer after, metrics]; of an answer [its classes, arguments at fault]. Null if not asked.
const result = (model, index) => data.results[model][seedOf(model)][index];
const mainClass = (judged) => judged[0][0];
const isRight = (found) => mainClass(found[1]) === RIGHT;

const answer = (model, task, query, set) => data.answers[model][seedOf(model)][`${task}|${query}|${set}`];
const called = (model, query, set) => answer(model, "select", query, set) || answer(model, "joint", query, set);
const ranked = (model, query, set) => answer(model, "rank", query, set) || answer(model, "joint", query, set);

// The tool that an answer chose; null if it is malformed.
const chosen = (found) => (found.o === "malformed" ? null : found.c ? found.c[0] : FALLBACK);

// Tool and arguments as one text: answers that call alike have the same.
const signatures = new WeakMap();
function signature(found) {
  if (!signatures.has(found)) {
    const values = found.c ? found.c[1].map((pair) => JSON.stringify(pair)).sort() : [];
    signatures.set(found, JSON.stringify([chosen(found), values]));
  }
  return signatures.get(found);
}
