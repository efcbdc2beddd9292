"""Keep the API pages fast and fresh.

sphinx-autoapi reads the package's source without importing it, but its parser follows imports into
whatever is installed, and PyTorch is large. And Sphinx cannot know that the API page depends on the
package, so that page is named here when the package has changed.

Docstrings are plain text with mathematics in it: a bar in one, as in |q|, is a bar. And a default
value that unpacks another is shown as an ellipsis, because Sphinx cannot read it.
"""

import re
from pathlib import Path

from astroid import MANAGER

OUTSIDE = {"torch", "torch.nn", "torch.nn.functional", "numpy", "jaxtyping"}


def api_page(app, env, added, changed, removed):
    """Name the API page if the package is newer than it."""
    read = env.all_docs.get("book/api", 0) / 1e6
    sources = Path(app.confdir, "posemb_ref").rglob("*.py")
    return ["book/api"] if any(path.stat().st_mtime > read for path in sources) else []


def plain_bars(app, what, name, obj, options, lines):
    """Keep reStructuredText from reading |q| as a name to fill in."""
    lines[:] = [line.replace("|", "\\|") for line in lines]


def tidy_annotations(signature):
    """Drop module names, put the shapes back in quotes, and shorten defaults such as (*SOME, 1)."""
    signature = re.sub(r"\b(jaxtyping|torch|numpy|collections\.abc|typing)\.", "", signature or "")
    signature = re.sub(r"(\w+\[Tensor, )\s*([^\]\"']+?)\s*\]", r'\1"\2"]', signature)
    return re.sub(r"= \(\*[^)]*\)", "= ...", signature)


def tidy_signature(app, what, name, obj, options, args, returns):
    """Show a signature as it stands in the source."""
    return tidy_annotations(args), tidy_annotations(returns) or None


def setup(app):
    """Register with Sphinx."""
    MANAGER.module_denylist |= OUTSIDE
    app.connect("env-get-outdated", api_page)
    app.connect("autodoc-process-docstring", plain_bars)
    app.connect("autodoc-process-signature", tidy_signature)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
