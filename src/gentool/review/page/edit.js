// The form for editing. What is wrong with it is found by the server, and shown at the field.
import { byId, code, el } from "./page.js";

const GRADES = ["full", "partial", "none"];
const form = byId("edit-form");
const dialog = byId("edit-dialog");
let names = [];
let save = null;
let sure = false; // saved although checks object: the second time

const problemsId = (field) => `problems-${field.replace(/\W/g, "-")}`;
const field = (name, label, control, hint) => el("div", { class: "field", "data-field": name },
  el("label", {}, el("span", {}, label), control), hint || null, el("ul", { class: "problems", id: problemsId(name) }));
const select = (name, options, value) => {
  const made = el("select", { name, "aria-describedby": problemsId(name.startsWith("grade.") ? "grades" : name) }, options.map((o) => el("option", { value: o }, o || "neither")));
  made.value = value;
  return made;
};

function area(name, value, rows) {
  const made = el("textarea", { name, rows: String(rows), spellcheck: name === "query" || name === "reason" ? "true" : "false", "aria-describedby": problemsId(name) });
  made.value = value;
  return made;
}

const control = (name) => [...form.elements].find((e) => e.name === name);
const grade = (name) => control(`grade.${name}`);

// A tool that does not serve the query has no call.
function gradesChanged() {
  for (const name of names) control(`arguments.${name}`).disabled = grade(name).value === "none";
}

export function openEdit(view, then) {
  const given = view.form;
  names = view.tools.map((tool) => tool.name);
  save = then;
  const now = el("input", { name: "now", placeholder: "YYYY-MM-DDTHH:MM, or empty", autocomplete: "off", "aria-describedby": problemsId("now") });
  now.value = given.now;
  byId("edit-fields").replaceChildren(
    field("query", "Query", area("query", given.query, 3)),
    field("now", "Now: the user’s date and time, where the query depends on it", now),
    el("div", { class: "sides" }, names.map((name, side) => {
      const rows = Math.min(14, given.arguments[name].split("\n").length + 1);
      const parameters = view.comparison.rows.filter((r) => r.cells[side] && !/[.[]/.test(r.path)).map((r) => `${r.path}${r.cells[side].required ? "*" : ""}`);
      return el("fieldset", {}, el("legend", {}, code(name)),
        el("label", {}, el("span", {}, "Grade"), select(`grade.${name}`, GRADES, given.grades[name])),
        field(`arguments.${name}`, "Arguments of its call, as JSON", area(`arguments.${name}`, given.arguments[name], rows),
          el("p", { class: "muted hint" }, parameters.length ? `${parameters.join(", ")}   (* required)` : "It has no parameters.")));
    })),
    el("ul", { class: "problems", id: problemsId("grades"), "data-field": "grades" }),
    field("best", "The best tool", select("best", [...names, ""], given.best)),
    field("reason", "Why", area("reason", given.reason, 2)));
  gradesChanged();
  begin();
  dialog.showModal();
  control("query").focus();
}

function begin() {
  sure = false;
  byId("edit-error").textContent = "";
  byId("edit-save").firstChild.textContent = "Save ";
  for (const list of form.querySelectorAll(".problems")) list.replaceChildren();
  for (const element of form.elements) element.removeAttribute("aria-invalid");
}

function value() {
  return {
    query: control("query").value, now: control("now").value, best: control("best").value, reason: control("reason").value,
    grades: Object.fromEntries(names.map((name) => [name, grade(name).value])),
    arguments: Object.fromEntries(names.map((name) => [name, control(`arguments.${name}`).value])),
  };
}

function showProblems(error) {
  const again = error.problems.length > 0 && error.problems.every((p) => p.doubt);
  begin();
  byId("edit-error").textContent = error.message;
  for (const problem of error.problems) {
    const place = byId(problemsId(problem.field)) || byId("edit-error");
    place.append(el(place.tagName === "UL" ? "li" : "span", { class: problem.doubt ? "doubt" : "fault" }, problem.message));
    control(problem.field)?.setAttribute("aria-invalid", "true");
  }
  if (again) {
    sure = true;
    byId("edit-save").firstChild.textContent = "Save anyway ";
  }
  const first = error.problems[0];
  (first && control(first.field) ? control(first.field) : byId("edit-save")).focus();
}

async function submit() {
  const button = byId("edit-save");
  if (button.disabled) return;
  button.disabled = true;
  try {
    await save(value(), sure);
    dialog.close();
  } catch (error) {
    button.disabled = false;
    showProblems(error);
  }
  button.disabled = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
form.addEventListener("input", () => {
  gradesChanged();
  if (sure) begin(); // what was doubted has changed
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    submit();
  }
});
