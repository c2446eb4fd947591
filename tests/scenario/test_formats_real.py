"""The formats on real records, where the open data set is at hand (`OPEN_DATA`, or `../shared/data/open`)."""

from __future__ import annotations

import lzma
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
import pytest

from aurora.ingest.formats.registry import Formats
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, EntityType, ObservableType
from tests.scenario.open_data import open_data

ALERT_ID = AlertId(UUID(int=1))

EXPECTED = {
    "suricata_eve": ("suricata", 764, 0),
    "suricata_eve_attack_captures": ("suricata", 178, 1928),
    "microsoft_sentinel_securityalert": ("microsoft", 131, 0),
    "zeek_apt29_day1": ("zeek", 2, 2138),
    "zeek_zat": ("zeek", 2, 1864),
}
"""File: format, alerts, records of context."""


def _documents(name: str) -> Iterator[dict[str, Any]]:
    with lzma.open(open_data(f"alerts/{name}.jsonl.xz")) as lines:
        yield from map(orjson.loads, lines)


def _alerts(name: str) -> list[Alert]:
    chosen = Formats().by_id(EXPECTED[name][0])
    return [
        chosen.normalise(document, id=ALERT_ID) for document in _documents(name) if chosen.context(document) is None
    ]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_record_is_recognised_and_every_alert_normalised(name: str) -> None:
    format_id, alerts, context = EXPECTED[name]
    formats = Formats()

    matching = Counter(tuple(each.id for each in formats if each.matches(document)) for document in _documents(name))

    assert matching == {(format_id,): alerts + context}
    assert len(_alerts(name)) == alerts


@pytest.mark.parametrize("name", EXPECTED)
def test_nothing_real_is_left_unread(name: str) -> None:
    notes = Counter(
        str.__str__(field.value)
        for alert in _alerts(name)
        for _, field in alert.named("aurora.unread", "aurora.time_unreadable", "threat.technique.unmapped")
    )

    assert notes == {}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_rule_has_one_name_and_a_time(name: str) -> None:
    titles: defaultdict[str, set[str]] = defaultdict(set)
    for alert in _alerts(name):
        titles[alert.rule].add(alert.title)
        assert alert.time is not None

    assert sum(len(names) > 1 for names in titles.values()) <= 2, "two of Microsoft's detectors name the malware"


@pytest.mark.parametrize("name", EXPECTED)
def test_domains_have_dots_and_are_no_addresses(name: str) -> None:
    domains = {
        each.value for alert in _alerts(name) for each in alert.observables if each.type is ObservableType.DOMAIN
    }

    assert not [domain for domain in domains if "." not in domain or domain.replace(".", "").isdecimal()]


def test_every_endpoint_alert_names_its_host() -> None:
    hostless = [
        alert.title
        for alert in _alerts("microsoft_sentinel_securityalert")
        if "Advanced Threat Protection" in alert.product
        and alert.product.startswith("Microsoft Defender")
        and not any(entity.type is EntityType.HOST for entity in alert.entities)
    ]

    assert hostless == []


def test_labels_change_nothing() -> None:
    chosen = Formats().by_id("suricata")
    for document in _documents("suricata_eve_attack_captures"):
        if chosen.context(document) is None:
            bare = {key: value for key, value in document.items() if not key.startswith("_")}

            assert chosen.normalise(document, id=ALERT_ID) == chosen.normalise(bare, id=ALERT_ID)
