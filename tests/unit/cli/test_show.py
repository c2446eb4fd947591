"""Text from anywhere is harmless in a terminal and in JSON."""

from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from aurora.cli._json import json_line
from aurora.cli._show import LogHandler, complain, out, plain, plural, table, tail, when
from aurora.kernel.untrusted import UntrustedText, clean

ANY_TEXT = st.text(st.characters(codec=None))


@given(ANY_TEXT)
def test_json_gives_back_every_text_and_holds_nothing_that_moves_a_cursor(text):
    line = json_line({"title": text})

    assert json.loads(line)["title"] == text
    assert line == clean(line), "nothing is left to clean"
    assert "\n" not in line


@given(ANY_TEXT)
def test_plain_text_is_one_line_without_controls(text):
    shown = plain(text).plain

    assert shown == clean(shown)
    assert "\n" not in shown
    assert "\t" not in shown


def test_plain_text_is_cut_with_a_mark_and_takes_untrusted_text():
    assert plain(UntrustedText("x" * 10), limit=4).plain == "xxx…"
    assert plain(None).plain == ""


def test_markup_in_data_is_shown_not_read(capsys):
    out().print(plain("[bold red]x[/] :skull: [link=http://evil.example]y[/link]"))

    assert capsys.readouterr().out == "[bold red]x[/] :skull: [link=http://evil.example]y[/link]\n"


def test_colours_are_for_terminals_and_no_color_turns_them_off(monkeypatch, capsys):
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    out().print(plain("piped", style="bold red"))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out().print(plain("terminal", style="red"))
    monkeypatch.setenv("NO_COLOR", "1")
    out().print(plain("plain", style="red"))

    piped, terminal, without = capsys.readouterr().out.splitlines()
    assert piped == "piped"
    assert "\x1b[31m" in terminal
    assert "31m" not in without


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_never_is_wider_than_the_window(width):
    stream = io.StringIO()
    grid = table("id", "title", stretch="title")
    grid.add_row("1", plain("long " * 100))

    Console(file=stream, width=width).print(grid)

    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= width
    assert lines[1].rstrip().endswith("…")


def test_a_complaint_is_one_line_however_long(capsys):
    complain("word " * 100)

    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_log_line_has_fields_and_a_traceback_only_when_asked_for():
    streams = {wanted: io.StringIO() for wanted in (False, True)}
    try:
        int("secret \x1b[2J")
    except ValueError as error:
        failure = (type(error), error, error.__traceback__)
    record = logging.LogRecord("aurora.x", logging.WARNING, "x.py", 1, "task.failed", None, failure)
    record.task_id = "t1"

    for wanted, stream in streams.items():
        LogHandler(Console(file=stream, width=200), tracebacks=wanted).emit(record)

    assert streams[False].getvalue() == "warning task.failed error=ValueError task_id=t1\n"
    assert "Traceback" in streams[True].getvalue()
    assert "\x1b" not in streams[True].getvalue()


def test_small_words():
    assert tail("01a20467-48d8-7000-8a90-17418f3556e1") == "8f3556e1"
    assert when("2026-06-16T08:00:05.123Z") == "2026-06-16 08:00:05"
    assert when(None) == "no time"
    assert (plural(1, "alert"), plural(2000, "alert"), plural(2, "is", "are")) == ("1 alert", "2,000 alerts", "2 are")
