"""Ships the template in the wheel, as a git bundle with its history.

With the history in the wheel every render records a commit, and an update can render the old version of the template as
well as the new one, offline.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLE = "generator/scaffold_model/template.bundle"


class TemplateBundle(BuildHookInterface):  # type: ignore[misc]
    """Makes the bundle from the clone; an sdist carries it on to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the bundle to what is built; an editable installation reads the clone itself and needs none."""
        if version == "editable":
            return
        root = Path(self.root)
        bundle = root / BUNDLE
        if (root / ".git").exists():
            make_bundle(root, bundle)
        elif not bundle.is_file():
            raise SystemExit(
                "scaffold-model: this source tree has no git history; build from a clone or from the sdist"
            )
        target = "scaffold_model/template.bundle" if self.target_name == "wheel" else BUNDLE
        build_data["force_include"][str(bundle)] = target

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave no bundle behind in a clone, where it would hide the template that is being worked on."""
        if (Path(self.root) / ".git").exists():
            (Path(self.root) / BUNDLE).unlink(missing_ok=True)


def make_bundle(root: Path, bundle: Path) -> None:
    """Bundle HEAD with its whole history and the tags; a shallow clone would make a bundle that nobody can use."""
    shallow = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--is-shallow-repository"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if shallow == "true":
        raise SystemExit("scaffold-model: this clone is shallow; run `git fetch --unshallow` and build again")
    subprocess.run(["git", "-C", str(root), "bundle", "create", "--quiet", str(bundle), "HEAD", "--tags"], check=True)
