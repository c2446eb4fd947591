"""Values as a model writes them."""

from __future__ import annotations

from aurora.kernel.models import Observable
from aurora.kernel.observables import recognise
from aurora.sdk import RetryWithHint


def observable(text: str) -> Observable:
    """Return the technical value that a model named.

    Raises:
        RetryWithHint: it is none.
    """
    try:
        return recognise(text)
    except ValueError:
        raise RetryWithHint(
            "give one value as it stands in the evidence: an IP address, domain, URL, hash, e-mail address or CVE id"
        ) from None
