// The search page's conveniences: completion, the side panel, the live tail. Without them it is links and a form.
"use strict";

(() => {
  const part = async (url, signal) => {
    const response = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin", signal });
    if (response.status === 401) throw new Error("You are signed out. Reload the page to sign in.");
    if (!response.ok || response.redirected) throw new Error(`The server answered ${response.status}.`);
    return response;
  };
  const say = (text) => { document.getElementById("toast").textContent = text; };

  // What an address can carry.
  const MOST_BYTES = 60000;

  // Completion: the server knows the names and the values; a choice replaces the term at the caret.
  const box = document.getElementById("query");
  const list = document.getElementById("suggestions");
  if (box && list) {
    const { offer, close } = combobox(box, list, {
      label: "Suggestions",
      takesTab: true,
      address: () => {
        const url = `${box.dataset.complete}?${new URLSearchParams({ q: box.value, caret: box.selectionStart })}`;
        return url.length > MOST_BYTES ? "" : url;
      },
      choose: (option) => {
        box.value = option.dataset.text;
        box.setSelectionRange(Number(option.dataset.caret), Number(option.dataset.caret));
        box.focus();
        close();
        if (box.value.endsWith(":")) offer();
      },
    });
  }

  // Letters other than a to z take up to twelve bytes. Without a script, the box takes fewer of them.
  if (box) {
    box.maxLength = Number(box.dataset.longest);
    box.form.addEventListener("submit", (event) => {
      const bytes = new URLSearchParams(new FormData(box.form)).toString().length;
      if (bytes <= MOST_BYTES) return;
      event.preventDefault();
      const share = Math.floor((box.value.length * MOST_BYTES) / bytes);
      box.setCustomValidity(`Too long: at most ${share} of these ${box.value.length} characters can be sent. Nothing was searched.`);
      box.reportValidity();
    });
    box.addEventListener("input", () => box.setCustomValidity(""));
  }

  // The side panel: the event's own page, beside the list; a link that opens it opens the page elsewhere too.
  const side = document.getElementById("side");
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("[data-side]");
    if (!link || !side || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    try {
      const html = await (await part(link.href)).text();
      side.innerHTML = `<div class="toolbar"><button type="button" data-close autofocus>Close</button></div>${html}`;
      relativeTimes(side);
      document.querySelector("tr[data-current]")?.removeAttribute("data-current");
      link.closest("tr")?.setAttribute("data-current", "");
      side.opener = link;
      if (!side.open) side.show();
    } catch {
      location.href = link.href;
    }
  });
  const closeSide = () => {
    if (!side?.open) return;
    side.close();
    side.opener?.focus();
  };
  document.addEventListener("click", (event) => { if (event.target.closest("[data-close]")) closeSide(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeSide(); });

  // The tail: asks for what was saved since, never while the tab is hidden; somebody who reads further down is not moved,
  // but told how many there are. New rows go where the list's order has them; a row that was saved again moves there.
  const live = document.getElementById("live");
  const body = document.getElementById("event-rows");
  if (!live || !body) return;
  const toggle = live.querySelector("[data-live=toggle]");
  const show = live.querySelector("[data-live=show]");
  const MOST_ROWS = 300;
  let paused = false;
  let lost = false;
  let held = [];
  // What the server last heard of new events, and how many times more to ask without waiting for word of others.
  let heard = "";
  let rounds = 0;
  const rowOf = (event) => body.querySelector(`[data-event="${CSS.escape(event)}"]`);
  const isNewer = (one, other) => {
    const [at, otherAt] = [BigInt(one.dataset.at), BigInt(other.dataset.at)];
    return at === otherAt ? BigInt(one.dataset.order) > BigInt(other.dataset.order) : at > otherAt;
  };
  const hold = (row) => {
    const known = [rowOf(row.dataset.event), ...held.filter((one) => one.dataset.event === row.dataset.event)];
    if (known.some((one) => one?.dataset.order === row.dataset.order)) return;
    held = held.filter((one) => one.dataset.event !== row.dataset.event);
    held.push(row);
  };
  const place = (row) => {
    rowOf(row.dataset.event)?.remove();
    const before = [...body.rows].find((one) => isNewer(row, one));
    // Behind the last row there may be others, on the next page.
    if (!before && body.rows.length && document.querySelector(".pager [data-key=older]")) return false;
    row.classList.add("updated");
    body.insertBefore(row, before ?? null);
    return true;
  };
  const release = () => {
    // What was counted when the page was made is older now than its rows.
    if (held.length) document.getElementById("counted-at")?.removeAttribute("hidden");
    const further = held.filter((row) => !place(row)).length;
    if (further) say(`${further} new ${further === 1 ? "event" : "events"} further back in this list, by timestamp.`);
    held = [];
    while (body.rows.length > MOST_ROWS) body.lastElementChild.remove();
    oneStop(body);
    const table = body.closest("table");
    if (body.rows.length && table.hidden) location.reload();
    tell();
  };
  const tell = () => {
    show.hidden = !held.length && !lost;
    show.textContent = lost ? "Reload" : `${held.length} new`;
    toggle.textContent = paused ? "Paused" : "Live";
    toggle.setAttribute("aria-pressed", String(!paused));
  };
  const count = (number) => {
    const shown = number && live.closest("header")?.querySelector("strong.number");
    if (!shown) return;
    shown.textContent = number;
    shown.nextSibling.textContent = shown.nextSibling.textContent.replace(/match(es)?/, number === "1" ? "match" : "matches");
  };
  const isReading = () => window.scrollY > 240 || body.contains(document.activeElement) || side?.open;
  const ask = async () => {
    let pause = 1000;
    const began = performance.now();
    try {
      if (!document.hidden && !lost && (!paused || held.length < MOST_ROWS)) {
        const parameters = new URLSearchParams({ q: live.dataset.q, cursor: live.dataset.cursor });
        if (heard && rounds < 1) parameters.set("heard", heard);
        const response = await part(`${live.dataset.url}?${parameters}`);
        live.dataset.cursor = response.headers.get("X-Cursor") || live.dataset.cursor;
        const seconds = (performance.now() - began) / 1000;
        rounds -= 1;
        // It waited to no avail, and there is something: it comes from a program that gives no word, so ask for a while.
        if (response.headers.get("X-Count") && seconds > 4.5) rounds = 60;
        heard = response.headers.get("X-Heard") || "";
        if (heard && rounds < 1) pause = Math.max(0, 1000 - 1000 * seconds);
        if (response.headers.get("X-More")) pause = 0;
        const holder = document.createElement("template");
        holder.innerHTML = `<table><tbody>${await response.text()}</tbody></table>`;
        [...holder.content.querySelectorAll("tr")].reverse().forEach(hold);
        count(response.headers.get("X-Count"));
        lost = Boolean(response.headers.get("X-Lost"));
        if (lost && !paused && !isReading()) location.reload();
        relativeTimes({ querySelectorAll: (selector) => held.flatMap((row) => [...row.querySelectorAll(selector)]) });
        if (held.length && !paused && !isReading()) release();
        tell();
        if (live.dataset.lost) { say(""); delete live.dataset.lost; }
      }
    } catch (error) {
      live.dataset.lost = "yes";
      say(error.message.startsWith("You") ? error.message : "No new events: the server cannot be reached.");
      pause = 5000;
    }
    setTimeout(ask, pause);
  };
  toggle.addEventListener("click", () => { paused = !paused; if (!paused) release(); tell(); });
  show.addEventListener("click", () => {
    if (lost) location.reload();
    release();
    window.scrollTo({ top: 0 });
  });
  setTimeout(ask, 1000);
})();
