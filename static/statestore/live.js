// A page that keeps itself fresh: asks for its own rows again, never while the tab is hidden; somebody who has chosen,
// focused, opened or scrolled to something is not disturbed, but told that there are changes.
"use strict";

(() => {
  const control = document.querySelector("[data-live-list]");
  const rows = control && document.getElementById(control.dataset.liveList);
  if (!rows) return;
  const [toggle, show] = control.querySelectorAll("button");
  const ASK_MS = 2000;
  // What grows at its end is followed there; what does not, at its beginning.
  const grows = "grows" in rows.dataset;
  let paused = false;
  let newest = null;
  let shown = rows.dataset.version;
  const isAway = () => grows
    ? document.documentElement.scrollHeight > window.innerHeight + window.scrollY + 240 && window.scrollY > 240
    : window.scrollY > 240;
  const isBusy = () => isAway() || rows.contains(document.activeElement) || rows.querySelector("input:checked, details[open]")
    || !(document.getSelection()?.isCollapsed ?? true);
  const release = () => {
    if (newest === null) return;
    rows.innerHTML = newest.html;
    window.htmx?.process(rows);
    relativeTimes(rows);
    oneStop(rows);
    shown = newest.version;
    newest = null;
    show.hidden = true;
  };
  const toEnd = () => window.scrollTo({ top: grows ? document.documentElement.scrollHeight : 0 });
  const ask = async () => {
    try {
      if (!document.hidden && !paused) {
        const headers = { "HX-Request": "true", "X-Version": newest?.version ?? shown };
        const response = await fetch(location.href, { headers, credentials: "same-origin" });
        // Not by going to the login page: what is being typed on this one would be lost.
        if (response.status === 401) say("You are signed out. Reload the page to sign in.");
        if (response.status === 200 && !response.redirected) {
          newest = { html: await response.text(), version: response.headers.get("X-Version") };
          if (newest.version === shown) newest = null;
          if (newest && !isBusy()) {
            const follows = grows && window.scrollY > 0;
            release();
            if (follows) toEnd();
          }
          show.hidden = newest === null;
        }
      }
    } catch {
      // The next question may be answered.
    }
    setTimeout(ask, ASK_MS);
  };
  // A filter has put other rows there.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target === rows) shown = event.detail.xhr.getResponseHeader("X-Version");
  });
  toggle.addEventListener("click", () => {
    paused = !paused;
    toggle.textContent = paused ? "Paused" : "Live";
    toggle.setAttribute("aria-pressed", String(!paused));
  });
  show.addEventListener("click", () => { release(); toEnd(); });
  setTimeout(ask, ASK_MS / 4);
})();
