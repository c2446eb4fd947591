"""What is loud and means little: protocol anomalies, information, scans of the whole internet, test files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agents.rules._reading import NAMED, by_product, claim, is_lowerable, texts
from aurora.kernel.models import ObservableType
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import quoted
from aurora.sdk import rule
from aurora.sdk.view import TriageView

_ENGINE_EVENT = re.compile(r"^suricata [a-z0-9]+(?!.*(exploit|heartbleed|attack|malicious|cve-))")
_PACKET = re.compile(
    r"^suricata (ipv[46]|icmpv?[46]?|tcpv?[46]?|udpv?[46]?|frag|gre|ethernet|vlan|ppp\w*|mpls|sctp|erspan|vxlan|geneve"
    r"|packet|stream|applayer|decoder|raw|null|llc|chdlc|esp|nsh|arp|dce|mime)\b"
)
_TELLING = re.compile(r"overlap with different data|weak encryption")
_FILED_AS_INFORMATION = {
    "rule.name": re.compile(r"^et(pro)? (info|policy|games|chat|p2p)\b"),
    "rule.category": re.compile(
        r"^(not suspicious traffic|unknown traffic|misc activity|network event|icmp event"
        r"|potential corporate privacy violation|generic protocol command decode)$"
    ),
}
_SCAN = re.compile(
    r"\bscan(s|ning|ner)?\b|port ?(scan|sweep|probe)|recon:ec2|scan::(port|address)_scan|\bnmap\b|\bzmap\b|masscan"
    r"|known compromised or hostile|dshield|et (cins|drop|compromised|tor)\b"
)
_EICAR = re.compile(r"(?<![a-z])eicar(?![a-z])")
_HASHES = frozenset({ObservableType.HASH_MD5, ObservableType.HASH_SHA1, ObservableType.HASH_SHA256})


@rule(id="noise.protocol_anomaly", version="1", title="Anomalies of the protocol, not detections")
def protocol_anomaly(view: TriageView) -> Iterator[Contribution]:
    """Recognise events of the network sensor's own decoders, and close them.

    Looks for: rules named `SURICATA …`, which ship with the engine and fire when its decoder, stream
    tracker or a protocol parser meets something malformed: invalid checksums, retransmissions,
    truncated or late packets, replies without a request.

    Why: they say that a packet was odd, not that anybody attacked. The usual causes are checksum
    offloading (the card computes the sum after the capture), lost packets at the tap, asymmetric
    routing and sloppy software; the manual of the engine advises to switch most of them off. No
    attack is *only* visible in them: an exploit in odd packets has a signature of its own, and an
    alert of its own. That is a deterministic reason, so it may close even an alert rated severe.

    Weights: -15 for packets and streams, -10 for protocol parsers, -3 and no closing for two that
    serve evasion or credential theft (overlaps with different data, weak Kerberos encryption).
    Events that name an exploit (Heartbleed) are left to the other rules.

    Refuted by: `corroboration.related`: real detections that share the address raise it again.
    """
    for text in by_product(texts(view, "rule.name")):
        if not _ENGINE_EVENT.match(text.lower):
            continue
        telling, packet = bool(_TELLING.search(text.lower)), bool(_PACKET.match(text.lower))
        weight = -3.0 if telling else -15.0 if packet else -10.0
        kind = "the capture or the network" if packet else "a protocol's parser"
        yield Contribution(
            rule="noise.protocol_anomaly",
            weight=weight,
            closes=not telling,
            claim=claim(
                f"An anomaly that {kind} explains, no detection: {quoted(text.evidence.attributes['value'])}",
                text.evidence.id,
            ),
        )


@rule(id="noise.informational", version="1", title="Information and policy")
def informational(view: TriageView) -> Iterator[Contribution]:
    """Lower what the product itself files as information or policy.

    Looks for: signature classes INFO, POLICY, GAMES, CHAT, P2P, and categories such as `Misc activity`.

    Why: such signatures are made to colour other alerts; their authors say that alone they mean nothing.

    Weight: -3, so that one of low severity is benign and one of medium severity still asks for a person.
    It never closes a severe alert.

    Refuted by: anything that raises.
    """
    named = by_product(texts(view, *_FILED_AS_INFORMATION))
    hits = [text for text in named if _FILED_AS_INFORMATION[text.evidence.attributes["name"]].search(text.lower)]
    if hits:
        yield Contribution(
            rule="noise.informational",
            weight=-3.0,
            claim=claim(
                f"The product files it as information: {quoted(hits[0].evidence.attributes['value'])}",
                *(text.evidence.id for text in hits),
            ),
        )


@rule(id="noise.scan", version="1", title="Scans")
def scan(view: TriageView) -> Iterator[Contribution]:
    """Tell a scan from the internet, which everybody gets, from a scan inside.

    Looks for: scan signatures and lists of known bad addresses, with the direction of the connection.

    Why: every public address is scanned within minutes. Inside one's own network only inventory and
    vulnerability scanners do it, and intruders.

    Weights: -6 from outside, +5 inside or outwards.

    Refuted by: an exploit or an answer of the attacked system (other rules); a known scanner of one's own.
    """
    hits = [text for text in by_product(texts(view, *NAMED)) if _SCAN.search(text.lower)]
    if not hits:
        return
    for network in view.found("network"):
        way = network.attributes.get("direction")
        if way in {"internal", "outbound"} or (way == "inbound" and is_lowerable(network)):
            yield Contribution(
                rule="noise.scan",
                weight=-6.0 if way == "inbound" else 5.0,
                claim=claim(
                    f"A scan, {way}: {quoted(hits[0].evidence.attributes['value'])}", network.id, hits[0].evidence.id
                ),
            )


@rule(id="noise.test_file", version="1", title="Test files and files that are listed by mistake")
def test_file(view: TriageView) -> Iterator[Contribution]:
    """Recognise the antivirus test file, and files that lists of indicators name by mistake.

    Looks for: EICAR in the product's threat name or by hash; other hashes on lists of false positives
    (empty files, parts of operating systems), where *every* hash of the alert is listed and nothing ran.

    Why: the EICAR file is harmless by definition, and what it is, its hash proves. A system program's
    hash says nothing of what it was told to do: an alert with a command line is not lowered.

    Weights: -30 EICAR (closes), -6 listed by mistake.

    Refuted by: any other file in the alert, any command line.
    """
    hashes = {each.value for each in view.alert.observables if each.type in _HASHES}
    listed = list(view.found("warning_list", category="false_positive_hash"))
    known = {each.attributes.get("value", "") for each in listed}
    tests = [each for each in listed if "eicar" in each.attributes.get("list", "")]
    told = by_product(texts(view, "rule.name", "threat.software.name"))
    named = [text for text in told if _EICAR.search(text.lower)]
    whole = hashes <= {each.attributes.get("value", "") for each in tests} and bool(tests)
    if named or whole:
        yield Contribution(
            rule="noise.test_file",
            weight=-30.0,
            closes=whole or not hashes,
            claim=claim(
                "The antivirus test file (EICAR)",
                *(each.id for each in tests if whole),
                *(text.evidence.id for text in named),
            ),
        )
    elif hashes and hashes <= known and not any(view.fields("process.command_line", "process.args")):
        yield Contribution(
            rule="noise.test_file",
            weight=-6.0,
            claim=claim("Every file of the alert is listed as a usual false positive", *(each.id for each in listed)),
        )
