// What a page does beyond being read: switch its colours, copy code, follow the reader in the contents, begin a search.
(function () {
  "use strict";

  const root = document.documentElement;
  const button = document.querySelector("button.theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = localStorage.theme = root.dataset.theme === "dark" ? "light" : "dark";
  });

  for (const cell of document.querySelectorAll(".cell_input, article .highlight-python, article .highlight-default")) {
    const copy = document.createElement("button");
    copy.className = "copy";
    copy.type = "button";
    copy.textContent = "Copy";
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(cell.querySelector("pre").textContent.trimEnd());
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
    cell.append(copy);
  }

  // What scrolls sideways can be reached by Tab.
  const reach = () => {
    for (const box of document.querySelectorAll("pre, .rows")) box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1;
  };
  addEventListener("resize", reach);
  reach();

  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  const passed = new Set();
  const spy = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) passed[isIntersecting ? "add" : "delete"](target.id);
    const here = [...links.keys()].filter((id) => passed.has(id)).at(-1);
    for (const [id, link] of links) link.toggleAttribute("aria-current", id === here);
  }, { rootMargin: "-10% 0px -70% 0px" });
  for (const section of document.querySelectorAll("article section[id]")) if (links.has(section.id)) spy.observe(section);

  const search = document.querySelector("input[type=search]");
  document.addEventListener("keydown", (event) => {
    const typing = /^(input|textarea|select)$/i.test(event.target.tagName);
    if ((event.key === "/" && !typing) || (event.key === "k" && (event.ctrlKey || event.metaKey))) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });
})();
