"""
The navigation of the documentation site, and the links that lead out of its folder.

The navigation is what the index pages list: each list of links under a heading of ``index.md``
becomes a part of the side bar, in the same order. So a page is listed once, with the sentence that
describes it, and a page that is not listed is an orphan, for which the build fails.

Files at the root that are pages of the site have a page here that only names them; its text is put
in the place of it. A link to any other file outside this folder leads to the repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from pygments.lexers.python import PythonLexer
from pygments.lexers.shell import BashLexer, BashSessionLexer
from sphinx import addnodes
from sphinx.search.en import SearchEnglish
from sphinx.transforms import SphinxTransform

import ratedispatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pygments.token import _TokenType
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

#: Pages of the site, and the files at the root whose text they have.
ROOT_PAGES = {
    "contribute/contributing": "CONTRIBUTING.md",
    "contribute/changelog": "CHANGELOG.md",
}
_PAGE_OF = {name: page for page, name in ROOT_PAGES.items()}

_HEADING = re.compile(r"^(#{2,3}) (.+)$")
_LISTED = re.compile(r"^- \[[^\]]+\]\(([^)#\s]+)\)")
_ARGUMENTS = re.compile(r"<dl>\n((?:<dd>.*</dd>\n)+)</dl>\s*")
_STATUS = re.compile(r"[45]\d\d")
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def listed_pages(text: str) -> dict[str, list[str]]:
    """Return the links of the lists in an index page, by the heading above each."""
    parts: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if match := _HEADING.match(line):
            heading = match[2]
        elif match := _LISTED.match(line):
            parts.setdefault(heading, []).append(match[1])
    return parts


def _navigation(page: str, text: str) -> str:
    """Return the hidden tables of contents that make the side bar of what *page* lists."""
    trees = []
    folder = posixpath.dirname(page)
    for heading, targets in listed_pages(text).items():
        pages = []
        for target in targets:
            name = posixpath.normpath(posixpath.join("docs", folder, target))
            name = _PAGE_OF.get(name, name.removeprefix("docs/").removesuffix(".md"))
            pages.append(f"/{name}")
        caption = f":caption: {heading}\n" if page == "index" else ""
        body = "\n".join(pages)
        trees.append(f"```{{toctree}}\n:hidden:\n{caption}\n{body}\n```\n")
    return "\n".join(trees)


def _moved(text: str, folder: str) -> str:
    """Return *text* of a file at the root with its links as seen from *folder* of the site."""

    def relative(match: re.Match[str]) -> str:
        target = match[2]
        if target.startswith(("http://", "https://", "#", "mailto:")):
            return match[0]
        return match[1] + posixpath.relpath(target, posixpath.join("docs", folder)) + match[3]

    return _LINK.sub(relative, text)


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the text of a file at the root into its page, and a navigation below an index page."""
    if docname in ROOT_PAGES:
        path = ROOT / ROOT_PAGES[docname]
        app.env.note_dependency(str(path))
        source[0] = _moved(path.read_text("utf-8"), posixpath.dirname(docname))
    if posixpath.basename(docname) == "index":
        source[0] += "\n" + _navigation(docname, source[0])


class LinksOutOfTheFolder(SphinxTransform):
    """Leads links to files outside the folder to their pages, or to the repository."""

    default_priority = 5

    def apply(self, **kwargs: Any) -> None:
        """Replace what MyST makes of a link to a file that is no page."""
        folder = posixpath.dirname(posixpath.join("docs", self.env.docname))
        for node in [*self.document.findall(addnodes.pending_xref)]:
            if node.get("refdomain") == "doc" and node["reftarget"] not in self.env.found_docs:
                path = Path(self.env.srcdir, node["reftarget"] + ".md").resolve()
                self._lead(node, path.relative_to(ROOT).as_posix())
        for node in [*self.document.findall(addnodes.download_reference)]:
            self._lead(node, posixpath.normpath(posixpath.join(folder, node["reftarget"])))

    def _lead(self, node: nodes.Element, name: str) -> None:
        """Make *node* a link to the file *name*, a path from the root."""
        if name in _PAGE_OF:
            node["reftarget"] = _PAGE_OF[name]
            return
        link = nodes.reference("", "", refuri=self.config.repository_file_url + name)
        link += node.children
        node.replace_self(link)


class ApiText(SphinxTransform):
    """Writes what autodoc makes of docstrings as one would: a dash between a name and its text."""

    default_priority = 800

    def apply(self, **kwargs: Any) -> None:
        """Replace the two hyphens that Sphinx puts behind the name of a parameter."""
        for description in self.document.findall(addnodes.desc):
            for text in [*description.findall(nodes.Text)]:
                if text.astext() == " -- ":
                    text.parent.replace(text, nodes.Text(": "))


def public_name(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, child: nodes.Element
) -> nodes.reference | None:
    """Lead the name of the module that defines a public object to the entry of the object."""
    target = str(node.get("reftarget", ""))
    last = target.rpartition(".")[2]
    if node.get("refdomain") != "py" or last not in ratedispatch.__all__:
        return None
    domain = env.domains.python_domain
    doc = node.get("refdoc", env.docname)
    name = f"ratedispatch.{last}"
    return domain.resolve_xref(env, doc, app.builder, "obj", name, node, child)


def make_accessible(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.Node | None,
) -> None:
    """Correct what Sphinx and the theme write that a screen reader cannot make sense of."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )
    if "body" in context:
        # a list of definitions without terms, for the arguments of a long signature
        context["body"] = _ARGUMENTS.sub(
            lambda match: (
                match[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
            ),
            context["body"],
        )


class Console(BashSessionLexer):
    """Commands; without a prompt before any of them, all lines are commands and none is output."""

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, _TokenType, str]]:
        """Yield the tokens of *text*."""
        if re.search(r"^\$ ", text, re.MULTILINE):
            yield from super().get_tokens_unprocessed(text)
        else:
            yield from BashLexer().get_tokens_unprocessed(text)


class StatusSearch(SearchEnglish):
    """The words of the site's search: those of English, and HTTP statuses, such as 429."""

    def word_filter(self, word: str) -> bool:
        """Whether *word* is in the index."""
        return _STATUS.fullmatch(word) is not None or super().word_filter(word)


def setup(app: Sphinx) -> dict[str, Any]:
    """Take part in a build."""
    app.add_config_value("repository_file_url", "", "env", str)
    app.connect("source-read", read_source)
    app.add_search_language(StatusSearch)
    app.add_lexer("console", Console)
    app.add_lexer("ipython", PythonLexer)  # its own comes with IPython only
    app.connect("missing-reference", public_name)
    app.connect("html-page-context", make_accessible, priority=900)  # after the theme
    app.add_post_transform(ApiText)
    app.add_transform(LinksOutOfTheFolder)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
