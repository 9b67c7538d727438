// Both tools side by side: description, call, and a row for each parameter of either.
import { badge, clamped, code, el } from "./page.js";

const SAME_SHOWN = 5; // parameters that both have alike, before the rest is folded
const pieces = (segments) => segments.map(([text, lacks]) => (lacks ? el("span", { class: "differs" }, text) : text));

// ---------------------------------------------------------------- parameters
function parameter(path, cell, state) {
  const mark = (name, ...content) => el("span", { class: cell.new.includes(name) ? `${name} differs` : name }, content);
  return el("div", { class: `param ${state}` },
    el("div", {}, el("code", { class: "name" }, path), " ", mark("type", cell.type), " ",
      cell.required ? mark("required", "required") : cell.new.includes("required") ? mark("required", "optional") : null,
      cell.default === null ? null : [" ", mark("default", "default ", code(cell.default))]),
    cell.choices.length ? el("div", { class: "choices" }, cell.choices.map(([text, lacks]) => el("code", { class: lacks ? "choice differs" : "choice" }, text))) : null,
    cell.description[0][0] ? clamped(2, pieces(cell.description)) : null,
    cell.limits ? el("div", { class: "limits" }, mark("limits", cell.limits)) : null);
}

const nothing = () => el("div", { class: "param" });
const heading = (text, kind) => el("h4", { class: `section ${kind || ""}` }, text);

// Rows of the grid, each with a cell for both tools: what only one has, then what both have, side by side.
function parameterRows(rows, unfold) {
  const made = [];
  const only = [0, 1].map((side) => rows.filter((row) => row.state === "only" && row.cells[side]));
  if (only[0].length || only[1].length) {
    made.push(only.map((found) => (found.length ? heading("Only this tool has", "only") : heading("Nothing that the other tool lacks"))));
    for (let i = 0; i < Math.max(only[0].length, only[1].length); i++) {
      made.push(only.map((found, side) => (found[i] ? parameter(found[i].path, found[i].cells[side], "only") : nothing())));
    }
  }
  const [changed, same] = ["changed", "same"].map((state) => rows.filter((row) => row.state === state));
  if (changed.length || same.length) made.push([0, 1].map(() => heading("Both tools have")));
  const folded = [];
  [...changed, ...same].forEach((row, i) => {
    const cells = row.cells.map((cell) => parameter(row.path, cell, row.state));
    if (i >= changed.length + SAME_SHOWN) folded.push(...cells);
    made.push(cells);
  });
  for (const cell of folded) cell.hidden = true;
  if (folded.length) made.push([0, 1].map(() => unfold(folded)));
  return made.length ? made : [[0, 1].map(() => heading("No parameters"))];
}

// ---------------------------------------------------------------- calls
const GROUNDS = {
  query: ["in the query", "good"], now: ["from now", "good"], default: ["a default", ""], enum: ["an enum's value", ""],
  boolean: ["yes or no", ""], derived: ["derived", "part"], none: ["invented", "bad"],
};

function grounded(argument) {
  const shown = [];
  if (argument.ground) shown.push(badge(...GROUNDS[argument.ground]));
  if (argument.quoted === "all" && argument.ground !== "query") shown.push(badge("quoted", "good"));
  if (argument.quoted === "part") shown.push(badge("quoted in part", "part"));
  if (argument.derived) shown.push(el("span", { class: "muted" }, ` “${argument.derived}”`));
  if (!shown.length) shown.push(el("span", { class: "muted" }, "–"));
  return shown;
}

function callTable(call) {
  if (!call.arguments.length) return el("p", { class: "muted" }, "Called without arguments.");
  return el("div", { class: "scroll" }, el("table", { class: "call" },
    el("thead", {}, el("tr", {}, ["Argument", "Value", "Type", "Grounded"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, call.arguments.map((argument) => {
      const wrong = argument.problems.length > 0 || !argument.known;
      const why = argument.known ? argument.problems : ["the tool has no such parameter"];
      return el("tr", { "data-key": argument.key },
        el("th", { scope: "row" }, code(argument.name)),
        el("td", {}, el("code", { class: "given" }, argument.value), wrong ? el("div", { class: "fault" }, why.join("; ")) : null),
        el("td", {}, wrong ? badge("✗ wrong", "bad") : badge("✓ ok", "good")),
        el("td", { class: "grounds" }, grounded(argument)));
    }))));
}

function callPart(call) {
  const parts = [el("h4", {}, "Call")];
  if (!call) parts.push(el("p", { class: "muted" }, "Not called: it does not serve the query."));
  else {
    if (!call.kept) parts.push(el("p", { class: "muted" }, "This call is not trained on as things stand."));
    parts.push(callTable(call));
    if (call.missing.length) parts.push(el("p", { class: "fault" }, "The query does not give: ", call.missing.map((name, i) => [i ? ", " : "", code(name)])));
    for (const problem of call.problems) parts.push(el("p", { class: "fault" }, problem));
    if (call.alternatives) parts.push(el("div", { class: "muted alternatives" }, clamped(2, "As right: ", code(call.alternatives))));
  }
  return el("div", { class: "section" }, parts);
}

// ---------------------------------------------------------------- cards
function role(view, side) {
  if (side === 0) return badge("of the catalogue");
  return badge(view.upgrade ? "made: a stronger version" : "made: a weaker tool", "accent");
}

export function toolCards(view) {
  const pair = el("div", { class: "pair" });
  const rows = parameterRows(view.comparison.rows, (cells) => el("div", { class: "param unfold" }, el("button", { type: "button", class: "more", on: () => {
    for (const cell of cells) cell.hidden = false;
    for (const button of pair.querySelectorAll(".unfold")) button.hidden = true;
  } }, `${cells.length / 2} more that are the same in both`)));
  view.tools.forEach((tool, side) => {
    const note = side === 1 && view.derivation ? view.derivation.note : "";
    const parts = [
      el("header", {}, el("h3", {}, code(tool.name)), role(view, side), tool.origin ? el("span", { class: "muted" }, tool.origin) : null),
      el("div", {}, clamped(5, pieces(view.comparison.descriptions[side])), note ? el("p", { class: "note" }, view.upgrade ? "Stronger: " : "Weaker: ", note) : null),
      callPart(view.calls[side]),
      ...rows.map((cells) => cells[side]),
      el("details", { class: "section" }, el("summary", {}, "JSON schema"), el("pre", {}, tool.schema)),
    ];
    const card = el("article", { class: "card tool", "aria-label": tool.name }, parts);
    card.style.gridRow = `span ${parts.length}`; // the same number in both, so that the rows align
    pair.append(card);
  });
  return pair;
}
