// The page of results: sections of the book, the best first. What is typed is looked for as it is being typed.
(function () {
  "use strict";

  const SHOWN = 40; // results
  const AROUND = 90; // characters before and after the first word found
  // Words of a question that say nothing about what is asked.
  const LITTLE = new Set("a an are can do does for how in is may my of the to what why".split(" "));
  // A name of code counts as a whole and by its parts: rope_theta, rope, theta.
  const tokenize = (text) => (text.match(/[\p{L}\p{N}_√+.]+/gu) ?? []).flatMap((word) => {
    const whole = word.replace(/^[.+]+|[.+]+$/g, "");
    const parts = whole.split(/[_.+]+/).filter(Boolean);
    return parts.length > 1 ? [whole, ...parts] : parts;
  });

  const index = new MiniSearch({
    fields: ["title", "terms", "chapter", "text", "code"],
    storeFields: ["title", "chapter", "text"],
    tokenize,
    searchOptions: {
      boost: { title: 4, terms: 6, chapter: 2, code: 0.5 },
      // Who types the name of a method wants the chapter of that name before the functions.
      boostDocument: (id, term, { title, chapter }) => {
        const file = id.slice(id.lastIndexOf("/") + 1);
        return title === chapter && file.startsWith(term) ? 3 : file.startsWith("api.") ? 0.5 : 1;
      },
      prefix: (term) => term.length > 3,
      fuzzy: (term) => (term.length > 5 ? 0.15 : 0),
      processTerm: (term) => (LITTLE.has(term.toLowerCase()) ? null : term.toLowerCase()),
    },
  });
  index.addAll(SECTIONS);

  const input = document.querySelector("input[type=search]");
  const list = document.querySelector(".results");
  const found = document.querySelector(".found");

  /** An element with a class and children, which are elements or text and never markup. */
  const make = (tag, className, ...children) => {
    const element = Object.assign(document.createElement(tag), { className });
    element.append(...children);
    return element;
  };

  /** A piece of text around the first of the words, with all of them marked. */
  function excerpt(text, words) {
    const pattern = new RegExp(`(${words.map((word) => word.replace(/[^\p{L}\p{N}_√]/gu, "\\$&")).join("|")})`, "giu");
    const at = Math.max(0, text.search(pattern) - AROUND);
    const start = at && text.indexOf(" ", at) + 1;
    const end = start + 2 * AROUND + 60;
    const part = text.slice(start, text.length > end ? text.lastIndexOf(" ", end) : undefined);
    const pieces = part.split(pattern).map((piece, i) => (i % 2 ? make("mark", "", piece) : piece));
    return make("p", "", start ? "… " : "", ...pieces, text.length > end ? " …" : "");
  }

  function show() {
    const words = input.value.trim();
    const results = words ? index.search(words) : [];
    found.textContent = words ? `${results.length || "No"} ${results.length === 1 ? "place" : "places"} for “${words}”` : "";
    list.replaceChildren(...results.slice(0, SHOWN).map(({ id, title, chapter, text, terms }) => {
      const link = Object.assign(make("a", "", title), { href: id });
      const where = title === chapter ? [] : [make("span", "where", ` in ${chapter}`)];
      return make("li", "", link, ...where, ...(text ? [excerpt(text, terms)] : []));
    }));
  }

  input.value = new URLSearchParams(location.search).get("q") ?? "";
  input.addEventListener("input", show);
  show();
})();
