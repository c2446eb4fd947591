"""Writes docs/reference/cli.md from the commands themselves: `python scripts/docs_cli.py`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from aurora.cli._help import paragraphs
from aurora.cli.main import COMMANDS, EPILOG, aurora

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"

_INTRODUCTION = """\
# Command line

<!-- Written by scripts/docs_cli.py from the commands themselves; do not edit. -->

{about}

```text
{epilog}
```

Results go to standard output; progress, warnings and errors to standard error. Colours and progress bars appear on
a terminal only; `NO_COLOR` turns colours off. With `--json`, standard output is JSON and nothing else: one object a
line, control and reordering characters escaped.
"""


def render() -> str:
    """Return the page."""
    about = inspect.getdoc(aurora) or ""
    parts = [_INTRODUCTION.format(about=about.partition("\n")[0], epilog=EPILOG.strip())]
    for name, (_, summary) in COMMANDS.items():
        app = importlib.import_module(f"aurora.cli.{name}").app
        commands = [(each.name, each.callback) for each in app.registered_commands]
        if len(commands) == 1 and app.registered_callback is None:
            parts.extend(_command(f"aurora {name}", commands[0][1], level=2))
            continue
        parts.append(f"## aurora {name}\n\n{summary}\n")
        for sub, callback in commands:
            parts.extend(_command(f"aurora {name} {sub or callback.__name__}", callback, level=3))
    return "\n".join(parts)


def _command(path: str, callback: Callable[..., Any], *, level: int) -> Iterator[str]:
    arguments, options = [], []
    hints = get_type_hints(callback, include_extras=True)
    for name, parameter in inspect.signature(callback).parameters.items():
        kind, info = get_args(hints[name])[0], get_args(hints[name])[1]
        row = _row(name, kind, info, parameter.default)
        (options if type(info).__name__ == "OptionInfo" else arguments).append(row)
    usage = " ".join([path, *(name for name, _ in arguments), "[OPTIONS]"])
    yield f"{'#' * level} {path}\n"
    yield f"```text\n{usage}\n```\n"
    yield _prose(inspect.getdoc(callback) or "")
    rows = [*arguments, *options]
    if rows:
        yield "| | |\n|---|---|\n" + "\n".join(f"| `{name}` | {text} |" for name, text in rows) + "\n"


def _prose(doc: str) -> str:
    """Return a docstring with its examples as blocks of code."""
    blocks = [
        "\n".join(["```sh", inspect.cleandoc(text), "```"]) if is_example else text
        for text, is_example in paragraphs(doc)
    ]
    return "\n\n".join(blocks).replace("\n```\n\n```sh\n", "\n") + "\n"


def _row(name: str, kind: Any, info: Any, default: Any) -> tuple[str, str]:
    told = info.help or ""
    if info.show_default and default not in (None, False, inspect.Parameter.empty):
        told += f" Default: `{default}`."
    if type(info).__name__ == "ArgumentInfo":
        return info.metavar or name.upper(), told
    # Within Annotated, Typer finds the first name of an option where its default would stand.
    names = [each for each in (info.default, *(info.param_decls or ())) if str(each).startswith("-")]
    spelled = ", ".join(names or [f"--{name.replace('_', '-')}"])
    takes = "" if kind is bool else f" {info.metavar or 'N'}"
    return spelled + takes, told + (" Required." if default is inspect.Parameter.empty else "")


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE.name}")
