"""How this package was installed: its checkout and revision, and the line that installs an extra."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chexphi import __version__

PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """The folder of the checkout that this package runs from; None if it was copied into an environment."""
    folder = PACKAGE.parent.parent
    return folder if PACKAGE.parent.name == "src" and (folder / "pyproject.toml").is_file() else None


def revision() -> str | None:
    """The git revision of the checkout, or None: an environment may lie in a checkout of something else."""
    if (folder := checkout()) is None:
        return None
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def version_line() -> str:
    """What `chexphi --version` prints."""
    commit = revision()
    return f"chexphi {__version__}" + (f" (git revision {commit[:12]})" if commit else "")


def install_line(*extras: str) -> str:
    """The command that adds extras to this installation, from where it came.

    A name alone would be looked up on the package index, where this package may not be, or may be another's.

    Args:
        extras: Names of extras, such as `train`.
    """
    return f"pip install {source(','.join(extras), checkout(), direct_url(), Path.cwd())}"


def require(*modules: str) -> None:
    """Refuse long work that would end at a missing library; none is imported.

    Args:
        modules: Names as in `import`.

    Raises:
        ModuleNotFoundError: For the first that is not installed, as its import would raise.
    """
    for name in modules:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def direct_url() -> Mapping[str, Any] | None:
    """What pip noted about where the package came from (PEP 610); None for a package index."""
    try:
        text = importlib.metadata.distribution("chexphi").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    return json.loads(text) if text else None


def source(extras: str, checkout: Path | None, url: Mapping[str, Any] | None, working: Path) -> str:
    """The words after `pip install`: the package with extras, from where it was installed.

    Args:
        extras: With commas between them; empty for the package alone.
        checkout: The checkout that the package runs from.
        url: Content of `direct_url.json`, if the package was copied from a folder, a file or a repository.
        working: The working folder.

    >>> from pathlib import Path
    >>> source("train", Path("/home/me/chexphi"), None, Path("/home/me/chexphi"))
    "-e '.[train]'"
    >>> source("train", None, None, Path("/home/me"))
    "'chexphi[train]'"
    """
    brackets = f"[{extras}]" if extras else ""
    if checkout is not None:
        return f"-e '{_folder(checkout, working)}{brackets}'"
    if url is None:
        return f"'chexphi{brackets}'"
    # pip notes the spaces of a repository as they are
    quoted_url = urllib.parse.quote(url["url"], safe="%/:@?=&+~,;")
    address = urllib.parse.urlsplit(quoted_url)
    path = Path(urllib.parse.unquote(address.path))
    if "vcs_info" in url:
        commit = url["vcs_info"]["commit_id"]
        below = f"#subdirectory={url['subdirectory']}" if url.get("subdirectory") else ""
        # older versions of pip want a host here
        quoted_url = quoted_url.replace("file:///", "file://localhost/")
        return f"'chexphi{brackets} @ {url['vcs_info']['vcs']}+{quoted_url}@{commit}{below}'"
    if address.scheme == "file":
        return f"'{_folder(path, working)}{brackets}'"
    return f"'chexphi{brackets} @ {quoted_url}'"


def _folder(folder: Path, working: Path) -> str:
    return "." if folder.resolve() == working.resolve() else str(folder)
