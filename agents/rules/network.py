"""Which way a connection goes, and what that means for what was seen in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agents.rules._reading import NAMED, by_product, claim, texts
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import quoted
from aurora.sdk import rule
from aurora.sdk.view import TriageView

_CALLS_HOME = re.compile(
    r"\b(c2|cnc|command.?and.?control|check-?in|beacon|callback|trojan|malware|exfil|coin ?miner"
    r"|botnet|phish)"
)
_ADMIN = frozenset({"smb", "rdp", "winrm", "dcerpc", "ssh", "krb5", "ldap"})
_ADMIN_PORTS = frozenset({"22", "88", "135", "139", "389", "445", "3389", "5985", "5986"})
_NO_DETECTION = re.compile(r"^suricata |^et(pro)? (info|policy)\b")


@rule(id="network.direction", version="1", title="Direction of the connection")
def direction(view: TriageView) -> Iterator[Contribution]:
    """Weigh malware traffic that leaves the network, and administration protocols inside it.

    Looks for: the direction (from the addresses that the sensor saw) beside what the product names.

    Why: malware traffic from inside to a public address means that the machine inside is infected; the
    same from outside is only an attempt. Between machines inside, remote administration protocols carry
    lateral movement, and ordinary administration.

    Weights: +3 outwards with malware or command and control, +2 inside over SMB, RDP, WinRM, SSH,
    Kerberos, LDAP or RPC. Decoder events and information are left out: they are no detections.

    Refuted by: sensors that see only one side of a proxy or load balancer.
    """
    named = by_product(texts(view, *NAMED))
    for network in view.found("network"):
        way = network.attributes.get("direction")
        hit = next((text for text in named if _CALLS_HOME.search(text.lower)), None)
        if way == "outbound" and hit is not None:
            yield Contribution(
                rule="network.direction",
                weight=3.0,
                claim=claim("Malware traffic from inside to a public address", network.id, hit.evidence.id),
            )
        elif way == "internal" and named and not any(_NO_DETECTION.search(text.lower) for text in named):
            for each in (*view.fields("network.protocol"), *view.fields("destination.port")):
                if each.attributes["value"].lower() in _ADMIN | _ADMIN_PORTS:
                    yield Contribution(
                        rule="network.direction",
                        weight=2.0,
                        claim=claim(
                            f"Remote administration between machines inside, "
                            f"{quoted(each.attributes['value'], limit=20)}",
                            network.id,
                            each.id,
                        ),
                    )
                    break
