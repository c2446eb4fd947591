r"""Suricata EVE JSON: one record an event, alerts among flows, transactions and counters.

An alert needs `alert.signature_id` or `alert.signature`; everything else is optional. The rule is `gid:sid`.
The severity is that of the rule's class (1 high, 2 medium, 3 low, from 4 info); the rule's own
`signature_severity`, where it has one, is more specific and wins. All other event types are context.

Who wrote what (`A` = attacker_writable, `S` = sensor):

| part of the record | fields | |
|---|---|---|
| addresses, ports, `proto`, `app_proto`, `direction` | source.*, destination.*, client.ip, server.ip, network.* | S |
| `alert` and its `metadata`: words of the rule's author | rule.*, event.*, threat.*, vulnerability.id | S |
| `host`, `in_iface` | observer.* | S |
| what the engine parses into words of its own: HTTP status, SMB command, types and codes of DNS, TLS version \
  | http.response.status_code, smb.command, dns.question.type, dns.response_code, tls.version | S |
| `http`: host, URL, method, user agent, referrer, bodies | url.*, http.*, user_agent.original | A |
| `dns` names and answers, `tls` SNI and certificate names | dns.*, tls.client.server_name, tls.server.* | A |
| `tls` fingerprints (JA3, JA4, certificate hash), file hashes: computed by the engine | tls.*, file.hash.* | S |
| file names, shares, users of NTLM, Kerberos and RDP, FTP commands | file.*, user.name, … | A |
| `smtp`, `email`: everything | email.* | A |
| payload as printable text | network.payload | A |

Addresses are entities; so are users, mailboxes of recipients, and files that have a name of their own (the
name that EVE gives a body of HTTP without one is the path of the URL). No entity has a port or a flow id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from aurora.ingest.formats._draft import Draft, missing
from aurora.ingest.formats._suricata_application import application, rows
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, ObservableType, Severity

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE

_EVENT_TYPES = frozenset(
    {
        "alert",
        "anomaly",
        "arp",
        "bittorrent_dht",
        "dcerpc",
        "dhcp",
        "dnp3",
        "dns",
        "doh2",
        "drop",
        "email",
        "engine",
        "enip",
        "fileinfo",
        "flow",
        "frame",
        "ftp",
        "ftp_data",
        "http",
        "http2",
        "ike",
        "ikev2",
        "krb5",
        "ldap",
        "mdns",
        "metadata",
        "modbus",
        "mqtt",
        "netflow",
        "nfs",
        "packetinfo",
        "pgsql",
        "pop3",
        "quic",
        "rdp",
        "rfb",
        "sip",
        "smb",
        "smtp",
        "snmp",
        "ssh",
        "stats",
        "suricata",
        "telnet",
        "template",
        "tftp",
        "tls",
        "websocket",
    }
)
_MARKERS = frozenset({"alert", "flow_id", "pkt_src", "src_ip", "stats", "timestamp"})

_BY_CLASS = {1: Severity.HIGH, 2: Severity.MEDIUM, 3: Severity.LOW}
_BY_RULE = {
    "informational": Severity.INFO,
    "audit": Severity.INFO,
    "minor": Severity.LOW,
    "moderate": Severity.MEDIUM,
    "major": Severity.HIGH,
    "critical": Severity.CRITICAL,
}


_RULE = rows("/alert", ("category", "rule.category", _S), ("severity", "event.severity", _S))
_PACKET = rows(
    "",
    ("src_port", "source.port", _S),
    ("dest_port", "destination.port", _S),
    ("direction", "network.direction", _S),
    ("community_id", "network.community_id", _S),
    ("host", "observer.name", _S),
    ("in_iface", "observer.ingress.interface.name", _S),
)
_RULE_METADATA = rows(
    "/alert/metadata",
    ("malware_family", "threat.software.name", _S),
    ("attack_target", "rule.attack_target", _S),
    ("affected_product", "rule.affected_product", _S),
    ("confidence", "rule.confidence", _S),
    ("tag", "rule.tag", _S),
    ("mitre_tactic_id", "threat.tactic.id", _S),
)
_CVE = re.compile(r"CVE[-_ ]\d{4}[-_]\d{4,7}", re.IGNORECASE)


class Suricata:
    """Reads `eve.json`, of Suricata 4 to 8."""

    id = "suricata"
    title = "Suricata (EVE JSON)"

    def matches(self, document: Document) -> bool:
        """Tell by a known `event_type` beside a key that every EVE record has."""
        kind = document.get("event_type")
        return isinstance(kind, str) and kind in _EVENT_TYPES and not _MARKERS.isdisjoint(document)

    def context(self, document: Document) -> str | None:
        """Return the event type unless it is `alert`."""
        kind = document.get("event_type")
        return kind if isinstance(kind, str) and kind != "alert" else None

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the table of this module.

        Raises:
            RecordRejected: there is no `alert` object, or it names neither signature nor signature id.
        """
        said = document.get("alert")
        if not isinstance(said, dict):
            raise missing("alert", hint="an EVE record of type alert carries an object of that name")
        draft = Draft()
        draft.moment(document.get("timestamp"), "/timestamp")
        signature = draft.take(said, "signature", "rule.name", _S, "/alert/signature").strip()
        rule = _rule_id(draft, said)
        if not signature and not rule:
            raise missing("alert.signature_id", hint="the number of the rule that fired")
        draft.keep("rule.id", rule, _S, "/alert/signature_id")
        _packet(draft, document, said)
        severity = _rule(draft, said, signature)
        application(draft, document)
        return draft.alert(
            id=id,
            title=signature or f"Suricata rule {rule}",
            severity=severity,
            source="suricata",
            format=self.id,
            product="OISF Suricata",
            rule=rule or signature,
        )


FORMAT = Suricata()


def _rule_id(draft: Draft, said: Document) -> str:
    number = said.get("signature_id")
    generator = said.get("gid", 1)
    if type(number) is int and type(generator) is int:
        return f"{generator}:{number}"
    text = draft.text(number, "/alert/signature_id")
    return f"{draft.text(generator, '/alert/gid') or '1'}:{text}" if text else ""


def _packet(draft: Draft, document: Document, said: Document) -> None:
    """Addresses with the roles that the rule gives them (`target:` keyword), else those of the packet."""
    source, destination = document.get("src_ip"), document.get("dest_ip")
    roles = "source", "destination"
    target = said.get("target")
    if isinstance(target, dict) and source != destination:
        if target.get("ip") == source:
            roles = "target", "source"
        elif target.get("ip") == destination:
            roles = "source", "target"
    if source is not None:
        draft.address(draft.keep("source.ip", source, _S, "/src_ip"), _S, role=roles[0])
    if destination is not None:
        draft.address(draft.keep("destination.ip", destination, _S, "/dest_ip"), _S, role=roles[1])
    draft.take_all(document, _PACKET)
    transport = document.get("proto")
    if transport is not None:
        draft.keep("network.transport", transport.lower() if isinstance(transport, str) else transport, _S, "/proto")
    protocol = document.get("app_proto")
    if protocol is not None and protocol != "failed":
        draft.keep("network.protocol", protocol, _S, "/app_proto")
    flow = document.get("flow")
    if isinstance(flow, dict):
        draft.take(flow, "src_ip", "client.ip", _S, "/flow/src_ip")
        draft.take(flow, "dest_ip", "server.ip", _S, "/flow/dest_ip")


def _rule(draft: Draft, said: Document, signature: str) -> Severity:
    """Keep what the rule says of itself; return its severity."""
    draft.take_all(said, _RULE)
    action = said.get("action")
    if action is not None:
        draft.keep("event.action", action.lower() if isinstance(action, str) else action, _S, "/alert/action")
    number = said.get("severity")
    if type(number) is int and number > 0:
        severity = _BY_CLASS.get(number, Severity.INFO)
    else:
        severity = Severity.MEDIUM
        if number is not None:
            draft.unread("/alert/severity")
    if "CVE" in signature:
        _vulnerabilities(draft, (signature,), "/alert/signature")
    if "metadata" not in said:
        return severity
    return _metadata(draft, draft.table(said, "metadata", "/alert/metadata")) or severity


def _metadata(draft: Draft, metadata: Document) -> Severity | None:
    """Keep what the rule's author noted; return the severity, if that was noted too."""
    for key, name, provenance, path in _RULE_METADATA:
        if key in metadata:
            for value in draft.items(metadata, key, path):
                draft.keep(name, value, provenance, path)
    path = "/alert/metadata/mitre_technique_id"
    draft.techniques(draft.items(metadata, "mitre_technique_id", path), _S, path)
    path = "/alert/metadata/mitre_tactic_name"
    for value in draft.items(metadata, "mitre_tactic_name", path):
        draft.keep("threat.tactic.name", draft.text(value, path).replace("_", " ").replace(" And ", " and "), _S, path)
    path = "/alert/metadata/cve"
    _vulnerabilities(draft, draft.items(metadata, "cve", path), path)
    for value in draft.items(metadata, "signature_severity", "/alert/metadata/signature_severity"):
        stated = _BY_RULE.get(draft.text(value, "/alert/metadata/signature_severity").lower())
        if stated is None:
            draft.unread("/alert/metadata/signature_severity")
        else:
            return stated
    return None


def _vulnerabilities(draft: Draft, texts: Iterable[object], path: str) -> None:
    for text in texts:
        for spelling in _CVE.findall(draft.text(text, path)):
            found = draft.observable(ObservableType.CVE, re.sub(r"[_ ]", "-", spelling.upper()), _S)
            if found is not None:
                draft.keep("vulnerability.id", found.value, _S, path)
