"""What outsiders write must not fill the memory through caches."""

from __future__ import annotations

from aurora.kernel import _canonical, observables
from aurora.kernel.models import ObservableType


def test_long_values_are_canonical_but_not_kept() -> None:
    path = "C:\\" + "a" * _canonical.CACHED
    before = _canonical._cached.cache_info().currsize, observables._cached.cache_info().currsize

    found = observables.recognise(path)

    assert (found.type, found.value) == (ObservableType.FILE_PATH, path)
    assert (_canonical._cached.cache_info().currsize, observables._cached.cache_info().currsize) == before
