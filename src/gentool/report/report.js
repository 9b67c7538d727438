"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // ---------------------------------------------------------------- theme
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const themes = ["auto", "light", "dark"];
  const remembered = () => {
    try { return localStorage.getItem("gentool-theme"); } catch { return null; }
  };
  let theme = themes.includes(remembered()) ? remembered() : "auto";
  function showTheme() {
    const dark = theme === "dark" || (theme === "auto" && system.matches);
    root.dataset.theme = dark ? "dark" : "light";
    byId("theme").textContent = `Theme: ${theme}`;
  }
  byId("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("gentool-theme", theme); } catch { /* not kept */ }
    showTheme();
  });
  system.addEventListener("change", showTheme);
  showTheme();

  // ---------------------------------------------------------------- table
  byId("metric").addEventListener("change", (event) => {
    for (const table of document.querySelectorAll(".metric-table")) {
      table.hidden = table.dataset.metric !== event.target.value;
    }
  });

  // ---------------------------------------------------------------- explorer
  // Text from models and data goes into the page as text nodes only, never as HTML.
  const data = JSON.parse(byId("data").textContent);
  const PAGE = 25;
  const FALLBACK = "generate_response";
  const names = { scenario: {}, transition: {}, metric: {} };
  for (const [kind, select] of [["scenario", "#filters [name=scenario]"], ["transition", "#filters [name=transition]"], ["metric", "#metric"]]) {
    for (const option of document.querySelectorAll(`${select} option`)) names[kind][option.value] = option.textContent;
  }
  const colour = new Map();
  for (const tile of document.querySelectorAll(".tile")) {
    colour.set(tile.querySelector(".tile-name").textContent, [...tile.classList].find((c) => /^c\d$/.test(c)));
  }

  function el(tag, options, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(options || {})) {
      if (key === "on") node.addEventListener("click", value);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
    }
    node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
    return node;
  }
  const tag = (text, key) => el("span", { class: key ? "tag key" : "tag" }, text);
  const badge = (text, kind) => el("span", { class: `badge ${kind || ""}` }, text);
  const code = (text) => el("code", {}, text);

  const form = byId("filters");
  const fields = ["scenario", "transition", "model", "outcome", "seed", "q"];
  const state = { scenario: "", transition: "", model: "", outcome: "", seed: "", q: "", case: "", page: 0 };
  const caseIndex = new Map(data.cases.map((c, i) => [c.id, i]));
  const seeds = [...new Set(data.models.flatMap((m) => Object.keys(data.results[m])))].sort((a, b) => a - b);
  let shown = [];

  for (const seed of seeds) form.elements.seed.append(el("option", { value: seed }, seed));
  byId("seed-label").hidden = seeds.length < 2;
  if (data.cases.length < data.total) {
    byId("limited").hidden = false;
    byId("limited").textContent = `The run is large: ${data.cases.length} of ${data.total} probes are kept here, whole queries drawn evenly over scenarios and pairs. Tables and plots count all.`;
  }

  // The base model is not trained, so it has one seed: it stands beside every seed of the others.
  const seedOf = (model) => {
    const own = Object.keys(data.results[model]);
    return own.includes(state.seed) ? state.seed : own[0];
  };
  const result = (model, index) => data.results[model][seedOf(model)][index];
  const answer = (model, task, query, set) => data.answers[model][seedOf(model)][`${task}|${query}|${set}`];
  const called = (model, query, set) => answer(model, "select", query, set) || answer(model, "joint", query, set);
  const ranked = (model, query, set) => answer(model, "rank", query, set) || answer(model, "joint", query, set);
  const chosen = (found) => (found.o === "malformed" ? null : found.c ? found.c[0] : FALLBACK);

  const haystacks = [];
  function haystack(index) {
    if (haystacks[index] === undefined) {
      const c = data.cases[index];
      const tools = data.sets[c.a].tools.map((id) => data.tools[id][0]);
      haystacks[index] = [data.queries[c.q].text, c.id, ...tools].join("\n").toLowerCase();
    }
    return haystacks[index];
  }

  function fits(c, index, words) {
    if (state.scenario && data.scenarios[c.s] !== state.scenario) return false;
    if (state.transition && data.transitions[c.t] !== state.transition) return false;
    if (state.outcome || state.model) {
      const results = (state.model && state.outcome !== "disagree" ? [state.model] : data.models)
        .map((m) => (data.results[m] ? result(m, index) : null)).filter(Boolean);
      if (!results.length) return false;
      if (state.outcome === "disagree") {
        const right = results.filter((r) => r[0] === 0).length;
        if (right === 0 || right === results.length) return false;
      } else if (state.outcome && !results.some((r) => data.classes[r[0]] === state.outcome)) return false;
    }
    return words.every((w) => haystack(index).includes(w));
  }

  function filter() {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    shown = [];
    data.cases.forEach((c, i) => { if (fits(c, i, words)) shown.push(i); });
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
    }
    return true;
  }

  function writeHash() {
    const parts = new URLSearchParams();
    for (const key of [...fields, "case"]) {
      if (state[key] && !(key === "seed" && state.seed === seeds[0])) parts.set(key, state[key]);
    }
    try { history.replaceState(null, "", `#${parts}`); } catch { /* the address stays as it is */ }
  }

  // ---------------------------------------------------------------- list
  function showList() {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    const first = state.page * PAGE;
    byId("cases").replaceChildren(...shown.slice(first, first + PAGE).map((index) => {
      const c = data.cases[index];
      const marks = data.models.map((m) => {
        const r = result(m, index);
        const right = r && r[0] === 0;
        return r && el("span", { class: right ? "yes" : "no", title: `${m}: ${data.classes[r[0]]}` }, `${right ? "✓" : "✗"} ${m}`);
      });
      return el("li", {}, el("a", { href: `#case=${c.id}`, "aria-current": c.id === state.case ? "true" : null, "data-case": c.id },
        el("span", { class: "text" }, data.queries[c.q].text),
        el("span", { class: "where" }, `${names.scenario[data.scenarios[c.s]]} · ${names.transition[data.transitions[c.t]]}`),
        el("span", { class: "marks" }, marks)));
    }));
    byId("count").textContent = shown.length === data.cases.length ? `${shown.length} examples` : `${shown.length} of ${data.cases.length} examples`;
    byId("page").textContent = `${state.page + 1} of ${pages}`;
    byId("page-back").disabled = state.page === 0;
    byId("page-on").disabled = state.page >= pages - 1;
  }

  // ---------------------------------------------------------------- one case
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
    const gold = which === "before" ? c.gb : c.ga;
    const other = new Set(data.sets[which === "before" ? c.a : c.b].tools);
    return el("ol", { class: "tools" }, set.tools.map((id, n) => {
      const [name, description, schema, domain] = data.tools[id];
      const tags = [];
      if (name === gold[0]) tags.push(tag("right choice", true));
      else if (gold.includes(name) && name !== FALLBACK) tags.push(tag("useful"));
      else if (set.pair.includes(name)) tags.push(tag("not useful"));
      if (!other.has(id)) tags.push(tag(which === "after" ? "arrives" : "makes room"));
      if (domain && name !== FALLBACK) tags.push(el("span", { class: "index" }, ` ${domain}`));
      return el("li", {}, el("details", {},
        el("summary", {}, el("span", { class: "index" }, `${n + 1}. `), code(name), tags, el("span", { class: "about" }, description)),
        el("div", { class: "body" }, el("div", {}, description), parameters(schema))));
    }));
  }


  function gold(c, query) {
    const rows = [];
    const say = (label, ...content) => rows.push(el("dt", {}, label), el("dd", {}, content));
    say("Before", code(c.gb[0]), el("span", { class: "muted" }, c.gb.length > 1 ? `  ranking: ${c.gb.join(" > ")}` : ""));
    say("After", code(c.ga[0]), el("span", { class: "muted" }, c.ga.length > 1 ? `  ranking: ${c.ga.join(" > ")}` : ""));
    say("Grades", query.grades.map(([name, grade], n) => [n ? ", " : "", code(name), ` ${grade}`]));
    say("Best of the pair", query.best ? code(query.best) : "neither");
    if (query.reason) say("Why", query.reason);
    for (const call of query.calls.filter((k) => c.ga.includes(k[0]))) say(["Call of ", code(call[0])], call[1] ? el("pre", {}, call[1]) : "without arguments");
    for (const [name, values] of query.alternatives.filter((a) => c.ga.includes(a[0]))) {
      say("As right", el("details", {}, el("summary", {}, "other values for ", code(name)), el("pre", {}, values)));
    }
    return el("dl", { class: "card gold" }, rows);
  }

  function rawText(label, found, open) {
    return el("details", { open: open }, el("summary", {}, label, found.cut ? ` (first ${found.x.length} of ${found.cut} characters)` : ""),
      el("pre", {}, found.x || "(empty)"));
  }

  function answered(label, found, right) {
    const choice = chosen(found);
    const said = found.o === "malformed" ? "malformed" : found.o === "answer" ? `text without a call = ${FALLBACK}` : choice;
    return [
      el("h5", {}, label),
      el("div", { class: "choice" }, badge(choice === right ? "✓ right" : "✗ wrong", choice === right ? "good" : "bad"), code(said),
        choice !== right ? el("span", { class: "muted small" }, "right: ", code(right)) : null),
      found.e ? el("p", { class: "fault" }, `Could not be read: ${found.e}`) : null,
      found.c && found.c[1] ? el("pre", {}, found.c[1]) : null,
      found.c && !found.c[1] && choice !== FALLBACK ? el("p", { class: "muted small" }, "without arguments") : null,
    ];
  }

  function metricBadge(name, value) {
    const label = names.metric[name] || name;
    if (name === "malformed") return value ? badge("malformed", "bad") : null;
    if (value === 1) return badge(`✓ ${label}`, "good");
    if (value === 0) return badge(`✗ ${label}`, "bad");
    return badge(`${label} ${Number(value).toFixed(2)}`);
  }

  function modelCard(model, index) {
    const c = data.cases[index];
    const card = el("section", { class: `card model ${colour.get(model) || "c0"}`, "aria-label": model });
    const head = el("header", {}, el("strong", {}, model));
    card.append(head);
    if (seeds.length > 1) head.append(el("span", { class: "muted small" }, `seed ${seedOf(model)}`));
    const r = result(model, index);
    const before = called(model, c.q, c.b), after = called(model, c.q, c.a), ranking = ranked(model, c.q, c.a);
    if (!r || !before || !after) {
      card.append(el("p", { class: "muted" }, "Not asked."));
      return card;
    }
    head.append(badge(data.classes[r[0]], r[0] === 0 ? "good" : "bad"));
    card.append(el("div", { class: "badges" }, r[1].map((v, i) => (v === null ? null : metricBadge(data.metrics[i], v)))));
    card.append(...answered("Before", before, c.gb[0]).filter(Boolean), rawText("Raw text", before, false));
    card.append(...answered("After the arrival", after, c.ga[0]).filter(Boolean));
    if (r[2]) {
      ["missing", "superfluous", "wrong"].forEach((kind, i) => {
        if (r[2][i].length) card.append(el("p", { class: "fault" }, `Arguments ${kind}: `, code(r[2][i].join(", "))));
      });
    }
    card.append(rawText("Raw text", after, after.o !== "call"));
    if (ranking) {
      card.append(el("h5", {}, "Ranking after the arrival"));
      if (ranking.r) card.append(el("ol", { class: "rank" }, ranking.r.map((name) => el("li", {}, code(name), c.ga[0] === name ? tag("best", true) : null))));
      else card.append(el("p", { class: "fault" }, `Could not be read: ${ranking.e || "no ranking"}`));
      if (ranking !== after) card.append(rawText("Raw text", ranking, false));
    }
    return card;
  }

  function showCase() {
    const at = shown.findIndex((i) => data.cases[i].id === state.case);
    const target = byId("case");
    if (at < 0) {
      const why = data.cases.length ? "No example fits these filters." : "No predictions were found, so there are no examples.";
      target.replaceChildren(el("p", { class: "card" }, why));
      return;
    }
    const index = shown[at], c = data.cases[index], query = data.queries[c.q];
    const go = (step) => () => {
      choose(data.cases[shown[at + step]].id);
      const again = target.querySelector(step < 0 ? ".back" : ".on");
      (again.disabled ? target : again).focus({ preventScroll: true });
    };
    target.replaceChildren(
      el("div", { class: "case-nav" },
        el("span", {}, `Example ${at + 1} of ${shown.length}`),
        el("span", {}, el("button", { type: "button", class: "back", disabled: at === 0, title: "Previous (key k)", on: go(-1) }, "← Previous"),
          el("button", { type: "button", class: "on", disabled: at === shown.length - 1, title: "Next (key j)", on: go(1) }, "Next →"))),
      el("h3", { class: "query" }, query.text),
      el("div", { class: "badges" }, badge(names.scenario[data.scenarios[c.s]]), badge(names.transition[data.transitions[c.t]]),
        c.stay ? badge("must stay with its choice") : badge("must change its choice"), query.now ? badge(`now: ${query.now}`) : null),
      el("h4", {}, "What is right"), gold(c, query),
      el("h4", {}, "What the models did"), el("div", { class: `columns of-${data.models.length}` }, data.models.map((m) => modelCard(m, index))),
      el("h4", {}, "Tools, in the order shown"),
      el("div", { class: "columns" },
        el("div", { class: "card" }, el("h5", {}, "Before"), toolList(c, "before")),
        el("div", { class: "card" }, el("h5", {}, "After"), toolList(c, "after"))));
    target.dataset.case = c.id;
  }

  // ---------------------------------------------------------------- events
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
  function turnToCase() {
    const at = shown.indexOf(caseIndex.get(state.case));
    if (at >= 0) state.page = Math.floor(at / PAGE);
  }
  function choose(id) {
    state.case = id;
    turnToCase();
    showList();
    showCase();
    writeHash();
    const current = byId("cases").querySelector("[aria-current]");
    if (current) {
      const list = byId("cases"), a = current.getBoundingClientRect(), b = list.getBoundingClientRect();
      if (a.top < b.top || a.bottom > b.bottom) list.scrollTop += a.top - b.top - b.height / 3;
    }
    if (byId("case").getBoundingClientRect().top < 0) byId("case").scrollIntoView();
  }
  function readForm() {
    for (const key of fields) state[key] = form.elements[key].value;
    state.page = 0;
    update(true);
  }
  let timer;
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(readForm, 120); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(readForm));
  byId("cases").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(link.dataset.case);
    if (matchMedia("(max-width: 860px)").matches) byId("case").scrollIntoView();
    byId("cases").querySelector("[aria-current]")?.focus({ preventScroll: true });
  });
  byId("page-back").addEventListener("click", () => { state.page -= 1; showList(); byId("cases").scrollTop = 0; });
  byId("page-on").addEventListener("click", () => { state.page += 1; showList(); byId("cases").scrollTop = 0; });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const button = { j: ".on", k: ".back" }[event.key];
    if (button) byId("case").querySelector(`.case-nav ${button}`)?.click();
  });
  window.addEventListener("hashchange", () => { if (readHash()) update(false); });

  const linked = readHash();
  if (!state.seed) state.seed = form.elements.seed.value;
  update(false);
  if (linked) byId("examples").scrollIntoView();
  root.dataset.ready = "true";
})();
