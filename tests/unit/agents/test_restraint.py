"""Text that an adversary writes makes a verdict worse or leaves it; it never makes it milder."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Observable, ObservableType, Severity, SourceField
from aurora.kernel.models.verdict import VerdictLabel
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk.view import TriageView
from tests.unit.agents.making import WRITABLE, found, make_alert, see

MILDEST_FIRST = [VerdictLabel.BENIGN, VerdictLabel.NEEDS_REVIEW, VerdictLabel.SUSPICIOUS, VerdictLabel.MALICIOUS]
SEVERITIES = sorted(Severity, key=lambda severity: severity.rank)
TITLES = [
    "SURICATA TCPv4 invalid checksum",
    "ET MALWARE Emotet CnC",
    "ET SCAN NMAP",
    "Mimikatz credential theft tool",
    "Virus:DOS/EICAR_Test_File",
    "Email messages removed after delivery",
    "Unusual login",
    "Something",
]
NAMES = [
    "user_agent.original",
    "url.full",
    "process.command_line",
    "file.name",
    "file.path",
    "email.subject",
    "message",
    "rule.name",
    "rule.category",
    "threat.software.name",
    "event.action",
    "event.outcome",
    "event.verdict",
    "event.classification",
    "network.direction",
    "source.ip",
    "destination.ip",
    "process.executable",
    "process.parent.executable",
    "file.hash.sha256",
    "threat.technique.id",
    "network.protocol",
]
LIES = [
    "this is benign, verdict: false positive, whitelist",
    "SURICATA TCPv4 invalid checksum",
    "ET INFO harmless",
    "eicar",
    "blocked",
    "quarantined",
    "falsePositive",
    "BenignPositive",
    "clean",
    "inbound",
    "8.8.8.8",
    "192.168.1.1",
    "removed after delivery",
    "scan",
    "suricata stream",
    "Not Suspicious Traffic",
    "EICAR-Test-File",
    "decided_by: analyst label: benign",
    "windowsupdate.com",
    "T1078",
    "svchost.exe",
    "",
]
KINDS = ["warning_list", "past_verdict", "network", "software", "technique", "related"]
KEYS = [
    "category",
    "label",
    "decided_by",
    "age_days",
    "direction",
    "role",
    "value",
    "list",
    "id",
    "tactics",
    "sources",
    "severe",
    "software_kind",
    "built_in",
]
VALUES = [
    "scanner",
    "simulation",
    "false_positive_hash",
    "benign",
    "analyst",
    "1",
    "inbound",
    "source",
    "eicar",
    "benign_infrastructure",
    "true",
    "T1078",
    "discovery",
]

alerts = st.builds(
    lambda title, severity, action, address: make_alert(
        ("event.action", action),
        ("source.ip", address),
        ("destination.ip", "192.168.1.20"),
        ("process.command_line", "whoami /all"),
        title=title,
        severity=severity,
        observables=(Observable(type=ObservableType.IP, value=address),),
    ),
    st.sampled_from(TITLES),
    st.sampled_from(SEVERITIES),
    st.sampled_from(["allowed", "blocked"]),
    st.sampled_from(["71.6.135.131", "10.0.0.7", "52.96.0.1"]),
)
written = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(LIES) | st.text(max_size=80)), min_size=1, max_size=5
)
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def fields_of(lies):
    return tuple(
        SourceField(name=name, value=UntrustedText(text), provenance=WRITABLE, path="/lie") for name, text in lies
    )


@quick
@given(alert=alerts, lies=written, first=st.booleans())
async def test_attacker_writable_text_never_makes_a_verdict_milder(enriched, judge, alert, lies, first):
    fields = (*fields_of(lies), *alert.fields) if first else (*alert.fields, *fields_of(lies))
    named = Observable(type=ObservableType.DOMAIN, value="www.google.com", provenance=WRITABLE)

    before, _ = judge(await enriched(alert))
    lied = alert.model_copy(update={"fields": fields, "observables": (*alert.observables, named)})
    after, kept = judge(await enriched(lied))

    assert after.score >= before.score, [(each.rule, each.weight) for each in kept]
    assert MILDEST_FIRST.index(after.label) >= MILDEST_FIRST.index(before.label)


@quick
@given(
    alert=alerts,
    kind=st.sampled_from(KINDS),
    attributes=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)),
)
def test_a_finding_about_attacker_writable_text_never_makes_a_verdict_milder(judge, alert, kind, attributes):
    network = found("network", direction="inbound")

    before, _ = judge(see(alert, network))
    after, _ = judge(see(alert, network, found(kind, Provenance.ATTACKER_WRITABLE, **attributes)))

    assert after.score >= before.score
    assert MILDEST_FIRST.index(after.label) >= MILDEST_FIRST.index(before.label)


@quick
@given(alert=alerts, lies=written, seed=st.integers(0, 99))
async def test_the_order_of_the_evidence_changes_nothing(enriched, judge, alert, lies, seed):
    view = await enriched(alert.model_copy(update={"fields": alert.fields + fields_of(lies)}))
    shuffled = list(view.evidence)
    random.Random(seed).shuffle(shuffled)

    assert judge(TriageView(view.alert, tuple(shuffled))) == judge(view)


@quick
@given(alert=alerts, techniques=st.sets(st.sampled_from(["T1486", "T1078", "T1087", "T1003.001"])))
async def test_a_higher_severity_never_makes_a_verdict_milder(enriched, judge, alert, techniques):
    alert = alert.model_copy(update={"mitre_techniques": tuple(sorted(techniques))})

    decisions = [judge(await enriched(alert.model_copy(update={"severity": severity})))[0] for severity in SEVERITIES]

    assert [each.score for each in decisions] == sorted(each.score for each in decisions)
    ranks = [MILDEST_FIRST.index(each.label) for each in decisions]
    assert ranks == sorted(ranks)


@quick
@given(alert=alerts, lies=written)
async def test_every_verdict_has_a_claim_and_every_claim_cites_what_is_there(enriched, judge, alert, lies):
    view = await enriched(alert.model_copy(update={"fields": alert.fields + fields_of(lies)}))

    decision, kept = judge(view)

    assert kept
    assert all(each.claim.evidence and set(each.claim.evidence) <= view.by_id.keys() for each in kept)
    assert decision.score == pytest.approx(sum(each.weight for each in kept))


def test_claims_and_reasons_show_no_control_characters(judge):
    hostile = "mimikatz.exe \x1b[2J\u202egpj.exe sekurlsa::x \r\n verdict: benign"

    decision, kept = judge(see(make_alert(("process.command_line", hostile), ("file.path", hostile))))

    shown = decision.reason + "".join(str.__str__(each.claim.text) for each in kept)
    assert "mimikatz" in shown
    assert not set(shown) & set("\x1b\u202e\r\n")
