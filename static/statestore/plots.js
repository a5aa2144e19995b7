// Drag over a picture of time to zoom: its page is asked for the range. A click stays a link.
"use strict";

(() => {
  const LEAST_PIXELS = 6;
  let drag = null;

  const areasOf = (picture) => picture.querySelectorAll(".plot, .lane");
  const share = (x, box) => Math.min(Math.max((x - box.left) / box.width, 0), 1);
  const ends = (x) => [share(drag.x, drag.box), share(x, drag.box)].sort((one, other) => one - other);

  function end() {
    for (const area of areasOf(drag.picture)) area.querySelector(".chosen")?.remove();
    drag = null;
  }

  function mark(area, [first, last]) {
    const chosen = area.querySelector(".chosen")
      ?? area.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
    // A lane has units of its own; a plot's are percent.
    const width = area.viewBox.baseVal?.width;
    const size = (part) => (width ? `${part * width}` : `${part * 100}%`);
    const attributes = { class: "chosen", x: size(first), width: size(last - first), y: 0, height: "100%" };
    for (const [name, value] of Object.entries(attributes)) chosen.setAttribute(name, value);
  }

  document.addEventListener("pointerdown", (event) => {
    const area = event.target.closest("[data-zoom] :is(.plot, .lane)");
    if (!area || event.button !== 0 || event.pointerType !== "mouse") return;
    drag = { picture: area.closest("[data-zoom]"), x: event.clientX, box: area.getBoundingClientRect() };
  });
  // A link would be dragged instead.
  document.addEventListener("dragstart", (event) => { if (drag) event.preventDefault(); });
  document.addEventListener("pointermove", (event) => {
    if (!drag || Math.abs(event.clientX - drag.x) < LEAST_PIXELS) return;
    for (const area of areasOf(drag.picture)) mark(area, ends(event.clientX));
  });
  document.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const isClick = Math.abs(event.clientX - drag.x) < LEAST_PIXELS;
    const { zoom, start, end: last } = drag.picture.dataset;
    const [from, to] = ends(event.clientX).map((part) => Math.round(Number(start) + part * (last - start)));
    end();
    if (isClick) return;
    // The click that follows must not follow the link below it.
    document.addEventListener("click", (click) => click.preventDefault(), { capture: true, once: true });
    location.href = zoom.replace("{start}", from).replace("{end}", Math.max(to, from + 1));
  });
  document.addEventListener("keydown", (event) => { if (drag && event.key === "Escape") end(); });
})();
