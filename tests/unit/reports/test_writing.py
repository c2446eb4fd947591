"""A report is written whole or not at all."""

from __future__ import annotations

import pytest

from aurora.kernel.errors import InputError
from aurora.reports import write_report
from aurora.services.files import check_target
from tests.unit.reports.pages import outcome, report


def test_a_report_replaces_the_one_before_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "out.html"
    target.write_text("the one before", encoding="utf-8")

    size = write_report(report(outcome(1)), target)

    assert target.stat().st_size == size
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [each.name for each in tmp_path.iterdir()] == ["out.html"]


def test_a_report_that_fails_half_way_leaves_the_one_before(tmp_path):
    target = tmp_path / "out.html"
    target.write_text("the one before", encoding="utf-8")
    broken = report(*(outcome(n) for n in range(1, 300)), full=300)
    broken.full[-1].pop("title")

    with pytest.raises(Exception, match="title"):
        write_report(broken, target)

    assert target.read_text(encoding="utf-8") == "the one before"
    assert [each.name for each in tmp_path.iterdir()] == ["out.html"]


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "link.html").symlink_to(tmp_path / "real.html")

    write_report(report(outcome(1)), tmp_path / "link.html")

    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").is_file()


def test_progress_is_told_while_a_long_report_is_written(tmp_path):
    told: list[tuple[int, int]] = []

    write_report(
        report(*(outcome(n) for n in range(1, 251)), full=120),
        tmp_path / "out.html",
        on_progress=lambda done, total: told.append((done, total)),
    )

    assert told == [(100, 250), (200, 250)]


@pytest.mark.parametrize(("name", "why"), [("", "is a directory"), ("no/out.html", "there is no directory")])
def test_a_place_that_cannot_be_written_is_told_before_any_work(tmp_path, name, why):
    with pytest.raises(InputError, match=why):
        check_target(tmp_path / name)


def test_a_device_is_never_replaced_by_a_report():
    from pathlib import Path

    with pytest.raises(InputError, match="no ordinary file"):
        check_target(Path("/dev/null"))
