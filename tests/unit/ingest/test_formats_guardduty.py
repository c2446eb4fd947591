"""GuardDuty findings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aurora.ingest.dedup import fingerprint
from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from tests.unit.ingest.alert_fixtures import alert, document, entities, field, observables, provenance


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (10, Severity.CRITICAL),
        (9, Severity.CRITICAL),
        (8.9, Severity.HIGH),
        ("7.0", Severity.HIGH),
        (6.9, Severity.MEDIUM),
        (4, Severity.MEDIUM),
        (3.9, Severity.LOW),
        (1, Severity.LOW),
        (0.2, Severity.INFO),
        (None, Severity.MEDIUM),
    ],
)
def test_the_severity_follows_the_number(number: object, expected: Severity) -> None:
    normalised = alert("guardduty/minimal", Severity=number)

    assert normalised.severity is expected
    assert field(normalised, "aurora.unread") == []


@pytest.mark.parametrize("number", [True, "high", [8], {"Score": 8}])
def test_a_severity_that_is_no_number_is_told_and_medium(number: object) -> None:
    normalised = alert("guardduty/minimal", Severity=number)

    assert normalised.severity is Severity.MEDIUM
    assert field(normalised, "aurora.unread") == ["Severity"]


def test_both_spellings_and_the_envelope_are_the_same_alert() -> None:
    sdk, service, envelope = (
        alert(f"guardduty/{name}")
        for name in ("ssh_brute_force", "camel_case_without_envelope", "eventbridge_ssh_brute_force")
    )

    assert fingerprint(sdk) == fingerprint(service) == fingerprint(envelope)
    assert [each.name for each in sdk.fields] == [each.name for each in envelope.fields]
    assert envelope.fields[0].path == "/detail/type"


def test_the_other_side_is_source_or_destination_as_the_connection_goes() -> None:
    inbound, outbound, unknown = (
        alert(f"guardduty/{name}") for name in ("ssh_brute_force", "outbound_blocked", "ecs_task")
    )

    assert field(inbound, "source.ip") == ["198.51.100.20"]
    assert (field(inbound, "destination.port"), field(inbound, "source.port")) == (["22"], ["40022"])
    assert field(outbound, "destination.ip") == ["198.51.100.20"]
    assert (field(outbound, "source.port"), field(outbound, "destination.port")) == (["22"], ["40022"])
    assert (field(unknown, "related.ip"), field(unknown, "source.ip")) == (["198.51.100.20"], [])
    assert (field(inbound, "event.action"), field(outbound, "event.action")) == (["allowed"], ["blocked"])
    assert field(inbound, "network.transport") == ["tcp"]


def test_every_prober_is_a_source() -> None:
    normalised = alert("guardduty/port_probe")

    assert field(normalised, "source.ip") == ["198.51.100.20", "198.51.100.21"]
    assert field(normalised, "destination.port") == ["3389", "80"]


def test_a_domain_that_was_asked_for_is_written_by_whoever_asked() -> None:
    normalised = alert("guardduty/dns_request")

    assert ("domain", "pool.example.net") in observables(normalised)
    assert provenance(normalised, "dns.question.name") is Provenance.ATTACKER_WRITABLE


def test_a_call_tells_what_was_called_and_by_which_program() -> None:
    normalised = alert("guardduty/api_call_by_user")

    assert field(normalised, "event.action") == ["ListBuckets"]
    assert provenance(normalised, "event.action") is Provenance.SENSOR
    assert provenance(normalised, "user_agent.original") is Provenance.ATTACKER_WRITABLE
    assert ("user", "kim") in entities(normalised)
    assert provenance(normalised, "user.name") is Provenance.IDENTITY_SERVER


def test_the_session_name_of_a_role_is_what_its_caller_made_up() -> None:
    user, role = alert("guardduty/api_call_by_user"), alert("guardduty/assumed_role_error")

    assert provenance(user, "user.id") is Provenance.IDENTITY_SERVER
    assert provenance(role, "user.id") is Provenance.ATTACKER_WRITABLE
    assert field(role, "event.error_code") == ["AccessDenied"]
    assert field(role, "source.cloud.account.id") == ["444455556666"]


def test_every_account_has_a_root_of_its_own() -> None:
    assert ("user", "root@111122223333") in entities(alert("guardduty/root_credentials"))


@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("ssh_brute_force", ("host", "i-0123456789abcdef0")),
        ("s3_exfiltration", ("application", "arn:aws:s3:::lab-bucket")),
        ("kubernetes_anonymous", ("application", "arn:aws:eks:eu-central-1:111122223333:cluster/lab")),
        ("kubernetes_anonymous", ("user", "system:anonymous")),
        ("rds_login", ("application", "arn:aws:rds:eu-central-1:111122223333:db:lab-db")),
        ("rds_login", ("user", "lab_app")),
        ("lambda_connection", ("application", "arn:aws:lambda:eu-central-1:111122223333:function:lab-fn")),
        ("ecs_task", ("application", "arn:aws:ecs:eu-central-1:111122223333:cluster/lab-ecs")),
        ("runtime_reverse_shell", ("process", "/usr/bin/bash")),
        ("attack_sequence", ("host", "i-0123456789abcdef0")),
        ("attack_sequence", ("application", "arn:aws:s3:::lab-bucket")),
        ("attack_sequence", ("user", "kim")),
    ],
)
def test_what_a_finding_is_about_is_an_entity(name: str, entity: tuple[str, str]) -> None:
    assert entity in entities(alert(f"guardduty/{name}"))


def test_a_user_name_that_was_only_tried_is_what_the_caller_typed() -> None:
    assert provenance(alert("guardduty/rds_login"), "user.name") is Provenance.ATTACKER_WRITABLE


def test_names_in_kubernetes_are_those_of_whoever_deployed() -> None:
    normalised = alert("guardduty/kubernetes_privileged_pod")

    for name in ("orchestrator.resource.name", "container.image.name", "url.path", "user.effective.name"):
        assert provenance(normalised, name) is Provenance.ATTACKER_WRITABLE, name
    assert provenance(normalised, "user.group.name") is Provenance.IDENTITY_SERVER
    assert ("ip", "198.51.100.20") in observables(normalised)
    assert ("ip", "not an address") not in observables(normalised)


@pytest.mark.parametrize(("name", "digest"), [("malware_in_object", "c"), ("malware_on_volume", "d")])
def test_malware_has_a_name_a_place_and_a_hash(name: str, digest: str) -> None:
    normalised = alert(f"guardduty/{name}")

    assert field(normalised, "threat.software.name")[0].startswith("Lab.")
    assert ("hash_sha256", digest * 64) in observables(normalised)
    assert provenance(normalised, "file.path") is Provenance.ATTACKER_WRITABLE


def test_the_agent_vouches_for_the_executable_and_not_for_the_command_line() -> None:
    normalised = alert("guardduty/runtime_reverse_shell")

    assert provenance(normalised, "process.executable") is Provenance.SENSOR
    assert provenance(normalised, "process.command_line") is Provenance.ATTACKER_WRITABLE
    assert field(normalised, "process.parent.executable") == ["/usr/sbin/nginx"]
    assert ("hash_sha256", "e" * 64) in observables(normalised)


def test_a_sequence_tells_its_techniques_and_signals() -> None:
    normalised = alert("guardduty/attack_sequence")

    assert normalised.severity is Severity.CRITICAL
    assert normalised.mitre_techniques == ("T1078.004", "T1485")
    assert field(normalised, "threat.technique.unmapped") == ["Something else"]
    assert field(normalised, "event.signal") == ["s3:DeleteObject"]
    assert {("ip", "198.51.100.20"), ("domain", "c2.example.net")} <= observables(normalised)


def test_a_finding_that_aws_archived_says_so_and_what_a_person_thought() -> None:
    normalised = alert("guardduty/archived")

    assert field(normalised, "event.status") == ["archived"]
    assert provenance(normalised, "event.classification") is Provenance.HUMAN
    assert field(alert("guardduty/ssh_brute_force"), "event.status") == []


def test_a_sample_finding_says_so() -> None:
    assert field(alert("guardduty/sample_finding"), "event.sample") == ["true"]
    assert field(alert("guardduty/ssh_brute_force"), "event.sample") == []


def test_the_time_is_when_it_was_seen_first() -> None:
    assert alert("guardduty/ssh_brute_force").time == datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
    assert alert("guardduty/time_unreadable").time is None
    assert field(alert("guardduty/time_unreadable"), "aurora.time_unreadable") == ["not a time"]


def test_what_has_an_odd_type_is_named_and_the_rest_is_read() -> None:
    normalised = alert("guardduty/odd_types")

    assert field(normalised, "aurora.unread") == [
        "Severity, Resource.InstanceDetails.NetworkInterfaces.0, Service.Action"
    ]
    assert ("host", "i-0123456789abcdef0") in entities(normalised)


def test_title_and_description_quote_names_that_anybody_may_choose() -> None:
    normalised = alert("guardduty/ssh_brute_force")

    assert provenance(normalised, "event.summary") is Provenance.ATTACKER_WRITABLE
    assert provenance(normalised, "event.reason") is Provenance.ATTACKER_WRITABLE
    assert normalised.rule == "UnauthorizedAccess:EC2/SSHBruteForce"


@pytest.mark.parametrize(("name", "where"), [("minimal", "Type"), ("eventbridge_ssh_brute_force", "detail.Type")])
def test_without_a_type_there_is_no_alert(name: str, where: str) -> None:
    record = document(f"guardduty/{name}")
    (record.get("detail") or record).pop("type" if "detail" in record else "Type")

    with pytest.raises(RecordRejected) as refused:
        Formats().by_id("guardduty").normalise(record, id=alert("guardduty/minimal").id)

    assert (refused.value.reason, refused.value.field) == ("missing_field", where)


@pytest.mark.parametrize(
    "record",
    [
        {"source": "aws.securityhub", "detail": {"findings": []}},
        {"Type": "Lab", "AccountId": "1", "Service": {}},
        {"Type": "Recon:EC2/Portscan", "AccountId": "1"},
        {"detail": "text", "source": "aws.guardduty"},
    ],
)
def test_other_records_of_aws_are_not_taken(record: dict[str, object]) -> None:
    assert not Formats().by_id("guardduty").matches(record)
