// What the theme leaves to be done: copying a block, scrolling it by keyboard, keeping a flag on one
// line, and a search that lists guides first, and that finds an HTTP status, or the words of a message
// in which names and numbers differ from those on the page.

// a block or table that is wider than the page is scrolled by the arrow keys once it has the focus
const lay = () => {
  for (const wide of document.querySelectorAll("pre, .table-wrapper")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    else wide.removeAttribute("tabindex");
  }
};
lay();
addEventListener("resize", lay);

// a flag of a command is not broken at its hyphens
const flags = /(?<!\S)(-[\w-]+)/;
for (const pre of document.querySelectorAll(
  ".highlight-console pre, .highlight-sh pre, .highlight-bash pre",
)) {
  const walker = document.createTreeWalker(pre, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    if (!flags.test(text.data)) continue;
    const parts = text.data.split(flags).map((part, index) => {
      if (index % 2 === 0) return part;
      const flag = document.createElement("span");
      flag.className = "flag";
      flag.textContent = part;
      return flag;
    });
    text.replaceWith(...parts);
  }
}

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
  block.querySelector(".highlight").append(button);
}

// of pages that match alike, guides go first, then the explanations, the reference and the papers on
// the design; a name that was typed as Python writes it, such as RetryPolicy, goes before them all
if (typeof Scorer !== "undefined") {
  const typed = new URLSearchParams(location.search).get("q")?.trim() ?? "";
  const isName = /[A-Z_]/.test(typed);
  const ranks = { explanation: 1.5, reference: 0, design: -2, contribute: -2 };
  Scorer.score = ([page, title, , , score, , kind]) => {
    if (isName && kind === "object" && title.split(".").at(-1) === typed) return score + 10;
    return score + (ranks[page.split("/")[0]] ?? 2);
  };
}

// when no page has all words of a search, those that have most of them are shown; such a search, or
// one of many words, is a message of the program, and the page of messages goes first
if (typeof Search !== "undefined") {
  const havingAll = Search.performTermsSearch;
  const havingMost = (terms, excluded) => {
    const pages = new Map();
    for (const term of terms) {
      for (const result of havingAll(new Set([term]), excluded)) {
        const page = pages.get(result[0]) ?? { result, count: 0 };
        page.count += 1;
        pages.set(result[0], page);
      }
    }
    const most = Math.max(...[...pages.values()].map((page) => page.count));
    return [...pages.values()]
      .filter((page) => page.count >= 0.75 * most)
      .map(({ result, count }) => result.with(4, count));
  };
  Search.performTermsSearch = (terms, excluded) => {
    let found = havingAll(terms, excluded);
    const isMessage = found.length === 0 || terms.size >= 4;
    if (found.length === 0 && terms.size > 1) found = havingMost(terms, excluded);
    if (!isMessage) return found;
    const messages = havingMost(terms, excluded).filter(([page]) => page === "reference/messages");
    return [
      ...found.filter(([page]) => page !== "reference/messages"),
      ...messages.map((result) => result.with(4, 1000)),
    ];
  };
  const parse = Search._parseQuery;
  Search._parseQuery = (query) => {
    const parsed = parse(query);
    // Sphinx ignores numbers; in a search of a few words an HTTP status counts
    if (parsed[1].size < 4) {
      for (const status of query.match(/\b[45]\d\d\b/g) ?? []) {
        parsed[1].add(status);
        parsed[3].add(status);
      }
    }
    const marked = [...parsed[3]].filter((word) => word.length > 2);
    localStorage.setItem("sphinx_highlight_terms", marked.join(" "));
    return parsed;
  };
}
// where Sphinx marks the words that were searched for: the text, and not the theme's icons
document.querySelector(".article-container")?.classList.add("body");

// a page that was found shows the line that has most of the words that were searched for
const show = () => {
  const words = new Map();
  for (const mark of document.querySelectorAll("article .highlighted")) {
    const line = mark.closest("li, td, p, pre, dt, h1, h2, h3") ?? mark;
    words.set(line, (words.get(line) ?? new Set()).add(mark.textContent.toLowerCase()));
  }
  let best = null;
  let most = 0;
  for (const [line, found] of words) {
    // in a long line some of the words stand anyway
    const share = found.size / line.textContent.trim().split(/\s+/).length;
    if (found.size > 1 && found.size * share > most) [best, most] = [line, found.size * share];
  }
  best?.scrollIntoView({ block: "center" });
};
if (!location.hash && document.referrer.includes("/search.html")) {
  addEventListener("load", () => setTimeout(show, 50)); // Sphinx marks the words a little later
}
