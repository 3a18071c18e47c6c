"""The project's packages, built and installed as a stranger has them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(folder: Path, *options: str, source: Path = ROOT, **env: str) -> list[Path]:
    """Build packages of ``source`` into ``folder``, the wheel and the sdist, and return their files by name."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *options]
    subprocess.run(command, cwd=source, check=True, capture_output=True, env={**os.environ, **env})
    return sorted(folder.iterdir())


@dataclass(frozen=True)
class Installed:
    """A clean environment with the wheel; the locked dependencies are there, the checkout is not."""

    bin: Path
    folder: Path
    env: dict[str, str]

    def run(self, *arguments: str | Path, program: str | Path = "edge-kit") -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in a folder of its own."""
        command = [self.bin / program, *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)


def install(wheel: Path, folder: Path) -> Installed:
    """Return an environment in ``folder`` with the wheel in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    site = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    # Python reads no .pth file in a folder that a .pth file names: what points to the checkout has no effect.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", "--quiet", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return Installed(python.parent, folder, env)
