"""Settings of the documentation site. scripts/docs gathers its pages into one folder and calls Sphinx."""

from __future__ import annotations

from typing import Any

from pygments.lexers.special import TextLexer

project = "Argon"
author = "The Argon developers"
copyright = "The Argon developers"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = []

# Anchors as on GitHub, so that links work there and here.
myst_heading_anchors = 4
# Signs of the pages' own that are no title: the depth of headings is free.
suppress_warnings = ["myst.header"]

# A block without a language is no program. Docstrings write code as `code`.
highlight_language = "none"
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autoclass_content = "both"

# Quotes stay what they are: much of what is quoted is code.
smartquotes = False

html_theme = "furo"
html_title = "Argon"
html_static_path = ["_static"]
html_js_files = ["mermaid.min.js", "pictures.js"]
html_copy_source = False
html_show_sphinx = False


def setup(app: Any) -> None:
    """Lets Sphinx read docstrings as ours are written, and pictures as text that pictures.js draws."""
    app.add_lexer("mermaid", TextLexer)
    app.connect("autodoc-process-docstring", mark_code)


def mark_code(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Marks indented lines behind an empty one as Python, which docstrings do not do themselves."""
    marked: list[str] = []
    is_code = False
    for line in lines:
        is_indented = line.startswith("    ")
        if is_indented and not is_code and marked and not marked[-1].strip():
            marked += [".. code-block:: python", ""]
            is_code = True
        elif line.strip() and not is_indented:
            is_code = False
        marked.append(line)
    lines[:] = marked
