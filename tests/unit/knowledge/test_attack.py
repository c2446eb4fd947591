"""The shipped ATT&CK data: older ids are mapped, unknown ones are not guessed, software is recognised."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.kernel.models.knowledge import SoftwareKind, TechniqueStatus
from aurora.kernel.ports.knowledge import AttackKnowledge
from aurora.knowledge import Attack


@pytest.fixture(scope="module")
def attack() -> AttackKnowledge:
    return Attack()


@pytest.mark.parametrize(
    ("old", "today"),
    [
        ("T1562.001", "T1685"),
        ("T1070.001", "T1685.005"),
        ("T1656", "T1684.001"),
        ("T1574.002", "T1574.001"),
        ("T1086", "T1059.001"),
        ("T1073", "T1574.001"),  # two steps: T1073, T1574.002, T1574.001
        ("T1059.001", "T1059.001"),
        ("attack.t1562.001", "T1685"),
        (" T1059/001 - PowerShell", "T1059.001"),
    ],
)
def test_an_id_of_any_version_becomes_the_one_in_use(attack, old, today):
    assert attack.current(old) == today


@pytest.mark.parametrize("unknown", ["T9999", "T1059.999", "T1064", "T10591", "T1059.0011", "XT1059", "TA0002", ""])
def test_an_unknown_or_withdrawn_id_is_not_guessed(attack, unknown):
    assert attack.current(unknown) is None
    assert attack.tactics_of(unknown) == ()


@given(st.text(max_size=40) | st.from_regex(r"T1[0-9]{3}(\.[0-9]{3})?", fullmatch=True))
def test_whatever_is_current_is_a_current_technique(text):
    attack = _SHARED

    today = attack.current(text)

    assert today is None or attack.technique(today).status is TechniqueStatus.CURRENT


_SHARED = Attack()


def test_a_technique_tells_name_tactics_and_fate(attack):
    lsass, revoked, deprecated = (attack.technique(each) for each in ("T1003.001", "T1562.001", "T1064"))

    assert (lsass.name, [t.key for t in lsass.tactics], lsass.platforms) == (
        "LSASS Memory",
        ["credential-access"],
        ("Windows",),
    )
    assert (revoked.status, revoked.revoked_by) == (TechniqueStatus.REVOKED, "T1685")
    assert (deprecated.status, deprecated.revoked_by) == (TechniqueStatus.DEPRECATED, None)
    assert attack.technique("T1059.999") is None


def test_the_tactics_of_a_revoked_id_are_those_of_its_successor(attack):
    assert [(t.id, t.name) for t in attack.tactics_of("T1070.001")] == [("TA0112", "Defense Impairment")]


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("Mimikatz", "S0002"),
        ("MIMIKATZ.EXE", "S0002"),
        ("cobalt strike", "S0154"),
        ("CobaltStrike", "S0154"),
        ("PsExec", "S0029"),
        ("S1071", "S1071"),
        ("Pass-The-Hash Toolkit", "S0122"),
        ("net.exe", "S0039"),
    ],
)
def test_software_is_found_by_id_name_and_alias(attack, name, id_):
    assert attack.software(name).id == id_


def test_software_tells_its_kind_techniques_and_whether_it_is_built_in(attack):
    mimikatz, net = attack.software("mimikatz"), attack.software("net")

    assert mimikatz.kind is SoftwareKind.TOOL
    assert "T1003.001" in mimikatz.techniques
    assert (mimikatz.built_in, net.built_in) == (False, True)
    assert attack.software("no such thing") is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("HackTool:Win32/Mimikatz!dha", ["Mimikatz"]),
        (r"C:\temp\Rubeus.exe kerberoast; Invoke-Mimikatz; rubeus again", ["Rubeus", "Mimikatz"]),
        ("Possible CobaltStrike beacon", ["Cobalt Strike"]),
        ("ET TOOL Impacket PsExec", ["Impacket", "PsExec"]),
        ("net user /add && cmd.exe /c ping at 10:00, play royal medusa tor", []),
        ("notmimikatzatall", []),
        ("", []),
    ],
)
def test_attack_software_is_recognised_in_text_and_ordinary_words_are_not(attack, text, names):
    assert [each.name for each in attack.mentioned(text)] == names


def test_every_successor_exists_and_every_software_technique_is_current(attack):
    for old in attack._data["withdrawn"]:
        successor = attack.technique(old).revoked_by
        assert successor is None or attack.current(old), old
    for software in attack._by_id.values():
        assert all(attack.current(each) == each for each in software.techniques), software.id


def test_the_data_ships_with_the_designation_and_licence_that_mitre_asks_for(attack):
    notice = re.sub(r"[\s>]+", " ", files("aurora.knowledge").joinpath("NOTICE.md").read_text(encoding="utf-8"))

    assert attack.notice in notice
    assert "non-exclusive, royalty-free license to use ATT&CK®" in notice
    assert f"version {attack.version}" in notice
    assert f"version {attack.software_version}" in notice
