"""Writes an export to a file or to stdout."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from aurora.cli._show import err, plain, plural


async def write_export(pieces: AsyncGenerator[tuple[int, str], None], output: Path | None, *, force: bool) -> None:
    """Write the pieces of an export as they come, and tell on stderr how many alerts a file holds.

    Args:
        pieces: From `exported`.
        output: The file; `None` for stdout.
        force: Replace a file that is there.

    Raises:
        InputError: a file is there and may not be replaced, or the path cannot be a file.
    """
    from aurora.services.files import new_file

    async with aclosing(pieces):  # ends its transaction here, also where nobody reads on
        if output is None:
            async for _, text in pieces:
                sys.stdout.write(text)
            return
        written = 0
        with new_file(output, force=force) as file:
            async for alerts, text in pieces:
                await asyncio.to_thread(file.write, text)
                written += alerts
    err().print(plain(f"export: {output} ({plural(written, 'alert')})"), soft_wrap=True)
