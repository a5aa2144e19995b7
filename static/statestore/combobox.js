// A text box with a list below it that the server renders for what was typed so far. ARIA's combobox: the focus stays
// in the box. An answer is shown only if nothing was typed or closed since it was asked for; keys that were pressed
// meanwhile choose from it.
"use strict";

// `address` returns where to ask, or nothing; `choose` is given the option that was chosen.
function combobox(box, list, { label, address, choose, takesTab = false }) {
  let waiting = 0;
  let asking = null;
  let marked = null;
  let early = null; // The keys pressed since the list was asked for; null when it is not awaited.
  const mark = (option) => {
    marked?.setAttribute("aria-selected", "false");
    marked = option;
    marked?.setAttribute("aria-selected", "true");
    marked?.scrollIntoView({ block: "nearest" });
    if (marked) box.setAttribute("aria-activedescendant", marked.id);
    else box.removeAttribute("aria-activedescendant");
  };
  const move = (step) => {
    const options = [...list.querySelectorAll("[role=option]")];
    const from = marked ? options.indexOf(marked) : step > 0 ? -1 : 0;
    mark(options.at((from + step) % options.length));
  };
  const show = (isShown) => {
    mark(null);
    list.hidden = !isShown;
    box.setAttribute("aria-expanded", String(isShown));
  };
  const close = () => {
    clearTimeout(waiting);
    asking?.abort();
    early = null;
    show(false);
  };
  const offer = async () => {
    clearTimeout(waiting);
    asking?.abort();
    const { signal } = (asking = new AbortController());
    const url = address();
    if (!url) return close();
    early ??= [];
    try {
      const response = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin", signal });
      const html = response.ok && !response.redirected ? await response.text() : "";
      if (signal.aborted) return;
      list.innerHTML = html;
      relativeTimes(list);
      show(Boolean(list.querySelector("[role=option]")));
      replay();
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  };
  // What a key does, and whether that was all: otherwise the browser goes on.
  const KEYS = {
    ArrowDown: () => { if (list.hidden) offer(); else move(1); return true; },
    ArrowUp: () => { if (!list.hidden) move(-1); return true; },
    Escape: () => { const wasOpen = !list.hidden; close(); return wasOpen; },
    Enter: () => { if (marked) choose(marked); return Boolean(marked); },
    Tab: () => {
      if (!takesTab || list.hidden) return false;
      choose(marked ?? list.querySelector("[role=option]"));
      return true;
    },
  };
  const CHOOSING = ["ArrowDown", "ArrowUp"];
  const isEarly = ({ key }) => early && (CHOOSING.includes(key) || (key === "Enter" && early.length > 0));
  const replay = () => {
    const keys = early;
    early = null;
    if (list.hidden) return keys.includes("Enter") && box.form?.requestSubmit();
    for (const key of keys) KEYS[key]();
  };

  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": list.id })) {
    box.setAttribute(name, value);
  }
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", label);
  show(false);
  box.addEventListener("input", () => {
    asking?.abort();
    clearTimeout(waiting);
    early = [];
    mark(null);
    waiting = setTimeout(offer, 120);
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isEarly(event)) early.push(event.key);
    else if (!KEYS[event.key]?.()) return;
    event.preventDefault();
  });
  // The box keeps the focus, so that a click is one before the list closes.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) choose(option, event);
  });
  box.addEventListener("blur", close);
  return { offer, close };
}
