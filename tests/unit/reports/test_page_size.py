"""A report has a sane size, whatever is in the alerts: what is estimated before writing is what is written."""

from __future__ import annotations

import pytest

from aurora.reports.page import render
from aurora.services.report import _LINE_BYTES, _LINES_BYTES, _fitting
from aurora.services.report_alert import LONGEST_TITLE, LONGEST_WHO, cut, size
from aurora.services.report_tally import Tally
from tests.unit.reports.pages import evidence, line, outcome, report

TEXTS = ["plain words of a sensor", '"' * 5000, "\u202e" * 5000, "\u6f22\u5b57" * 5000, "<" * 100_000]


def written(*alerts, full: int) -> int:
    return len("".join(render(report(*alerts, full=full))).encode())


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:6]))
def test_an_alert_in_full_takes_no_more_than_was_estimated(text):
    alerts = [outcome(n, text, verdict={"evidence": [evidence(k, text) for k in range(1, 120)]}) for n in range(1, 6)]
    estimated = size(report(alerts[0]).full[0])

    each = (written(*alerts, full=5) - written(alerts[0], full=1)) / 4

    assert estimated * 0.4 < each < estimated * 1.1


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:6]))
def test_an_alert_in_a_line_takes_no_more_than_was_estimated(text):
    alerts = [outcome(n, text, label="benign") for n in range(1, 102)]
    (kept,) = report(alerts[0]).tally.worst
    estimated = _LINE_BYTES + size(cut(kept.title, LONGEST_TITLE)) + size(cut(kept.who, LONGEST_WHO))

    each = (written(*alerts, full=0) - written(alerts[0], full=0)) / 100

    assert each < estimated * 1.1


def test_lines_with_very_long_values_are_fewer():
    tally = Tally(keep=20_000)
    for number in range(10_000):
        tally.add(line(outcome(number, "\u6f22" * 500, label="benign")))
    tally.finish()

    fitting = _fitting(tally.worst)

    assert 0 < len(fitting) < 10_000
    assert len(fitting) * (_LINE_BYTES + 3 * (LONGEST_TITLE + LONGEST_WHO)) < _LINES_BYTES * 1.1
