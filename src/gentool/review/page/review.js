// What the keys and buttons do, and the start.
import { decide, getItem, getRun, getStep } from "./api.js";
import { anyDialog, askReason, openDialog, setReasons, showProgress } from "./dialogs.js";
import { openEdit } from "./edit.js";
import { showItem } from "./item.js";
import { showFiltered, showList, turnPage } from "./list.js";
import { byId, el, root } from "./page.js";

const SEARCH_PAUSE = 150; // milliseconds without a key before the search begins
const SAID = { accept: "Accepted", edit: "Edited", reject: "Rejected", undo: "Taken back" };
const form = byId("filters");
const done = []; // items decided here, for undo
let view = null; // the item on the screen
let busy = false;

const filters = () => ({ show: form.elements.show.value, decided: form.elements.decided.value, q: form.elements.q.value });

function say(text, bad) {
  byId("said").textContent = text;
  byId("said").className = bad ? "fault" : "muted";
}

// One thing at a time: a key that is pressed while another one works is not for the item that will come.
async function doing(action) {
  if (busy) return;
  busy = true;
  delete root.dataset.ready;
  try {
    await action();
  } catch (error) {
    say(error.message, true);
  }
  busy = false;
  root.dataset.ready = "true";
}

// ---------------------------------------------------------------- what is shown
function writeHash() {
  const parts = new URLSearchParams();
  for (const [key, value] of Object.entries(filters())) if (value && value !== "queue" && value !== "any") parts.set(key, value);
  if (view) parts.set("item", view.id);
  history.replaceState(null, "", `#${parts}`);
}

function showNothing(text) {
  view = null;
  byId("item").replaceChildren(el("p", { class: "card nothing" }, text));
}

async function open(item) {
  const before = view && view.id;
  view = await getItem(item);
  showItem(byId("item"), view);
  if (before !== view.id) {
    byId("item").scrollTop = 0;
    if (!form.contains(document.activeElement)) byId("item").focus({ preventScroll: true });
  }
  await showList(filters(), view.id);
  writeHash();
}

async function step(by) {
  const found = await getStep(filters(), view ? view.id : "", by);
  if (found.item) {
    say("");
    await open(found.item);
  } else say(by === "next" ? "This is the last one." : "This is the first one.");
}

async function nextOpen(said) {
  const found = await getStep(filters(), view ? view.id : "", "open");
  if (found.item) await open(found.item);
  else if (view) await open(view.id);
  say(found.item ? said : `${said} Nothing is left to decide under these filters.`);
}

async function filter() {
  const found = await showFiltered(filters(), view ? view.id : "");
  if (view && found.place !== null) writeHash();
  else if (found.rows.length) await open(found.rows[0].id);
  else {
    showNothing(found.total || form.elements.q.value || form.elements.decided.value !== "any" ? "No item fits these filters." : "Nothing is here to review.");
    writeHash();
  }
}

// ---------------------------------------------------------------- decisions
async function take(order) {
  const found = await decide(order);
  showProgress(found.progress);
}

async function settle(decision, more) {
  const item = view.id;
  await take({ item, decision, ...more });
  done.push(item);
  await nextOpen(`${SAID[decision]}.`);
}

function accept() {
  if (!view) return;
  doing(() => (view.decision && view.decision.decision === "accept" ? nextOpen("It was accepted before.") : settle("accept")));
}

function reject() {
  if (view && !busy) askReason((reason) => doing(() => settle("reject", { reason })));
}

function edit() {
  if (!view || busy) return;
  openEdit(view, async (value, sure) => {
    const item = view.id;
    await take({ item, decision: "edit", form: value, sure });
    done.push(item);
    doing(() => nextOpen("Edited."));
  });
}

function undo() {
  doing(async () => {
    const item = view && view.decision ? view.id : done.at(-1);
    if (!item) {
      say("There is nothing to take back.");
      return;
    }
    await take({ item, decision: "undo" });
    const at = done.lastIndexOf(item);
    if (at >= 0) done.splice(at, 1);
    await open(item);
    say("Taken back.");
  });
}

function toggleList() {
  const shown = getComputedStyle(byId("side")).display === "none";
  root.classList.toggle("list-shown", shown);
  root.classList.toggle("list-hidden", !shown);
  if (shown) byId("rows").querySelector("[aria-current], a")?.focus();
}

// ---------------------------------------------------------------- events
const keys = {
  a: accept, r: reject, e: edit, u: undo, l: toggleList,
  n: () => doing(() => step("next")), ArrowRight: () => doing(() => step("next")),
  p: () => doing(() => step("back")), ArrowLeft: () => doing(() => step("back")),
  "/": () => { root.classList.add("list-shown"); root.classList.remove("list-hidden"); form.elements.q.focus(); form.elements.q.select(); },
  s: () => openDialog("tally-dialog"), "?": () => openDialog("help-dialog"),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || anyDialog()) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") byId("item").focus();
    return;
  }
  const action = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
  if (!action || (event.repeat && "aru".includes(event.key))) return;
  event.preventDefault();
  action();
});
for (const [id, action] of Object.entries({ accept, reject, edit, undo, next: keys.n, back: keys.p, "toggle-list": toggleList, "show-tally": keys.s, "show-help": keys["?"] })) {
  byId(id).addEventListener("click", action);
}

let timer;
function filterSoon(pause) {
  clearTimeout(timer);
  timer = setTimeout(() => (busy ? filterSoon(SEARCH_PAUSE) : doing(filter)), pause);
}
form.addEventListener("input", (event) => filterSoon(event.target.type === "search" ? SEARCH_PAUSE : 0));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  doing(async () => {
    await filter();
    root.classList.remove("list-shown");
    byId("item").focus();
  });
});
byId("rows").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  root.classList.remove("list-shown");
  doing(() => open(link.dataset.item));
});
byId("page-back").addEventListener("click", () => doing(() => turnPage(filters(), view && view.id, -1)));
byId("page-on").addEventListener("click", () => doing(() => turnPage(filters(), view && view.id, 1)));

doing(async () => {
  const run = await getRun();
  byId("run").textContent = run.name;
  byId("reviewer").textContent = `reviewed by ${run.reviewer}`;
  document.title = `${run.name} – GenTool review`;
  for (const option of form.elements.show.options) option.textContent += ` (${run.counts[option.value].toLocaleString("en")})`;
  setReasons(run.reasons);
  showProgress(run.progress);
  const given = new URLSearchParams(location.hash.slice(1));
  for (const key of ["show", "decided", "q"]) {
    if (given.has(key)) form.elements[key].value = given.get(key);
    if (key !== "q" && !form.elements[key].value) form.elements[key].selectedIndex = 0;
  }
  try {
    if (given.get("item")) return await open(given.get("item"));
  } catch { /* an item of before */ }
  const found = await getStep(filters(), "", "open");
  return found.item ? open(found.item) : filter();
});
