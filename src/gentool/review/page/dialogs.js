// The dialogs for a reason, the keys, and the progress.
import { byId, code, el } from "./page.js";

for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
export const anyDialog = () => document.querySelector("dialog[open]") !== null;
export const openDialog = (id) => byId(id).showModal();

// ---------------------------------------------------------------- reasons
const input = byId("reason");
let rejected = null;

function choose(reason) {
  const text = reason.trim();
  if (!text) {
    input.focus();
    return;
  }
  byId("reject-dialog").close();
  rejected(text);
}

export function setReasons(reasons) {
  byId("reasons").replaceChildren(...reasons.map((reason, i) => el("li", {}, el("button", { type: "button", on: () => choose(reason) }, el("kbd", {}, String(i + 1)), " ", reason))));
}

// Calls `then` with the reason; not at all if the dialog is closed.
export function askReason(then) {
  rejected = then;
  input.value = "";
  byId("reject-dialog").showModal();
  input.focus();
}

byId("reject-dialog").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  choose(input.value);
});
byId("reject-dialog").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || input.value) return; // a digit in a text is no choice
  const button = byId("reasons").querySelectorAll("button")[Number(event.key) - 1];
  if (!button) return;
  event.preventDefault();
  button.click();
});

// ---------------------------------------------------------------- progress
const percent = (share) => `${Math.round(100 * share)}`;
const rateText = (r) => (r.rate === null ? "–" : `${r.sample_accepted} of ${r.sampled} = ${percent(r.rate)} % [${percent(r.low)}, ${percent(r.high)}]`);

export function showProgress(progress) {
  const mine = progress.reviewers.find((r) => r.reviewer === progress.reviewer);
  const done = mine ? mine.done : 0;
  byId("bar").max = Math.max(1, progress.to_review);
  byId("bar").value = done;
  byId("done").textContent = `${done.toLocaleString("en")} of ${progress.to_review.toLocaleString("en")} decided`;
  byId("rate").textContent = mine && mine.rate !== null ? `sample: ${percent(mine.rate)} % accepted [${percent(mine.low)}, ${percent(mine.high)}]` : "";
  const line = (tag, cells) => el("tr", {}, cells.map((cell, i) => el(tag, { class: i ? "num" : null, scope: tag === "th" ? "col" : null }, cell)));
  const table = (titles, rows) => el("div", { class: "scroll" }, el("table", {}, el("thead", {}, line("th", titles)), el("tbody", {}, rows.map((cells) => line("td", cells)))));
  byId("tally").replaceChildren(
    el("p", {}, `${progress.disagreed.toLocaleString("en")} disagreed items and a random sample of ${progress.sample.toLocaleString("en")} accepted ones.`),
    table(["Reviewer", "accepted", "edited", "rejected", "left", "accepted in the sample"],
      progress.reviewers.map((r) => [r.reviewer, r.decisions.accept, r.decisions.edit, r.decisions.reject, progress.to_review - r.done, rateText(r)].map(String))),
    el("p", { class: "muted" }, "The acceptance rate, with its 95 % interval (Wilson), is of the random sample alone: only from it can all accepted items be judged. An edited item was not good as it was."),
    progress.agreements.length ? table(["Reviewers", "items both decided", "same decision", "Cohen’s kappa"],
      progress.agreements.map((a) => [a.reviewers.join(", "), String(a.items), String(a.same), a.kappa === null ? "–" : a.kappa.toFixed(2)])) : el("p", { class: "muted" }, "With a second reviewer (", code("--reviewer NAME"), "), agreement is shown here."),
    ...progress.reviewers.filter((r) => Object.keys(r.reasons).length).map((r) => table([`Rejected by ${r.reviewer}, because`, "items"], Object.entries(r.reasons).map(([reason, n]) => [reason, String(n)]))));
}
