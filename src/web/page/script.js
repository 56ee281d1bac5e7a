"use strict";
// Fetches the page again every few seconds and puts in the parts that have changed: what has the focus keeps it,
// nothing moves under the reader, and what is open stays open. Without it the page merely stands still.
(() => {
  const EVERY_MS = 5000;
  const refresh = document.getElementById("refresh");
  const said = document.getElementById("refreshed");
  const pause = document.getElementById("pause");
  let paused = false;
  let asking = false;
  let lost = false;

  const tell = (text, late) => {
    // Said aloud by screen readers, so only when there is something new to say.
    if (said.textContent !== text) said.textContent = text;
    said.className = late ? "late" : "";
  };

  // A name for an element by which its successor is found.
  const nameOf = (element) => {
    if (element.id) return "#" + element.id;
    if (element.getAttribute("href")) return element.tagName + element.getAttribute("href");
    return element.tagName + (element.getAttribute("aria-label") || element.closest("tr,li,article")?.textContent.slice(0, 80) || "");
  };

  const keep = (old) => {
    const focus = old.contains(document.activeElement) ? document.activeElement : null;
    const alike = (root, element) => [...root.querySelectorAll(element.tagName)];
    return {
      focus: focus && { name: nameOf(focus), tag: focus.tagName, at: alike(old, focus).filter((e) => nameOf(e) === nameOf(focus)).indexOf(focus) },
      scrolls: [...old.querySelectorAll(".scroll,.cells,pre")].map((e) => [e.scrollLeft, e.scrollTop]),
      open: [...old.querySelectorAll("details[open]")].map(nameOf),
    };
  };

  const restore = (fresh, kept) => {
    fresh.querySelectorAll("details").forEach((e) => { if (kept.open.includes(nameOf(e))) e.open = true; });
    fresh.querySelectorAll(".scroll,.cells,pre").forEach((e, i) => { if (kept.scrolls[i]) [e.scrollLeft, e.scrollTop] = kept.scrolls[i]; });
    if (!kept.focus) return;
    const same = [...fresh.querySelectorAll(kept.focus.tag)].filter((e) => nameOf(e) === kept.focus.name);
    const next = same[kept.focus.at] || same[0] || document.getElementById("content");
    next.focus({ preventScroll: true });
  };

  const put = (page) => {
    const main = document.getElementById("content");
    const parts = [...page.querySelectorAll("[data-live]")];
    const known = [...document.querySelectorAll("[data-live]")];
    if (parts.map((e) => e.id).join() !== known.map((e) => e.id).join()) {
      // A section came or went: the whole content is new, but for a filter that somebody types in.
      const typed = [...document.querySelectorAll("input[type=search]")].some((e) => e.value !== e.defaultValue);
      if (typed || (document.activeElement && document.activeElement.form)) return;
      const fresh = document.importNode(page.getElementById("content"), true);
      const kept = keep(main);
      main.replaceWith(fresh);
      restore(fresh, kept);
      return;
    }
    parts.forEach((part, i) => {
      const old = known[i];
      const selected = document.getSelection();
      if (selected && !selected.isCollapsed && old.contains(selected.anchorNode)) return;
      const fresh = document.importNode(part, true);
      const kept = keep(old);
      fresh.querySelectorAll("details").forEach((e) => { if (kept.open.includes(nameOf(e))) e.open = true; });
      if (old.isEqualNode(fresh)) return;
      old.replaceWith(fresh);
      restore(fresh, kept);
    });
  };

  const ask = async () => {
    if (paused || asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(location.pathname + location.search, { cache: "no-store", signal: AbortSignal.timeout(20000) });
      if (!(answer.ok || answer.status === 404)) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!page.getElementById("content")) throw new Error("not this page");
      if (!paused) {
        put(page);
        document.title = page.title;
        lost = false;
        tell("Refreshes every 5 s", false);
      }
    } catch (error) {
      if (!lost) tell("No answer since " + new Date().toLocaleTimeString(), true);
      lost = true;
    } finally {
      asking = false;
    }
  };

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Resume" : "Pause";
    tell(paused ? "Paused" : "Refreshes every 5 s", false);
    ask();
  });
  document.addEventListener("visibilitychange", ask);
  refresh.hidden = false;
  setInterval(ask, EVERY_MS);
})();
