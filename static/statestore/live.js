// A list that keeps itself fresh: asks for its own page again, never while the tab is hidden; somebody who has chosen,
// focused or scrolled to something is not disturbed, but told that there are changes.
"use strict";

(() => {
  const control = document.querySelector("[data-live-list]");
  const rows = control && document.getElementById(control.dataset.liveList);
  if (!rows) return;
  const [toggle, show] = control.querySelectorAll("button");
  const ASK_MS = 2000;
  let paused = false;
  let newest = null;
  let shown = null;
  const isBusy = () => window.scrollY > 240 || rows.contains(document.activeElement) || rows.querySelector("input:checked");
  // The time of asking and the token of forms differ in each answer; what a person sees does not.
  const essence = (html) => html.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
  const release = () => {
    if (newest === null) return;
    rows.innerHTML = newest;
    window.htmx?.process(rows);
    relativeTimes(rows);
    shown = essence(newest);
    newest = null;
    show.hidden = true;
  };
  const ask = async () => {
    try {
      if (!document.hidden && !paused) {
        const response = await fetch(location.href, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
        if (response.ok && !response.redirected) {
          const html = await response.text();
          if (shown === null) shown = essence(html);
          if (essence(html) !== shown) {
            newest = html;
            if (isBusy()) show.hidden = false;
            else release();
          }
        }
      }
    } catch {
      // The next question may be answered.
    }
    setTimeout(ask, ASK_MS);
  };
  toggle.addEventListener("click", () => {
    paused = !paused;
    toggle.textContent = paused ? "Paused" : "Live";
    toggle.setAttribute("aria-pressed", String(!paused));
  });
  show.addEventListener("click", () => { release(); window.scrollTo({ top: 0 }); });
  setTimeout(ask, ASK_MS / 4);
})();
