"""Known advisories of pinned packages: `make audit`, which runs this with pip-audit installed.

pip-audit asks a database on the network, leaves out what it cannot ask about and then says that nothing was
found: here that is an error, exit code 2. Exit code 1: there are advisories.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"),
    *("--no-deps", "--disable-pip", "--requirement"),
)


def audit(constraints: str) -> tuple[int, str]:
    """Exit code and words for the packages of a constraints file."""
    done = subprocess.run([*COMMAND, constraints], capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return (
            2,
            f"error: pip-audit could not ask its database ({last[:200]}): run this where it can be reached",
        )
    return verdict(packages)


def verdict(packages: list[dict[str, Any]]) -> tuple[int, str]:
    """Exit code and words for what pip-audit found out about each package."""
    lines = [
        f"{package['name']} {package['version']}: {found['id']}, mended in"
        f" {', '.join(found['fix_versions']) or 'no version yet'}"
        for package in packages
        for found in package.get("vulns", ())
    ]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown:
        lines.append(
            f"error: {len(unknown)} of {len(packages)} packages could not be looked up, the first of them"
            f" {unknown[0]}: run this where pip-audit's database can be reached"
        )
        return 2, "\n".join(lines)
    if not packages:
        return 2, "error: no package is pinned: name a constraints file with lines like numpy==2.0.0"
    if lines:
        return 1, "\n".join(lines)
    return 0, f"{len(packages)} packages without a known advisory"


if __name__ == "__main__":
    code, words = audit(sys.argv[1])
    sys.stdout.write(f"{words}\n")
    sys.exit(code)
