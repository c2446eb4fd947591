"""Cases in a report: the worst first, and no alert of theirs unaccounted for."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from aurora.reports.page import render
from aurora.services.report_tally import Tally
from tests.unit.reports.pages import CASE, NOON, line, outcome, report


def test_a_case_with_one_critical_alert_stands_before_one_with_many_medium_ones() -> None:
    medium, critical = UUID(int=71), UUID(int=72)
    tally = Tally(keep=10)
    for number in range(5):
        tally.add(line(outcome(number + 1, "harmless", severity="medium", case_id=medium)))
    tally.add(line(outcome(9, "harmless", severity="critical", case_id=critical)))

    assert sorted(tally.cases, key=lambda case_id: tally.cases[case_id].badness) == [critical, medium]


def test_alerts_of_a_case_that_have_no_details_are_counted_beside_the_links() -> None:
    alerts = [outcome(number, "harmless", case_id=CASE) for number in range(1, 13)]

    assert "and 4 more" in "".join(render(report(*alerts)))
    assert "and 10 more" in "".join(render(report(*alerts, full=2)))
    assert " more</span>" not in "".join(render(report(*alerts[:3])))


def test_one_broken_clock_does_not_stretch_the_time_in_the_head() -> None:
    alerts = [outcome(number, "harmless") for number in range(1, 60)]
    broken = outcome(99, "harmless", event_time=NOON - timedelta(days=20_000))

    head = "".join(render(report(*alerts, broken))).partition("</header>")[0]

    assert "nearly all" in head
    assert f"{(NOON - timedelta(days=20_000)).year}" not in head
