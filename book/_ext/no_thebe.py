"""Take sphinx-thebe out of the build.

Jupyter Book always loads it, and it writes the address of an outside script into every page.
The book has no live kernel, so its listeners are removed before they run.
"""


def remove_listeners(app):
    """Drop every event listener that sphinx-thebe registered."""
    for listeners in app.events.listeners.values():
        listeners[:] = [item for item in listeners if item.handler.__module__ != "sphinx_thebe"]


def setup(app):
    """Register with Sphinx."""
    app.connect("builder-inited", remove_listeners, priority=0)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
