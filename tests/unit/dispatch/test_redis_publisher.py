"""Opening a publisher: what is wrong is said before anything connects."""

from __future__ import annotations

import pytest

from aurora.dispatch.brokers.redis import open_redis_publisher
from aurora.kernel.errors import ConfigError


@pytest.mark.parametrize("url", ["http://user:geheim@host", "", "redis://user:geheim@host:port/0"])
async def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="expected e.g. redis://") as refused:
        async with open_redis_publisher(url):
            pass

    assert "geheim" not in str(refused.value)
