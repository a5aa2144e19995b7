// Tasks are moved by their menu and its button; dragging one chooses in that menu.
"use strict";

(() => {
  let dragged = null;
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form.move");
    // The button is there once there is something to send.
    form?.toggleAttribute("data-changed", !event.target.selectedOptions[0].defaultSelected);
  });
  document.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.("[data-card]");
    if (dragged) event.dataTransfer.effectAllowed = "move";
  });
  document.addEventListener("dragover", (event) => {
    const column = event.target.closest?.("[data-column]");
    for (const other of document.querySelectorAll("[data-over]")) if (other !== column) other.removeAttribute("data-over");
    if (!dragged || !column) return;
    event.preventDefault();
    column.setAttribute("data-over", "");
  });
  document.addEventListener("drop", (event) => {
    const column = event.target.closest?.("[data-column]");
    const form = dragged?.querySelector("form.move");
    if (!column || !form) return;
    event.preventDefault();
    column.removeAttribute("data-over");
    if (form.elements.status.value === column.dataset.column) return;
    form.elements.status.value = column.dataset.column;
    form.requestSubmit();
  });
  document.addEventListener("dragend", () => { dragged = null; });
})();
