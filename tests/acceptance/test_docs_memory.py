"""The examples of the page about memory run as they stand, one after the other, in an empty directory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "use-memory.md"


def test_the_examples_without_the_runtime_run_as_they_stand(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    done = [
        subprocess.run([sys.executable, "-c", each], cwd=tmp_path, capture_output=True, text=True, check=False)
        for each in blocks
    ]

    assert [each.stderr for each in done] == ["", "", ""]
    assert "web-1 is the vulnerability scanner" in done[0].stdout
    assert done[1].stdout.startswith("stored 3\n")
    assert "What did web-1 do last night?" in done[2].stdout
