"""Keep the API pages fast and fresh.

sphinx-autoapi reads the package's source without importing it, but its parser follows imports into
whatever is installed, and PyTorch is large. And Sphinx cannot know that the API page depends on the
package, so that page is named here when the package has changed.

Docstrings are plain text with mathematics in it: a bar in one, as in |q|, is a bar. And a default
value that unpacks another is shown as an ellipsis, because Sphinx cannot read it.

On the API page, a line such as `{everything in} posemb_ref.relative.t5` stands for all that it defines for others.
"""

import ast
import re
from pathlib import Path

from astroid import MANAGER

EVERYTHING = re.compile(r"^\{everything in\} (\S+)$", re.MULTILINE)
OUTSIDE = {"torch", "torch.nn", "torch.nn.functional", "numpy", "jaxtyping"}


def api_page(app, env, added, changed, removed):
    """Name the API page if the package is newer than it."""
    read = env.all_docs.get("book/api", 0) / 1e6
    sources = Path(app.confdir, "posemb_ref").rglob("*.py")
    return ["book/api"] if any(path.stat().st_mtime > read for path in sources) else []


def list_modules(app, page, source):
    """Replace the lines that stand for a module by the directives for its functions and classes."""
    if page == "book/api":
        source[0] = EVERYTHING.sub(lambda found: directives(Path(app.confdir), found[1]), source[0])


def directives(root, module):
    """Return the directives for the public functions and classes of a module, in its order."""
    body = ast.parse((root / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")).body
    lines = [f".. currentmodule:: {module}"]
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and shows(node.name):
            kind = "function" if isinstance(node, ast.FunctionDef) else "class"
            lines.append(f".. autoapi{kind}:: {module}.{node.name}")
            if kind == "class":
                shown = [one.name for one in node.body if isinstance(one, ast.FunctionDef) and shows(one.name)]
                lines[-1] += f"\n   :members: {', '.join(shown)}" if shown else ""
    return "```{eval-rst}\n" + "\n\n".join(lines) + "\n```"


def shows(name):
    """Say whether a name is for others."""
    return not name.startswith("_") and name != "extra_repr"


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
    app.connect("source-read", list_modules)
    app.connect("autodoc-process-docstring", plain_bars)
    app.connect("autodoc-process-signature", tidy_signature)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
