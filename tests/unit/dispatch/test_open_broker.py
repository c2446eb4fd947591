"""Which broker a URL opens; what is wrong is said before anything connects."""

from __future__ import annotations

import sys

import pytest

from aurora.dispatch.brokers.limits import Limits
from aurora.dispatch.brokers.open import open_broker
from aurora.kernel.errors import ConfigError, MissingExtra


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("local://", "local"),
        ("redis://nowhere.example:6379/0", "redis"),
        ("rediss://nowhere.example", "redis"),
        ("unix:///nowhere", "redis"),
        ("nats://nowhere.example:4222", "nats"),
        ("tls://nowhere.example:4222", "nats"),
    ],
)
async def test_a_url_opens_its_broker_and_a_server_that_is_away_stops_nobody(url, name, clock) -> None:
    async with open_broker(url, clock=clock) as broker:
        assert broker.name == name


@pytest.mark.parametrize("url", ["http://user:geheim@host", "", "geheim", "redis://user:geheim@host:port/0"])
async def test_a_url_that_is_none_is_refused_without_its_password(url, clock) -> None:
    with pytest.raises(ConfigError, match="the broker URL cannot be read; expected") as refused:
        async with open_broker(url, clock=clock):
            pass

    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(("url", "package"), [("redis://host", "redis"), ("nats://host", "nats")])
async def test_a_client_that_is_not_installed_is_named_with_the_command(url, package, clock, monkeypatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == package] or [package]:
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(MissingExtra, match=rf"pip install 'aurora-soc\[{package}\]'"):
        async with open_broker(url, clock=clock):
            pass


@pytest.mark.parametrize("name", ["max_entries", "retention", "redeliver_after"])
def test_limits_that_bound_nothing_are_refused(name) -> None:
    nothing = type(getattr(Limits(), name))()

    with pytest.raises(ValueError, match="must be positive"):
        Limits(**{name: nothing})
