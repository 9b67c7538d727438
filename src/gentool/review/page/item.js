// One item on the screen.
import { getExchange } from "./api.js";
import { addMoreButtons, badge, clamped, code, el } from "./page.js";
import { toolCards } from "./tools.js";

const KINDS = { accepted: "good", disagreed: "part", rejected: "bad", accept: "good", edit: "accent", reject: "bad", full: "good", partial: "part", none: "" };
const MADE = { accept: "accepted", edit: "edited", reject: "rejected", undo: "took it back" };

function weekday(now) {
  const date = new Date(now);
  return Number.isNaN(date.getTime()) ? "" : ` (${date.toLocaleDateString("en", { weekday: "long" })})`;
}

function head(view) {
  const how = view.derivation ? view.derivation.how.replaceAll("_", " ") : "";
  return el("div", { class: "badges" },
    badge(view.status, KINDS[view.status], "What checks and the judge made of it"),
    view.sample ? badge("in the random sample") : null, badge(view.domain), how ? badge(how) : null,
    view.decision ? badge(`you ${MADE[view.decision.decision]} it${view.decision.reason ? `: ${view.decision.reason}` : ""}`, KINDS[view.decision.decision]) : null,
    view.others.map((d) => badge(`${d.reviewer} ${MADE[d.decision]} it${d.reason ? `: ${d.reason}` : ""}`, KINDS[d.decision])),
    view.outcome ? el("span", { class: "muted outcome" }, view.outcome) : null);
}

function query(view) {
  return el("h1", { class: "query" }, view.query.map(([text, keys]) => (keys.length ? el("mark", { "data-keys": JSON.stringify(keys), title: keys.join(", ") }, text) : text)));
}

function findings(view) {
  if (!view.findings.length) return null;
  return el("ul", { class: "findings", "aria-label": "What checks object to" },
    view.findings.map((f) => el("li", {}, el("strong", {}, f.check.replaceAll("_", " ")), " ", el("code", { class: "muted" }, f.where), " ", f.reason)));
}

// ---------------------------------------------------------------- grades
function gradeCell(grade, best, differs) {
  return el("td", { class: differs ? "differs-cell" : null }, grade ? badge(grade, KINDS[grade]) : "–", best ? el("span", { class: "best", title: "the best of the two" }, " ★") : null);
}

const reason = (label, text, title) => (text ? el("div", {}, el("dt", { title }, label), el("dd", {}, clamped(3, text))) : null);

function grades(view) {
  const { intended, judgements, standing } = view.grades;
  const names = view.tools.map((tool) => tool.name);
  return el("div", { class: "card grades" },
    el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Grades"), el("th", { scope: "col" }, "meant"),
        judgements.map((j, i) => el("th", { scope: "col", title: `it saw ${j.shown[0]} first` }, `judge ${i + 1}`)),
        el("th", { scope: "col" }, view.edited ? "as you edited" : "as it stands"))),
      el("tbody", {}, names.map((name, n) => el("tr", {}, el("th", { scope: "row" }, code(name)),
        el("td", {}, intended === name ? el("span", { class: "best" }, "★ best") : ""),
        judgements.map((j) => gradeCell(j.grades[n], j.best === name, judgements.some((other) => other.grades[n] !== j.grades[n]))),
        standing ? gradeCell(standing.grades[n], standing.best === name, false) : el("td", { class: "muted", title: "it cannot be trained on as it is" }, "–")))))),
    el("dl", { class: "reasons" },
      reason("Meant", view.draft.reason),
      judgements.map((j, i) => reason(`Judge ${i + 1}`, j.reason, `it saw ${j.shown[0]} first`))));
}

// ---------------------------------------------------------------- how it was made
function loadExchange(details, item, call) {
  details.addEventListener("toggle", async () => {
    if (!details.open || details.dataset.loaded) return;
    details.dataset.loaded = "yes";
    const parts = [];
    try {
      const found = await getExchange(item, call);
      for (const message of found.messages) parts.push(el("h5", {}, message.role), el("pre", {}, message.content));
      if (found.answer) parts.push(el("h5", {}, "answer"), el("pre", {}, found.answer));
      if (found.note) parts.push(el("p", { class: "muted" }, found.note));
    } catch (error) {
      parts.push(el("p", { class: "fault" }, error.message));
      delete details.dataset.loaded;
    }
    details.replaceChildren(details.querySelector("summary"), ...parts);
  });
  return details;
}

function provenance(view) {
  if (!view.provenance.length) return null;
  return el("details", { class: "fold-part" }, el("summary", {}, `How it was made: prompts and answers (${view.provenance.length})`),
    view.provenance.map((p) => {
      const tokens = Object.entries(p.usage).map(([name, n]) => `${name.replaceAll("_", " ")} ${n}`).join(", ");
      const facts = [p.model, p.attempt > 1 ? `attempt ${p.attempt}` : "", tokens, Object.entries(p.parameters).map(([k, v]) => `${k} ${JSON.stringify(v)}`).join(", "), p.prompt ? `prompt ${p.prompt}` : ""];
      const summary = el("summary", {}, el("strong", {}, p.stage.replaceAll("_", " ")), el("span", { class: "muted" }, ` ${facts.filter(Boolean).join(" · ")}`));
      return p.call ? loadExchange(el("details", {}, summary), view.id, p.call) : el("p", { class: "no-call" }, summary.childNodes[0], summary.childNodes[1] || "");
    }));
}

function history(view) {
  if (view.history.length < 2) return null;
  return el("details", { class: "fold-part" }, el("summary", {}, `Your decisions on it (${view.history.length})`),
    el("ol", {}, view.history.map((d) => el("li", {}, `${d.at.slice(0, 19).replace("T", " ")} UTC: ${MADE[d.decision]}${d.reason ? `: ${d.reason}` : ""}`))));
}

// Where the mouse is on an argument, its words in the query light up.
function lightUp(within) {
  const show = (key) => {
    for (const mark of within.querySelectorAll("mark[data-keys]")) mark.classList.toggle("lit", key !== null && JSON.parse(mark.dataset.keys).includes(key));
  };
  for (const row of within.querySelectorAll("tr[data-key]")) {
    row.addEventListener("mouseenter", () => show(row.dataset.key));
    row.addEventListener("mouseleave", () => show(null));
  }
}

export function showItem(target, view) {
  target.replaceChildren(...[
    head(view),
    query(view),
    view.now ? el("p", { class: "now" }, "now: ", el("time", { datetime: view.now }, view.now), weekday(view.now)) : null,
    view.edited && view.draft.query !== view.query.map(([text]) => text).join("") ? el("p", { class: "muted" }, `Before your edit: ${view.draft.query}`) : null,
    findings(view),
    grades(view),
    el("p", { class: "muted key-line" }, "Marked ", el("span", { class: "differs" }, "so"), ": the other tool does not have it. Underlined in the query: values of the calls."),
    toolCards(view),
    history(view),
    provenance(view),
  ].filter(Boolean));
  addMoreButtons(target);
  lightUp(target);
}
