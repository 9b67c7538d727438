// One case: what is right, what the models did, and the tools they were shown.
const tag = (text, key) => el("span", { class: key ? "tag key" : "tag" }, text);
const badge = (text, kind) => el("span", { class: `badge ${kind || ""}` }, text);
const code = (text) => el("code", {}, text);
const kindOf = (number) => (number === RIGHT ? "good" : data.classes[number].endsWith("_argument") ? "part" : "bad");
const badges = (judged) => judged[0].map((n) => badge(classLabel(n), kindOf(n)));

const colour = new Map();
for (const tile of document.querySelectorAll(".tile")) {
  colour.set(tile.querySelector(".tile-name").textContent, [...tile.classList].find((c) => /^c\d$/.test(c)));
}

// ---------------------------------------------------------------- calls
// `faults`: arguments [missing, superfluous, wrong]; `other`: the call to compare with.
function callArguments(args, faults, other) {
  const [missing, extra, wrong] = faults || [[], [], []];
  const theirs = new Map(other || []);
  const own = new Set(args.map(([name]) => name));
  const rows = args.map(([name, value]) => {
    const differs = other && theirs.get(name) !== value;
    const mark = extra.includes(name) ? "does not belong here" : wrong.includes(name) ? "wrong" : null;
    return el("li", { class: differs ? "differs" : null }, code(name), ": ", el("code", { class: "given" }, value), mark ? badge(mark, "bad") : null);
  });
  for (const name of missing) rows.push(el("li", { class: theirs.has(name) ? "differs" : null }, code(name), badge("missing", "bad")));
  for (const name of theirs.keys()) {
    if (!own.has(name) && !missing.includes(name)) rows.push(el("li", { class: "differs" }, code(name), el("span", { class: "muted" }, " not given")));
  }
  return rows.length ? el("ul", { class: "arguments" }, rows) : null;
}

function rawText(label, found, open) {
  return el("details", { open: open }, el("summary", {}, label, found.cut ? ` (first ${found.x.length} of ${found.cut} characters)` : ""),
    el("pre", {}, found.x || "(empty)"));
}

// `other`: the answer of the model that this one is compared with.
function answered(label, found, judged, right, other, open) {
  const choice = chosen(found);
  const differs = other && chosen(other) !== choice;
  const said = found.o === "malformed" ? "nothing that can be read" : found.o === "answer" ? `text without a call = ${FALLBACK}` : choice;
  const same = other && !differs;
  return [
    el("h5", {}, label),
    el("div", { class: "choice" }, badges(judged), el("code", { class: differs ? "differs" : null }, said),
      choice !== right ? el("span", { class: "muted small" }, "right: ", code(right)) : null),
    found.e ? el("p", { class: "fault" }, `Could not be read: ${found.e}`) : null,
    found.c || judged[1] ? callArguments(found.c ? found.c[1] : [], judged[1], same ? (other.c ? other.c[1] : []) : null) : null,
    found.c && !found.c[1].length && choice !== FALLBACK ? el("p", { class: "muted small" }, "without arguments") : null,
    rawText("Raw text", found, open),
  ].filter(Boolean);
}

// ---------------------------------------------------------------- models
function metricBadge(name, value) {
  const label = labels.metric.get(name) || name;
  if (name === "malformed") return value ? badge("malformed", "bad") : null;
  if (value === 1) return badge(`✓ ${label}`, "good");
  if (value === 0) return badge(`✗ ${label}`, "bad");
  return badge(`${label} ${Number(value).toFixed(2)}`);
}

// `role`: A or B where two models are compared, `against` the other one.
function modelCard(model, index, role, against) {
  const c = data.cases[index];
  const card = el("section", { class: `card model ${colour.get(model) || "c0"}`, "aria-label": role ? `${role}: ${model}` : model });
  card.append(el("header", {}, el("strong", {}, role ? el("span", { class: "role" }, role) : null, model),
    seeds.length > 1 ? el("span", { class: "muted small" }, `seed ${seedOf(model)}`) : null));
  const r = result(model, index);
  const before = called(model, c.q, c.b), after = called(model, c.q, c.a), ranking = ranked(model, c.q, c.a);
  if (!r || !before || !after) {
    card.append(el("p", { class: "muted" }, "Not asked."));
    return card;
  }
  const theirs = (set) => (against && result(against, index) ? called(against, c.q, set) : null);
  card.append(...answered("Before", before, r[0], c.gb[0], theirs(c.b), false));
  card.append(...answered("After the arrival", after, r[1], c.ga[0], theirs(c.a), after.o !== "call"));
  if (ranking) {
    card.append(el("h5", {}, "Ranking after the arrival"));
    if (ranking.r) card.append(el("ol", { class: "rank" }, ranking.r.map((name) => el("li", {}, code(name), c.ga[0] === name ? tag("best", true) : null))));
    else card.append(el("p", { class: "fault" }, `Could not be read: ${ranking.e || "no ranking"}`));
    if (ranking !== after) card.append(rawText("Raw text", ranking, false));
  }
  card.append(el("h5", {}, "Metrics"), el("div", { class: "badges" }, r[2].map((v, i) => (v === null ? null : metricBadge(data.metrics[i], v)))));
  return card;
}

function modelCards(index) {
  if (!state.a || !state.b) {
    return el("div", { class: `columns of-${data.models.length}` }, data.models.map((m) => modelCard(m, index)));
  }
  const others = data.models.filter((m) => m !== state.a && m !== state.b);
  return [
    el("p", { class: "muted small" }, "Where A and B called differently, it is ", el("span", { class: "differs" }, "marked"), "."),
    el("div", { class: "columns compared" }, modelCard(state.a, index, "A", state.b), modelCard(state.b, index, "B", state.a)),
    others.length ? el("details", { class: "others" }, el("summary", {}, `The other ${others.length === 1 ? "model" : "models"}: ${others.join(", ")}`),
      el("div", { class: "columns" }, others.map((m) => modelCard(m, index)))) : null,
  ];
}

// ---------------------------------------------------------------- what is right, and the tools
function gold(c, query) {
  const rows = [];
  const say = (label, ...content) => rows.push(el("dt", {}, label), el("dd", {}, content));
  const ranking = (names) => el("span", { class: "muted" }, names.length > 1 ? `  ranking: ${names.join(" > ")}` : "");
  say("Before", code(c.gb[0]), ranking(c.gb));
  say("After", code(c.ga[0]), ranking(c.ga));
  say("Grades", query.grades.map(([name, grade], n) => [n ? ", " : "", code(name), ` ${grade}`]));
  say("Best of the pair", query.best ? code(query.best) : "neither");
  if (query.reason) say("Why", query.reason);
  for (const [name, args] of query.calls.filter((k) => c.ga.includes(k[0]))) say(["Call of ", code(name)], callArguments(args) || "without arguments");
  for (const [name, values] of query.alternatives.filter((a) => c.ga.includes(a[0]))) {
    say("As right", el("details", {}, el("summary", {}, "other values for ", code(name)), el("pre", {}, values)));
  }
  return el("dl", { class: "card gold" }, rows);
}

function parameters(schemaText) {
  let schema;
  try { schema = JSON.parse(schemaText); } catch { return el("pre", {}, schemaText); }
  const entries = Object.entries(schema.properties || {});
  if (!entries.length) return el("p", { class: "muted" }, "No parameters.");
  const required = Array.isArray(schema.required) ? schema.required : [];
  return [
    el("ul", {}, entries.map(([name, p]) => {
      const type = p && p.type ? [p.type].flat().join(" | ") : "any";
      const choices = p && Array.isArray(p.enum) ? `: ${p.enum.map(String).join(", ")}` : "";
      return el("li", {}, code(name), el("span", { class: "muted" }, ` ${type}${choices}${required.includes(name) ? ", required" : ""}`),
        p && p.description ? ` – ${p.description}` : null);
    })),
    el("details", {}, el("summary", {}, "JSON schema"), el("pre", {}, schemaText)),
  ];
}

function toolList(c, which) {
  const set = data.sets[which === "before" ? c.b : c.a];
  const right = which === "before" ? c.gb : c.ga;
  const other = new Set(data.sets[which === "before" ? c.a : c.b].tools);
  return el("ol", { class: "tools" }, set.tools.map((id, n) => {
    const [name, description, schema, domain] = data.tools[id];
    const tags = [];
    if (name === right[0]) tags.push(tag("right choice", true));
    else if (right.includes(name) && name !== FALLBACK) tags.push(tag("useful"));
    else if (set.pair.includes(name)) tags.push(tag("not useful"));
    if (!other.has(id)) tags.push(tag(which === "after" ? "arrives" : "makes room"));
    if (domain && name !== FALLBACK) tags.push(el("span", { class: "index" }, ` ${domain}`));
    return el("li", {}, el("details", {},
      el("summary", {}, el("span", { class: "index" }, `${n + 1}. `), code(name), tags, el("span", { class: "about" }, description)),
      el("div", { class: "body" }, el("div", {}, description), parameters(schema))));
  }));
}

// The nodes of a case; `go(step)` turns to another one.
function caseNodes(at, go) {
  const index = shown[at], c = data.cases[index], query = data.queries[c.q];
  return [
    el("div", { class: "case-nav" },
      el("span", {}, `Example ${at + 1} of ${shown.length}`),
      el("span", {}, el("button", { type: "button", class: "back", disabled: at === 0, title: "Previous (key k)", on: () => go(-1) }, "← Previous"),
        el("button", { type: "button", class: "on", disabled: at === shown.length - 1, title: "Next (key j)", on: () => go(1) }, "Next →"))),
    el("h3", { class: "query" }, query.text),
    el("div", { class: "badges" }, badge(scenarioOf(c)), badge(transitionOf(c)),
      c.stay ? badge("must stay with its choice") : badge("must change its choice"), query.now ? badge(`now: ${query.now}`) : null),
    el("h4", {}, "What is right"), gold(c, query),
    el("h4", {}, "What the models did"), modelCards(index),
    el("h4", {}, "Tools, in the order shown"),
    el("div", { class: "columns" },
      el("div", { class: "card" }, el("h5", {}, "Before"), toolList(c, "before")),
      el("div", { class: "card" }, el("h5", {}, "After"), toolList(c, "after"))),
  ].flat();
}
