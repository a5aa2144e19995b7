// Dragging a task to another column moves it; without a script its form does.
"use strict";

(() => {
  let dragged = null;
  const columnOf = (event) => event.target.closest?.("[data-column]");
  document.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.("[data-action]");
    if (dragged) event.dataTransfer.effectAllowed = "move";
  });
  document.addEventListener("dragover", (event) => {
    const column = columnOf(event);
    for (const other of document.querySelectorAll("[data-over]")) if (other !== column) other.removeAttribute("data-over");
    if (!dragged || !column) return;
    event.preventDefault();
    column.setAttribute("data-over", "");
  });
  document.addEventListener("drop", (event) => {
    const column = columnOf(event);
    if (!column || !dragged) return;
    event.preventDefault();
    column.removeAttribute("data-over");
    if (column.contains(dragged)) return;
    const form = document.getElementById("move");
    form.action = dragged.dataset.action;
    form.elements.status.value = column.dataset.column;
    form.elements.etag.value = dragged.dataset.etag;
    form.elements.next.value += `#${dragged.id}`;
    form.requestSubmit();
  });
  document.addEventListener("dragend", () => { dragged = null; });
})();
