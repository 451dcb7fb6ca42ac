"""Ask pip-audit about every pinned version: `make audit`.

    python audit.py PIP_AUDIT CONSTRAINTS

Exit 1 where a weakness is known of which SECURITY.md has no note; 0 otherwise, also where the service could not be
asked, which is said.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

NOTES = Path(__file__).parents[2] / "SECURITY.md"


def main(pip_audit: str, constraints: str) -> int:
    """Print what is known."""
    command = [pip_audit, "--requirement", constraints, "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        rows = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines() or ["no answer"]
        print(f"NOT AUDITED: {lines[-1]}")
        return 0
    asked = [row for row in rows if "skip_reason" not in row]
    notes, known, unnoted = NOTES.read_text(encoding="utf-8"), 0, 0
    for row in asked:
        for weakness in row["vulns"]:
            names = [weakness["id"], *weakness.get("aliases", [])]
            noted = any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", notes) for name in names)
            fixed = ", ".join(weakness.get("fix_versions", [])) or "none"
            where = ", see SECURITY.md" if noted else ""
            print(f"{row['name']} {row['version']}: {weakness['id']}, mended in {fixed}{where}")
            known, unnoted = known + 1, unnoted + (not noted)
    print(f"{len(asked)} of {len(rows)} packages audited, {known} known weaknesses, {unnoted} without a note")
    if not asked:
        print("NOT AUDITED: the service knows none of them, or cannot be reached")
    return 1 if unnoted else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
