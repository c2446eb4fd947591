"""What is known of Zeek: its logs, how urgent its notices are, and how it spells the fields of a record in a record."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from aurora.ingest.formats._draft import Row
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import ObservableType, Severity

LOGS: Final = frozenset(
    """
    analyzer app_stats bacnet bittorrent broker capture_loss cluster communication config conn conn_long console
    corelight_overall_capture_loss dce_rpc dhcp dnp3 dns dns_red dpd email_notice encrypted_dns enip etc_viz
    ethercat files files_red ftp generic_dns_tunnels generic_icmp_tunnels gquic http http2 http_red
    icmp_specific_tunnels intel ipsec irc kerberos known_certs known_devices known_domains known_hosts
    known_modbus known_names known_remotes known_routers known_services known_users ldap ldap_search
    loaded_scripts local_subnets local_subnets_dj log4j management_agent modbus modbus_detailed
    modbus_register_change mqtt_connect mqtt_publish mqtt_subscribe mysql netcontrol netcontrol_catch_release
    netcontrol_drop netcontrol_shunt netflow notice notice_alarm ntlm ntp ocsp opcua_binary openflow
    packet_filter pe postgresql print prof profinet quic radius rdp redis reporter rfb s7comm signatures sip
    smartpcap smb_cmd smb_files smb_mapping smtp smtp_links snmp socks software specific_dns_tunnels ssh ssl
    ssl_red stats stderr stdout stepping stun stun_nat suricata_corelight suricata_stats syslog tds tds_rpc
    tds_sql_batch telemetry telemetry_histogram tftp traceroute tunnel udp_stats unknown_protocols
    unknown_smartpcap vpn websocket weird weird_red weird_stats wireguard x509 x509_red
    """.split()  # noqa: SIM905 - a list of so many short words, one a line, would hide the rest of the module
)
"""Names of logs: of Zeek itself, of its packages for industrial protocols, and of Corelight."""

SEVERITIES: Final = {
    "CaptureLoss::Too_Little_Traffic": Severity.INFO,
    "CaptureLoss::Too_Much_Loss": Severity.INFO,
    "Conn::Ack_Above_Hole": Severity.INFO,
    "Conn::Content_Gap": Severity.INFO,
    "DNS::External_Name": Severity.LOW,
    "FTP::Bruteforcing": Severity.MEDIUM,
    "FTP::Site_Exec_Success": Severity.HIGH,
    "HTTP::SQL_Injection_Attacker": Severity.HIGH,
    "HTTP::SQL_Injection_Victim": Severity.HIGH,
    "Heartbleed::SSL_Heartbeat_Attack": Severity.HIGH,
    "Heartbleed::SSL_Heartbeat_Attack_Success": Severity.CRITICAL,
    "Intel::Notice": Severity.HIGH,
    "Notice::Tally": Severity.INFO,
    "PacketFilter::Dropped_Packets": Severity.INFO,
    "PacketFilter::No_More_Conn_Shunts_Available": Severity.INFO,
    "PacketFilter::Too_Long_To_Compile_Filter": Severity.INFO,
    "ProtocolDetector::Protocol_Found": Severity.LOW,
    "ProtocolDetector::Server_Found": Severity.LOW,
    "SMTP::Blocklist_Blocked_Host": Severity.LOW,
    "SMTP::Blocklist_Error_Message": Severity.LOW,
    "SSH::Interesting_Hostname_Login": Severity.MEDIUM,
    "SSH::Login_By_Password_Guesser": Severity.HIGH,
    "SSH::Password_Guessing": Severity.MEDIUM,
    "SSH::Watched_Country_Login": Severity.MEDIUM,
    "SSL::Certificate_Expired": Severity.LOW,
    "SSL::Certificate_Expires_Soon": Severity.INFO,
    "SSL::Certificate_Not_Valid_Yet": Severity.LOW,
    "SSL::Invalid_Ocsp_Response": Severity.LOW,
    "SSL::Invalid_Server_Cert": Severity.LOW,
    "SSL::Old_Version": Severity.LOW,
    "SSL::Weak_Cipher": Severity.LOW,
    "SSL::Weak_Key": Severity.LOW,
    "Scan::Address_Scan": Severity.LOW,
    "Scan::Port_Scan": Severity.LOW,
    "Scan::Random_Scan": Severity.LOW,
    "Signatures::Sensitive_Signature": Severity.HIGH,
    "Software::Software_Version_Change": Severity.INFO,
    "TeamCymruMalwareHashRegistry::Match": Severity.HIGH,
    "Traceroute::Detected": Severity.INFO,
    "Weird::Activity": Severity.INFO,
}
"""By type of notice. Zeek itself knows no severity: who observed how much is told by the type alone."""

BY_MODULE: Final = {
    "ATTACK": Severity.HIGH,
    "EternalSafety": Severity.HIGH,
    "CaptureLoss": Severity.INFO,
    "PacketFilter": Severity.INFO,
    "SSL": Severity.LOW,
    "Weird": Severity.INFO,
}
"""For types that are not listed; `ATTACK` are the detections of BZAR, MITRE's package for ATT&CK techniques."""

INDICATORS: Final = {
    "ADDR": (ObservableType.IP, Provenance.SENSOR),
    "DOMAIN": (ObservableType.DOMAIN, Provenance.ATTACKER_WRITABLE),
    "EMAIL": (ObservableType.EMAIL, Provenance.ATTACKER_WRITABLE),
    "FILE_NAME": (ObservableType.FILE_PATH, Provenance.ATTACKER_WRITABLE),
    "SOFTWARE": (ObservableType.USER_AGENT, Provenance.ATTACKER_WRITABLE),
    "URL": (ObservableType.URL, Provenance.ATTACKER_WRITABLE),
}
"""Types of indicators whose values are observables, and who chose the value in traffic; hashes go by their length."""

_SYSLOG = (Severity.CRITICAL,) * 3 + (Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO, Severity.INFO)


def severity_of(note: str, level: object) -> Severity:
    """Return how urgent a notice is.

    Args:
        note: Its type.
        level: `severity.level` of installations that set one: 0 (emergency) to 7 (debug), as syslog counts.
    """
    if type(level) is int and 0 <= level < len(_SYSLOG):
        return _SYSLOG[level]
    return SEVERITIES.get(note) or BY_MODULE.get(note.partition("::")[0], Severity.MEDIUM)


def section(document: Document, name: str, probe: str) -> tuple[Document, str, str] | None:
    """Find a record in a record: nested, or flat with a dot or an underscore between the names.

    Returns:
        The object that holds its fields, what stands before their names there, and where that is; `None` if
        there is no field `probe`.
    """
    nested = document.get(name)
    if isinstance(nested, dict):
        return (nested, "", f"/{name}/") if probe in nested else None
    for before in (f"{name}.", f"{name}_"):
        if before + probe in document:
            return document, before, f"/{before}"
    return None


@lru_cache(maxsize=64)
def rows(columns: tuple[tuple[str, str, Provenance], ...], before: str, path: str) -> tuple[Row, ...]:
    """Return rows (name in Zeek, name of the field, who wrote it) as a section spells them."""
    return tuple((before + key, name, provenance, path + key) for key, name, provenance in columns)
