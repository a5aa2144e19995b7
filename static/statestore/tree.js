// A state's tree is one stop of the Tab key: arrows go through its rows, and Tab to what can be done with the current one.
"use strict";

(() => {
  const ROWS = "summary, .leaf";
  const ACTIONS = "a, button, .long > summary";
  const isRow = (element) => element.matches(ROWS) && !element.matches(".long > summary");
  const rowsOf = (tree) => [...tree.querySelectorAll(ROWS)].filter((row) => isRow(row) && row.checkVisibility());
  const actionsOf = (row) => row.matches("summary")
    ? row.closest(".branch")?.querySelectorAll(":scope > .copy") ?? []
    : row.querySelectorAll(ACTIONS);

  function choose(tree, row) {
    for (const other of tree.querySelectorAll(`${ROWS}, ${ACTIONS}`)) other.tabIndex = -1;
    if (!row) return;
    row.tabIndex = 0;
    for (const action of actionsOf(row)) action.tabIndex = 0;
  }

  function start(root) {
    for (const tree of root.querySelectorAll(".tree")) choose(tree, rowsOf(tree)[0]);
  }

  function rowOf(element) {
    const copied = element.matches(".branch > .copy") && element.parentElement.querySelector(":scope > details > summary");
    return copied || element.closest(".leaf, summary");
  }

  document.addEventListener("focusin", (event) => {
    const tree = event.target.closest(".tree");
    const row = tree && rowOf(event.target);
    if (row && isRow(row)) choose(tree, row);
  });

  document.addEventListener("keydown", (event) => {
    const tree = event.target.closest?.(".tree");
    if (!tree || event.ctrlKey || event.metaKey || event.altKey || !isRow(event.target)) return;
    const row = event.target;
    const details = row.matches("summary") ? row.parentElement : null;
    const rows = rowsOf(tree);
    const place = rows.indexOf(row);
    const parent = (details ?? row).parentElement.closest("details")?.querySelector(":scope > summary");
    const move = {
      ArrowDown: () => rows[place + 1],
      ArrowUp: () => rows[place - 1],
      Home: () => rows[0],
      End: () => rows.at(-1),
      ArrowRight: () => {
        if (!details) return null;
        if (details.open) return rows[place + 1];
        details.open = true;
        return row;
      },
      ArrowLeft: () => {
        if (!details?.open) return parent;
        details.open = false;
        return row;
      },
    }[event.key];
    if (!move) return;
    event.preventDefault();
    move()?.focus();
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const tree = event.target.closest?.(".tree");
    // What was loaded into a tree belongs to it; the row that loaded it may be gone.
    if (tree) choose(tree, tree.querySelector('[tabindex="0"]') ?? rowsOf(tree)[0]);
    else start(event.target.parentElement ?? document);
  });
  start(document);
})();
