// How nodes are made, and the theme.
export const root = document.documentElement;
export const byId = (id) => document.getElementById(id);

// Text of tools, queries and people goes into the page as text nodes only, never as HTML.
export function el(tag, options, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(options || {})) {
    if (key === "on") node.addEventListener("click", value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}
export const code = (text) => el("code", {}, text);
export const badge = (text, kind, title) => el("span", { class: `badge ${kind || ""}`, title }, text);

// A text of which some lines are shown, with a button for the rest where there is more.
export const clamped = (lines, ...content) => el("div", { class: `clamp lines-${lines}` }, ...content);
export function addMoreButtons(within) {
  const long = [...within.querySelectorAll(".clamp")].filter((node) => node.scrollHeight > node.clientHeight + 2);
  for (const node of long) {
    const button = el("button", { type: "button", class: "more", "aria-expanded": "false", on: () => {
      const open = node.classList.toggle("open");
      button.textContent = open ? "less" : "more";
      button.setAttribute("aria-expanded", String(open));
    } }, "more");
    node.after(button);
  }
}

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
