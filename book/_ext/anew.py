"""When a build begins anew, and when it waits.

Sphinx reads again only what has changed. That is not enough when the book's settings, templates or extensions have,
nor after a failed build, whose warnings the next one would not see. And of two builds at once the second waits.
"""

import fcntl
import hashlib
import shutil
from pathlib import Path

SETTINGS = ["_config.yml", "_toc.yml", "constraints.txt", "book/_ext/*.py", "book/_theme/*"]


def settings(app):
    """Return a fingerprint of what every page depends on."""
    paths = sorted(path for pattern in SETTINGS for path in Path(app.confdir).glob(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def begin(app, config):
    """Wait for another build, and forget what was built with other settings."""
    folder = Path(app.outdir).parent
    app.lock = open(folder / "lock", "w")  # released when the process ends
    fcntl.flock(app.lock, fcntl.LOCK_EX)
    stamp = folder / f"{Path(app.outdir).name}.stamp"
    if not stamp.exists() or stamp.read_text() != settings(app):
        for built in (app.doctreedir, app.outdir):
            shutil.rmtree(built, ignore_errors=True)
            Path(built).mkdir(parents=True)
    stamp.unlink(missing_ok=True)


def finish(app, error):
    """Note with which settings this was built, if it was built without a warning."""
    if not error and not app._warncount:
        (Path(app.outdir).parent / f"{Path(app.outdir).name}.stamp").write_text(settings(app))


def setup(app):
    """Register with Sphinx."""
    app.connect("config-inited", begin, priority=1)
    app.connect("build-finished", finish, priority=999)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
