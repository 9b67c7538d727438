// The page around the explorer: theme, table of cells, and how nodes are made.
const root = document.documentElement;
const byId = (id) => document.getElementById(id);

// Text from models and data goes into the page as text nodes only, never as HTML.
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

byId("metric").addEventListener("change", (event) => {
  for (const table of document.querySelectorAll(".metric-table")) {
    table.hidden = table.dataset.metric !== event.target.value;
  }
});
