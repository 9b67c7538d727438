// The list of items: one page of it is fetched and shown, whatever the number of items.
import { getWindow } from "./api.js";
import { byId, el } from "./page.js";

const PAGE = 50;
const SIGNS = { accept: ["✓", "yes", "accepted"], edit: ["✎", "edited", "edited"], reject: ["✗", "no", "rejected"] };
const STATUS = { disagreed: "nearly", accepted: "yes", rejected: "no" };

let start = 0;
let total = 0;

function sign(decision) {
  const [text, kind, label] = SIGNS[decision] || ["", "", ""];
  return el("span", { class: `sign ${kind}`, title: label ? `you ${label} it` : null, "aria-label": label || "open" }, text);
}

function row(found, current) {
  return el("li", {}, el("a", { href: `#item=${found.id}`, "data-item": found.id, "aria-current": found.id === current ? "true" : null },
    sign(found.decision),
    el("span", { class: "text" }, found.query),
    el("span", { class: "where" }, el("span", { class: STATUS[found.status] }, found.status), ` · ${found.tools.join(" / ")}`,
      found.checks.length ? ` · ${found.checks.join(", ").replaceAll("_", " ")}` : "")));
}

// Show the page that item `around` is on; where it is not in the list, the page from `from` on. `current` is marked.
async function show(filters, current, around, from) {
  const found = await getWindow(filters, { start: from, number: PAGE, around });
  start = found.start;
  total = found.total;
  const rows = byId("rows");
  rows.replaceChildren(...found.rows.map((r) => row(r, current)));
  byId("count").textContent = `${total.toLocaleString("en")} ${total === 1 ? "item" : "items"}${found.place === null ? "" : `, this is ${(found.place + 1).toLocaleString("en")}`}`;
  byId("page").textContent = `${Math.floor(start / PAGE) + 1} of ${Math.max(1, Math.ceil(total / PAGE))}`;
  byId("page-back").disabled = start === 0;
  byId("page-on").disabled = start + PAGE >= total;
  const shown = rows.querySelector("[aria-current]");
  if (shown) {
    const a = shown.getBoundingClientRect(), b = rows.getBoundingClientRect();
    if (a.top < b.top || a.bottom > b.bottom) rows.scrollTop += a.top - b.top - b.height / 3;
  }
  return found;
}

export const showList = (filters, current) => show(filters, current, current, start);
export const showFiltered = (filters, current) => show(filters, current, current, 0);
export const turnPage = (filters, current, step) => show(filters, current, "", Math.max(0, start + step * PAGE));
