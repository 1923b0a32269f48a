"""
How the documentation site is built from the pages in this folder.

Sphinx reads this file. ``python -m docs.build`` builds the site; ``docs/site_pages.py`` makes the
navigation of it from the lists in the index pages, and leads links out of this folder to the right
place.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
_REPOSITORY = _PROJECT["urls"]["Source"]

project = _PROJECT["name"]
release = version = _PROJECT["version"]
author = "the authors of ratedispatch"
project_copyright = author
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docs.site_pages",
]
# the address of a file that is no page of the site, such as a benchmark's results
repository_file_url = f"{_REPOSITORY}/blob/main/"

source_suffix = {".md": "markdown"}
exclude_patterns = ["_static"]
# a link to a heading of another page is checked down to this level
myst_heading_anchors = 4
# the pages are read in the repository too: nothing in them is written for this site alone
myst_disable_syntax = ["substitution"]
smartquotes = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_include_init_with_doc = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
add_module_names = False
# names in single backticks lead to the object of that name if it has an entry
default_role = "py:obj"

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
# after the scripts of Sphinx's search, which it changes
html_js_files = [("site.js", {"defer": "defer"})]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "source_repository": f"{_REPOSITORY}/",
    "source_branch": "main",
    "source_directory": "docs/",
}
