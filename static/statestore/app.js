// Everything here is a convenience: each page works without it.
"use strict";

document.documentElement.dataset.script = "on";

const toast = () => document.getElementById("toast");

function say(text) {
  toast().textContent = text;
  window.setTimeout(() => { if (toast().textContent === text) toast().textContent = ""; }, 2500);
}

// Copy: the text is JSON in the attribute, so that control characters survive and stay visible in the page's source.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault();
  try {
    await navigator.clipboard.writeText(JSON.parse(button.dataset.copy));
    say("Copied");
  } catch {
    say("The browser blocked copying.");
  }
});

// Relative times, with the absolute one kept as the title.
const UNITS = [["y", 31536000], ["mo", 2592000], ["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

function relativeTimes(root) {
  for (const time of root.querySelectorAll("time[data-relative]")) {
    const seconds = Math.round((Date.parse(time.dateTime) - Date.now()) / 1000);
    const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) || UNITS.at(-1);
    const number = `${Math.round(Math.abs(seconds) / size)}${unit}`;
    const text = seconds > 0 ? `in ${number}` : `${number} ago`;
    // Written only where it is another one: a change of the page is work, and takes a selection away.
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(() => { if (!document.hidden) relativeTimes(document); }, 30000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) relativeTimes(document); });

// Choose all, or all below one branch; a button says how many it is about.
function countChosen(button) {
  const boxes = [...button.form.querySelectorAll(`input[name="${button.dataset.counts}"]`)];
  const chosen = boxes.filter((box) => box.checked).length;
  button.dataset.all ??= button.textContent.trim();
  button.textContent = chosen === boxes.length ? button.dataset.all : `Restore ${chosen} of ${boxes.length} fields…`;
  button.disabled = chosen === 0;
}

document.addEventListener("change", (event) => {
  const box = event.target;
  const { selectAll, selectInside } = box.dataset;
  const where = selectAll !== undefined ? box.form : selectInside !== undefined ? box.parentElement : null;
  for (const other of where?.querySelectorAll("input[type=checkbox]") ?? []) {
    if (!selectAll || other.name === selectAll || "selectInside" in other.dataset) other.checked = box.checked;
  }
  for (const button of box.form?.querySelectorAll("[data-counts]") ?? []) countChosen(button);
});

// A menu closes when one looks elsewhere.
const closeMenus = (except) => {
  for (const menu of document.querySelectorAll("details.menu-button[open]")) if (menu !== except) menu.open = false;
};
document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu-button")));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeMenus(); });

// The search box of every page leads to what is chosen below it, or to the page of all results.
const search = document.getElementById("search");
const finder = search && combobox(search, document.getElementById("found"), {
  label: "Results",
  address: () => `${search.form.action}?${new URLSearchParams(new FormData(search.form))}`,
  choose: (option, click) => { if (!click) option.click(); },
});
search?.addEventListener("click", finder.offer);

function openSearch(event) {
  event.preventDefault();
  for (const dialog of document.querySelectorAll("dialog:modal")) dialog.close();
  search.focus();
  search.select();
  finder.offer();
}

document.addEventListener("keydown", (event) => {
  const isChord = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k";
  if (isChord && search) openSearch(event);
});

// Other keys: never while typing, never with a modifier.
let going = false;

// What a row is about, where it has other links too.
const aboutRow = (row) => ["[data-side]", ":scope > details > summary", "a"].map((part) => row?.querySelector(part)).find(Boolean);

function moveRow(step) {
  const rows = [...document.querySelectorAll("[data-row]")].filter((row) => row.checkVisibility());
  const next = rows[rows.findLastIndex((row) => row.contains(document.activeElement)) + step] || rows[step > 0 ? 0 : rows.length - 1];
  aboutRow(next)?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const place = going && document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
  going = event.key === "g";
  if (place) return void (location.href = place.href);
  const link = { "[": "[data-key=older]", "]": "[data-key=newer]", m: "[data-key=mode]" }[event.key];
  if (link) document.querySelector(link)?.click();
  else if (event.key === "/" && search) openSearch(event);
  else if (event.key === "?") document.getElementById("help")?.showModal();
  else if (event.key === "j") moveRow(1);
  else if (event.key === "k") moveRow(-1);
});

// A task stands in sight in the graph of its dependencies.
for (const here of document.querySelectorAll(".graph [aria-current]")) {
  const graph = here.closest(".graph");
  const distance = here.getBoundingClientRect().right - graph.getBoundingClientRect().right;
  if (distance > 0) graph.scrollLeft += distance + 16;
}

// Nothing that fails may fail silently.
document.addEventListener("htmx:responseError", (event) => say(`The server answered ${event.detail.xhr.status}.`));
document.addEventListener("htmx:sendError", () => say("The server cannot be reached."));
document.addEventListener("htmx:afterSwap", (event) => relativeTimes(event.target));
document.addEventListener("submit", (event) => {
  // A second click on the same button must not send a second restore.
  const button = event.submitter;
  if (button && event.target.method === "post") window.setTimeout(() => { button.disabled = true; });
});
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("form button[disabled]")) button.disabled = false;
  relativeTimes(document);
});
