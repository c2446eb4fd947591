"""How far apart things may be and still belong together."""

from __future__ import annotations

from datetime import timedelta

WINDOW = timedelta(hours=24)
"""An occurrence within this time of the last joins the alert; related alerts are at most this far apart."""

HUB = 20
"""A value that more alerts than this name within the window ties nothing together: a proxy, a scanner, a domain."""
