"""Enrichers find what is publicly known, and trust no value more than its author deserves."""

from __future__ import annotations

import pytest

from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Entity, EntityType, Observable, ObservableType
from tests.unit.agents.making import ENRICHERS, SENSOR, WRITABLE, make_alert

DERIVED = Provenance.AGENT_DERIVED
BY_ID = {each.id: each.function for each in ENRICHERS}


@pytest.mark.parametrize(
    ("source", "destination", "way"),
    [
        ("10.0.0.7", "8.8.8.8", "outbound"),
        ("8.8.8.8", "10.0.0.7", "inbound"),
        ("10.0.0.7", "10.0.0.8", "internal"),
        ("8.8.8.8", "9.9.9.9", "external"),
        ("nonsense", "10.0.0.8", "unknown"),
    ],
)
async def test_addresses_give_direction_and_scope(knowledge, source, destination, way):
    [finding] = await BY_ID["addresses"](make_alert(("source.ip", source), ("destination.ip", destination)), knowledge)

    assert finding.attributes["direction"] == way
    assert finding.provenance is DERIVED


async def test_an_address_that_the_adversary_wrote_does_not_replace_the_sensors(knowledge):
    alert = make_alert(
        ("source.ip", "10.0.0.7", WRITABLE), ("source.ip", "8.8.8.8", SENSOR), ("destination.ip", "10.0.0.8")
    )
    claimed = make_alert(("source.ip", "10.0.0.7", WRITABLE), ("destination.ip", "10.0.0.8"))

    [seen], [written] = [await BY_ID["addresses"](each, knowledge) for each in (alert, claimed)]

    assert (seen.attributes["direction"], seen.provenance) == ("inbound", DERIVED)
    assert written.provenance is WRITABLE


async def test_an_alert_without_addresses_gets_no_direction(knowledge):
    assert await BY_ID["addresses"](make_alert(), knowledge) == []


async def test_a_listed_address_is_found_with_its_role_and_the_provenance_of_the_value(knowledge):
    alert = make_alert(
        observables=(
            Observable(type=ObservableType.IP, value="8.8.8.8"),
            Observable(type=ObservableType.DOMAIN, value="www.google.com", provenance=WRITABLE),
        ),
        entities=(Entity(type=EntityType.ADDRESS, value="8.8.8.8", role="source"),),
    )

    findings = await BY_ID["warning_lists"](alert, knowledge)

    by_value = {finding.attributes["value"]: finding for finding in findings}
    assert by_value["8.8.8.8"].attributes["role"] == "source"
    assert by_value["8.8.8.8"].provenance is DERIVED
    assert by_value["www.google.com"].provenance is WRITABLE


async def test_techniques_get_name_and_tactics(knowledge):
    alert = make_alert(("threat.technique.id", "T1486"), mitre_techniques=("T1486", "T9999"))

    [finding] = await BY_ID["techniques"](alert, knowledge)

    assert finding.attributes == {"id": "T1486", "name": "Data Encrypted for Impact", "tactics": "impact"}
    assert finding.provenance is DERIVED


async def test_software_is_told_from_the_most_trustworthy_place(knowledge):
    alert = make_alert(("process.command_line", "mimikatz.exe"), title="Mimikatz credential theft tool")

    told = await BY_ID["software"](alert, knowledge)
    named = await BY_ID["software"](make_alert(("process.command_line", "mimikatz.exe")), knowledge)

    assert [(each.attributes["name"], each.provenance) for each in told] == [("Mimikatz", DERIVED)]
    assert [(each.attributes["name"], each.provenance) for each in named] == [("Mimikatz", WRITABLE)]


async def test_the_registered_domain_of_names_urls_and_mail_is_found_once(knowledge):
    alert = make_alert(
        observables=(
            Observable(type=ObservableType.URL, value="http://mail.evil.co.uk/a", provenance=WRITABLE),
            Observable(type=ObservableType.DOMAIN, value="www.evil.co.uk", provenance=WRITABLE),
            Observable(type=ObservableType.EMAIL, value="ada@example.org"),
            Observable(type=ObservableType.DOMAIN, value="dc01.corp.local"),
        )
    )

    findings = await BY_ID["domains"](alert, knowledge)

    assert [(each.attributes["registered"], each.provenance) for each in findings] == [
        ("evil.co.uk", WRITABLE),
        ("example.org", DERIVED),
    ]
