// What the theme leaves to be done: copying a block, scrolling it by keyboard, and searching for the
// words of a message in which names and numbers differ from those on the page.

// a block or table that is wider than the page is scrolled by the arrow keys once it has the focus
const lay = () => {
  for (const wide of document.querySelectorAll("pre, .table-wrapper")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    else wide.removeAttribute("tabindex");
  }
};
lay();
addEventListener("resize", lay);

for (const block of document.querySelectorAll(
  ".highlight-console, .highlight-sh, .highlight-bash, .highlight-python, .highlight-ipython, .highlight-toml, .highlight-yaml",
)) {
  const button = document.createElement("button");
  button.className = "copy-block";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.querySelector("pre").textContent.trimEnd());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  block.append(button);
}

// when no page has all words of a search, those that have most of them are shown
if (typeof Search !== "undefined") {
  const havingAll = Search.performTermsSearch;
  Search.performTermsSearch = (terms, excluded) => {
    const found = havingAll(terms, excluded);
    if (found.length > 0 || terms.size < 2) return found;
    const pages = new Map();
    for (const term of terms) {
      for (const result of havingAll(new Set([term]), excluded)) {
        const page = pages.get(result[0]) ?? { result, count: 0, score: 0 };
        page.count += 1;
        page.score += result[4];
        pages.set(result[0], page);
      }
    }
    const most = Math.max(...[...pages.values()].map((page) => page.count));
    return [...pages.values()]
      .filter((page) => page.count >= 0.75 * most)
      .map(({ result, count, score }) => result.with(4, count + score / 1000));
  };
}

// a page that was found begins at the section with most of the words that were searched for
const begin = () => {
  let best = null;
  let most = 0;
  for (const section of document.querySelectorAll("article section")) {
    const marks = [...section.querySelectorAll(".highlighted")].filter(
      (mark) => mark.closest("section") === section,
    );
    const count = new Set(marks.map((mark) => mark.textContent.toLowerCase())).size;
    if (count > most) [best, most] = [section, count];
  }
  best?.scrollIntoView();
};
if (!location.hash && document.referrer.includes("/search.html")) {
  addEventListener("load", () => setTimeout(begin, 50)); // Sphinx marks the words a little later
}
