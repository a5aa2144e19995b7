// A long list is one stop of the Tab key: arrows go through its rows, and Tab to the other links of the current one.
"use strict";

const oneStop = (() => {
  const STOPS = "a[href], button, summary, input:not([type=hidden]), select, textarea";
  const rowOf = (element) => element.closest("[data-row]");
  // Of a folded row, those of the rows in it are their own.
  const stopsOf = (row) => [...row.querySelectorAll(STOPS)].filter((stop) => rowOf(stop) === row);
  const rowsOf = (list) => [...list.querySelectorAll("[data-row]")].filter((row) => row.checkVisibility() && stopsOf(row).length);

  function choose(list, row) {
    for (const stop of list.querySelectorAll(STOPS)) stop.tabIndex = -1;
    for (const stop of row ? stopsOf(row) : []) stop.tabIndex = 0;
    list.currentRow = row;
  }

  function start(root) {
    const lists = [...root.querySelectorAll("[data-rows]"), root.closest?.("[data-rows]")].filter(Boolean);
    for (const list of lists) {
      const rows = rowsOf(list);
      choose(list, rows.includes(list.currentRow) ? list.currentRow : rows[0]);
    }
  }

  document.addEventListener("focusin", (event) => {
    const list = event.target.closest("[data-rows]");
    const row = list && rowOf(event.target);
    if (row && row !== list.currentRow) choose(list, row);
  });

  document.addEventListener("keydown", (event) => {
    const { target } = event;
    const list = target.closest?.("[data-rows]");
    if (!list || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (!target.matches("a, button, summary, input[type=checkbox]")) return;
    const rows = rowsOf(list);
    const place = rows.indexOf(rowOf(target));
    const row = { ArrowDown: rows[place + 1], ArrowUp: rows[place - 1], Home: rows[0], End: rows.at(-1) }[event.key];
    if (!row) return;
    event.preventDefault();
    // From a box to the next box; otherwise to what the row is about.
    const box = target.matches("input") && row.querySelector("input[type=checkbox]");
    (box || aboutRow(row) || stopsOf(row)[0]).focus();
  });

  document.addEventListener("htmx:afterSwap", (event) => start(event.target.parentElement ?? document));
  start(document);
  return start;
})();
