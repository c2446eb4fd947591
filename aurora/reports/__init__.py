"""Reports: one HTML file without script that needs nothing from anywhere, for a colleague or a printer."""

from aurora.reports.writing import check_target, write_report

__all__ = ["check_target", "write_report"]
