# SPDX-License-Identifier: Apache-2.0
"""The site that ./dev docs builds: Sphinx reads the pages where they are, README.md first."""

from pathlib import Path

from docutils.nodes import document
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

# The side bar. A page that is not named here stands below "More".
SECTIONS = {
    "Guides": (
        "docs/tutorial docs/pytorch docs/jax docs/numpy python/README docs/embedding docs/vendoring docs/cxx "
        "docs/distributed docs/boards docs/tuning docs/faq"
    ),
    "Reference": "docs/reference docs/stream docs/abi CHANGELOG",
    "Results": "docs/performance docs/study docs/trust docs/experiments",
    "Development": "docs/design CONTRIBUTING RELEASING SECURITY",
}

project = "bitdrop"
html_title = "bitdrop"
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "python/*.md", "examples/data/*.md"]
highlight_language = "none"
myst_heading_anchors = 6
myst_links_external_new_tab = False


def add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """Puts the tables of contents behind README.md, where only the site sees them."""
    if name != root_doc:
        return
    rest = set(app.env.found_docs) - {root_doc}
    sections = {}
    for caption, names in SECTIONS.items():
        sections[caption] = [page for page in names.split() if page in rest]
        rest -= set(sections[caption])
    sections["More"] = sorted(rest)
    for caption, pages in sections.items():
        source[0] += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```\n"])


def unlink_folders(app: Sphinx, page: document) -> None:
    """The forge shows folders, and the site does not: a link to one that exists becomes its text."""
    for link in list(page.findall(pending_xref)):
        if (ROOT / Path(link["refdoc"]).parent / link["reftarget"]).is_dir():
            link.replace_self(link[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_navigation)
    app.connect("doctree-read", unlink_folders)
