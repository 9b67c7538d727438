// Which cases are shown, and how many each choice of a filter would show.
let shown = [];

const haystacks = [];
function haystack(index) {
  if (haystacks[index] === undefined) {
    const c = data.cases[index];
    const tools = data.sets[c.a].tools.map((id) => data.tools[id][0]);
    haystacks[index] = [data.queries[c.q].text, ...tools].join("\n").toLowerCase();
  }
  return haystacks[index];
}

// Under which choices of a class filter an answer is: any, wrong in any way, and each of its classes.
function classChoices(judged) {
  const names = judged[0].map((n) => data.classes[n]);
  return mainClass(judged) === RIGHT ? ["", ...names] : ["", "wrong", ...names];
}
const under = (judged, wanted) => !wanted || classChoices(judged).includes(wanted);

// Under which choices of the comparison of A and B a case is; null if none are compared.
function comparison(index) {
  if (!state.a || !state.b) return null;
  const a = result(state.a, index), b = result(state.b, index), c = data.cases[index];
  if (!a || !b) return [];
  const found = [""], right = [isRight(a), isRight(b)];
  if (right[0] && !right[1]) found.push("a_right");
  if (right[1] && !right[0]) found.push("b_right");
  if (!right[0] && !right[1]) found.push("both_wrong");
  if (signature(called(state.a, c.q, c.a)) !== signature(called(state.b, c.q, c.a))) found.push("differ");
  return found;
}

function filter() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const models = state.model ? data.models.filter((m) => m === state.model) : data.models;
  const counts = { scenario: new Map(), transition: new Map(), model: new Map(), class: new Map(), before: new Map(), ab: new Map() };
  const count = (name, values) => {
    for (const value of new Set(values)) counts[name].set(value, (counts[name].get(value) || 0) + 1);
  };
  shown = [];
  data.cases.forEach((c, index) => {
    const scenario = data.scenarios[c.s], transition = data.transitions[c.t];
    const results = models.map((m) => result(m, index)).filter(Boolean);
    const compared = comparison(index);
    const failed = [];
    if (state.scenario && scenario !== state.scenario) failed.push("scenario");
    if (state.transition && transition !== state.transition) failed.push("transition");
    // Both classes are asked of the same model.
    if (!results.some((r) => under(r[0], state.before) && under(r[1], state.class))) failed.push("answers");
    if (compared && !compared.includes(state.ab)) failed.push("compared");
    if (failed.length > 1 || !words.every((w) => w === c.id || haystack(index).includes(w))) return;
    if (!failed.length) shown.push(index);
    // A choice counts the cases that pass all the other filters.
    const open = (name) => !failed.length || failed[0] === name;
    if (open("scenario")) count("scenario", ["", scenario]);
    if (open("transition")) count("transition", ["", transition]);
    if (open("compared") && compared) count("ab", compared);
    if (!open("answers")) return;
    const fitting = data.models.filter((m) => {
      const r = result(m, index);
      return r && under(r[0], state.before) && under(r[1], state.class);
    });
    if (fitting.length) count("model", ["", ...fitting]);
    count("class", results.filter((r) => under(r[0], state.before)).flatMap((r) => classChoices(r[1])));
    count("before", results.filter((r) => under(r[1], state.class)).flatMap((r) => classChoices(r[0])));
  });
  showCounts(counts);
}

function showCounts(counts) {
  for (const [name, found] of Object.entries(counts)) {
    const known = name !== "ab" || (state.a && state.b);
    for (const option of form.elements[name].options) {
      const label = labels[name].get(option.value);
      option.textContent = known ? `${label} (${found.get(option.value) || 0})` : label;
    }
  }
}

// ---------------------------------------------------------------- state in the form and in the address
function readForm() {
  for (const key of fields) state[key] = form.elements[key].value;
  checkCompared();
}

// A comparison needs two models.
function checkCompared() {
  if (state.a && state.a === state.b) state.b = form.elements.b.value = "";
  const both = Boolean(state.a && state.b);
  if (!both) state.ab = form.elements.ab.value = "";
  form.elements.ab.disabled = !both;
  for (const option of form.elements.b.options) option.disabled = Boolean(option.value) && option.value === state.a;
}

function readHash() {
  const text = location.hash.slice(1);
  if (!text.includes("=")) return false;
  const given = new URLSearchParams(text);
  for (const key of fields) state[key] = given.get(key) || "";
  state.case = given.get("case") || "";
  if (!seeds.includes(state.seed)) state.seed = seeds[0] || "";
  for (const key of fields) {
    form.elements[key].value = state[key];
    state[key] = form.elements[key].value; // a value that the list does not have counts as none
    if (!state[key] && key !== "seed") form.elements[key].value = "";
  }
  checkCompared();
  return true;
}

function writeHash() {
  const parts = new URLSearchParams();
  for (const key of [...fields, "case"]) {
    if (state[key] && !(key === "seed" && state.seed === seeds[0])) parts.set(key, state[key]);
  }
  try { history.replaceState(null, "", `#${parts}`); } catch { /* the address stays as it is */ }
}
