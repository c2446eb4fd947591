"""Reports: one HTML file without script that needs nothing from anywhere, for a colleague or a printer."""

from aurora.reports.writing import write_report

__all__ = ["write_report"]
