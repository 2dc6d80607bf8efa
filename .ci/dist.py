"""Wheel and sdist in dist/, checked and tried: `make dist`, which runs this with build and twine installed.

The wheel is installed into a fresh environment, outside of the checkout, and used there.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
REWARD = """
from chexphi.rewards import score
gold = "<think>There is a small left effusion.</think><answer>yes</answer>"
wrong_side = gold.replace("left", "right")
totals = score(gold, gold).total, score(wrong_side, gold).total
assert totals == (2.0, 1.0), totals
print("rewards: the reference earns", totals[0], "and the wrong side", totals[1])
"""


def run(*words: object, cwd: Path = ROOT) -> None:
    """A command that has to succeed; what it prints is shown."""
    subprocess.run([str(word) for word in words], cwd=cwd, check=True)


def missing_files(wheel: Path) -> list[str]:
    """Files of the package in the checkout that the wheel lacks."""
    package = ROOT / "src" / "chexphi"
    paths = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    packed = set(zipfile.ZipFile(wheel).namelist())
    return sorted(
        {path.relative_to(package.parent).as_posix() for path in paths if path.suffix != ".pyc"} - packed
    )


def try_wheel(wheel: Path) -> None:
    """Install the wheel where nothing else is, and use it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        binaries = folder / "venv" / "bin"
        pip = (binaries / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
        run(*pip, "-c", ROOT / "constraints.txt", wheel)
        run(binaries / "chexphi", "kg", "show", "No effusion, but a possible 5 mm nodule.", cwd=folder)
        run(binaries / "python", "-c", REWARD, cwd=folder)


def main() -> int:
    """Exit code 1 if the wheel lacks a file; a command that fails raises."""
    for old in DIST.glob("chexphi-*"):
        old.unlink()
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(DIST.iterdir()))
    (wheel,) = DIST.glob("*.whl")
    if missing := missing_files(wheel):
        sys.stderr.write(
            f"error: {wheel.name} lacks {', '.join(missing)}: see package-data in pyproject.toml\n"
        )
        return 1
    try_wheel(wheel)
    sys.stdout.write(f"{', '.join(path.name for path in sorted(DIST.iterdir()))}: fit to be released\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
