"""How Sphinx builds these pages: Markdown, and the API from its docstrings."""

project = "snakepit"
author = copyright = "The snakepit authors"
html_title = "snakepit"
html_theme = "furo"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
# Docstrings write `code` as Markdown does.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_ivar = True


def _literal_blocks(app, what, name, obj, options, lines):
    """Docstrings indent a drawing or an example without a mark; reStructuredText wants one."""
    for index, line in reversed(list(enumerate(lines))):
        before = next((item for item in reversed(lines[:index]) if item), "")
        starts = line.startswith("    ") and index > 0 and not lines[index - 1]
        if starts and not before.startswith((" ", ":", "..", "-", "*")):
            lines[index:index] = ["::", ""]


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _literal_blocks)
