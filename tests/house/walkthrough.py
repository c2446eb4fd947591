"""Follows a page of the documentation as its reader would: writes its files, types its commands, compares."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block; `title` names the file that it is, from the folder that the reader is in."""

    language: str
    title: str | None
    text: str

    @property
    def is_followed(self) -> bool:
        """Whether it is something to do, and not only to read."""
        return self.title is not None or self.language == "console"

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command of a console with the output that the page shows for it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page; each fence must be one that is understood."""
    text = page.read_text(encoding="utf-8")
    found = [Block(**match.groupdict()) for match in _BLOCK.finditer(text)]
    assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(found), f"{page}: a fence is not understood"
    return found


class Shell:
    """One bash for a whole page, so that `cd` and `activate` last."""

    END = "::end-of-command::"

    def __init__(self, bash: subprocess.Popen[str]) -> None:
        self._bash = bash

    @classmethod
    @contextmanager
    def open(cls, folder: Path, *, wheels: Path) -> Iterator[Shell]:
        """Open a shell in an empty folder, with an empty home; pip has Aurora's wheel and no network."""
        home, work = folder / "home", folder / "work"
        home.mkdir()
        work.mkdir()
        ours = sysconfig.get_path("scripts")
        path = [str(Path(sys.base_prefix) / "bin"), *(each for each in os.environ["PATH"].split(":") if each != ours)]
        environ = {
            "PATH": ":".join(path),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # sic: 0 is how pip spells it in a variable
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(["bash"], cwd=work, env=environ, text=True, **pipes) as bash:
            yield cls(bash)

    def run(self, command: str) -> tuple[int, str]:
        """Run a command and return its exit status and all that it said."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '%s %s\\n' '{self.END}' $?\n")
        self._bash.stdin.flush()
        lines: list[str] = []
        for line in self._bash.stdout:
            before, end, status = line.partition(self.END)
            lines.append(before)
            if end:
                return int(status), "".join(lines)
        raise AssertionError(f"the shell ended in: {command}\n{''.join(lines)}")

    def value(self, expression: str) -> str:
        """Return what an expression, such as `$PWD`, stands for."""
        return self.run(f"echo {expression}")[1].strip()

    def lend(self) -> None:
        """Let the active environment borrow third parties from that of the tests, as if pip had fetched them."""
        site = next(Path(self.value("$VIRTUAL_ENV"), "lib").glob("python*/site-packages"))
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")


def follow(page: Path, shell: Shell, *, after: Callable[[str], None] | None = None) -> int:
    """Do what a page says, in order; return how many commands that were.

    A command must succeed, unless the output that is shown begins with a complaint of Aurora.

    Args:
        page: The page.
        shell: Where to.
        after: Called with each command that is done.
    """
    count = 0
    for block in blocks(page):
        if block.title is not None:
            file = Path(shell.value("$PWD"), block.title)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.is_followed:
            for command, shown in block.commands():
                status, said = shell.run(command)
                assert (status != 0) == shown.startswith("aurora: "), f"$ {command}\n{said}"
                assert not shown.strip() or matches(shown, said), f"$ {command}\n-- shown\n{shown}\n-- said\n{said}"
                if after is not None:
                    after(command)
                count += 1
    return count


def matches(shown: str, said: str) -> bool:
    """Tell whether output is as shown: `…` stands for anything, and columns may be wider than the page has them."""
    pattern = ".*".join(re.escape(part) for part in _squeezed(shown).split("…"))
    return re.fullmatch(pattern, _squeezed(said), re.DOTALL) is not None


def _squeezed(text: str) -> str:
    return "\n".join(re.sub(r"(?<=\S) +", " ", line).rstrip() for line in text.strip().splitlines())
