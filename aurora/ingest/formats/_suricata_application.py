"""What Suricata's parsers of the application layer saw, section by section.

Who wrote what is told in `aurora.ingest.formats.suricata`.
"""

from __future__ import annotations

import re
from typing import Any

from aurora.ingest.formats._draft import Draft, Row
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import EntityType, ObservableType

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE


def rows(section: str, *columns: tuple[str, str, Provenance]) -> tuple[Row, ...]:
    """Return rows of a section: key, name of the field, who wrote it, and where it stands."""
    return tuple((key, name, provenance, f"{section}/{key}") for key, name, provenance in columns)


_HTTP = rows(
    "/http",
    ("http_method", "http.request.method", _A),
    ("protocol", "http.version", _A),
    ("http_refer", "http.request.referrer", _A),
    ("xff", "network.forwarded_ip", _A),
    ("http_content_type", "http.response.mime_type", _A),
    ("status", "http.response.status_code", _S),
    ("http_request_body_printable", "http.request.body.content", _A),
    ("http_response_body_printable", "http.response.body.content", _A),
)
_TLS = rows(
    "/tls",
    ("subject", "tls.server.subject", _A),
    ("issuerdn", "tls.server.issuer", _A),
    ("fingerprint", "tls.server.hash.sha1", _S),
    ("version", "tls.version", _S),
    ("ja4", "tls.client.ja4", _S),
)
_SMB = rows(
    "/smb",
    ("command", "smb.command", _S),
    ("share", "smb.share", _A),
    ("named_pipe", "smb.named_pipe", _A),
    ("filename", "file.path", _A),
)
_FTP = rows("/ftp", ("command", "ftp.command", _A), ("command_data", "ftp.command_data", _A))
_HASHES = (("sha256", ObservableType.HASH_SHA256), ("sha1", ObservableType.HASH_SHA1), ("md5", ObservableType.HASH_MD5))
_ANGLES = re.compile(r"<([^<>]*)>")


def application(draft: Draft, document: Document) -> None:
    """Keep what the parsers of the application layer saw."""
    for key, read in _SECTIONS.items():
        if key in document:
            section = draft.table(document, key, f"/{key}")
            if section:
                read(draft, section)
    for key in ("files", "fileinfo"):
        if key in document:
            _files(draft, document, key)
    payload = document.get("payload_printable")
    if payload is not None:
        draft.keep("network.payload", payload, _A, "/payload_printable")


def _http(draft: Draft, http: Document) -> None:
    host = draft.take(http, "hostname", "url.domain", _A, "/http/hostname")
    if host:
        draft.peer(host, _A)
    url = draft.text(http.get("url"), "/http/url")
    if url and not url.startswith("/libhtp::"):
        port = http.get("http_port")
        if url.startswith("/") and host:
            shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
            colon = f":{port}" if type(port) is int and port not in (0, 80) else ""
            url = f"http://{shown}{colon}{url}"
        draft.keep("url.full", url, _A, "/http/url")
        if "://" in url:
            draft.observable(ObservableType.URL, url, _A)
    agent = draft.take(http, "http_user_agent", "user_agent.original", _A, "/http/http_user_agent")
    draft.observable(ObservableType.USER_AGENT, agent, _A)
    draft.take_all(http, _HTTP)


def _dns(draft: Draft, dns: Document) -> None:
    """Versions 1 (flat), 2 (`query`, `answers`) and 3 (`queries`) of EVE's DNS object."""
    questions: list[tuple[Any, str]] = [(dns, "/dns")] if "rrname" in dns else []
    for key in ("query", "queries"):
        listed = draft.items(dns, key, f"/dns/{key}")
        questions += [(each, f"/dns/{key}/{number}") for number, each in enumerate(listed)]
    for question, path in questions:
        if not isinstance(question, dict):
            draft.unread(path)
            continue
        name = draft.take(question, "rrname", "dns.question.name", _A, f"{path}/rrname")
        if not name.rstrip(".").endswith(".arpa"):
            draft.peer(name, _A)
        draft.take(question, "rrtype", "dns.question.type", _S, f"{path}/rrtype")
    draft.take(dns, "rcode", "dns.response_code", _S, "/dns/rcode")
    for number, answer in enumerate(draft.items(dns, "answers", "/dns/answers")):
        if isinstance(answer, dict):
            data = draft.take(answer, "rdata", "dns.answers.data", _A, f"/dns/answers/{number}/rdata")
            if answer.get("rrtype") in ("A", "AAAA", "CNAME"):
                draft.peer(data, _A)


def _tls(draft: Draft, tls: Document) -> None:
    draft.peer(draft.take(tls, "sni", "tls.client.server_name", _A, "/tls/sni"), _A)
    draft.take_all(tls, _TLS)
    for key, field in (("ja3", "tls.client.ja3"), ("ja3s", "tls.server.ja3s")):
        if key in tls:
            draft.take(draft.table(tls, key, f"/tls/{key}"), "hash", field, _S, f"/tls/{key}/hash")


def _smb(draft: Draft, smb: Document) -> None:
    draft.take_all(smb, _SMB)
    name = draft.text(smb.get("filename"), "/smb/filename")
    draft.entity(EntityType.FILE, name.lower(), _A)
    ntlm = draft.table(smb, "ntlmssp", "/smb/ntlmssp")
    if ntlm:
        domain = draft.take(ntlm, "domain", "user.domain", _A, "/smb/ntlmssp/domain")
        _user(draft, draft.take(ntlm, "user", "user.name", _A, "/smb/ntlmssp/user"), domain)
        draft.take(ntlm, "host", "source.domain", _A, "/smb/ntlmssp/host")


def _kerberos(draft: Draft, krb5: Document) -> None:
    realm = draft.take(krb5, "realm", "user.domain", _A, "/krb5/realm")
    _user(draft, draft.take(krb5, "cname", "user.name", _A, "/krb5/cname"), realm)
    draft.take(krb5, "sname", "service.name", _A, "/krb5/sname")
    draft.take(krb5, "encryption", "kerberos.encryption", _S, "/krb5/encryption")


def _rdp(draft: Draft, rdp: Document) -> None:
    _user(draft, draft.take(rdp, "cookie", "user.name", _A, "/rdp/cookie"), "")


def _smtp(draft: Draft, smtp: Document) -> None:
    draft.take(smtp, "helo", "source.domain", _A, "/smtp/helo")
    sender = draft.take(smtp, "mail_from", "email.sender.address", _A, "/smtp/mail_from")
    draft.observable(ObservableType.EMAIL, _address(sender), _A)
    _recipients(draft, smtp, "rcpt_to", "/smtp/rcpt_to")


def _email(draft: Draft, email: Document) -> None:
    sender = draft.take(email, "from", "email.from.address", _A, "/email/from")
    draft.observable(ObservableType.EMAIL, _address(sender), _A)
    _recipients(draft, email, "to", "/email/to")
    draft.take(email, "subject", "email.subject", _A, "/email/subject")
    for name in draft.items(email, "attachment", "/email/attachment"):
        draft.keep("email.attachments.file.name", name, _A, "/email/attachment")
    for url in draft.items(email, "url", "/email/url"):
        text = draft.keep("url.full", url, _A, "/email/url")
        draft.observable(ObservableType.URL, text if "://" in text else f"http://{text}", _A)


def _ftp(draft: Draft, ftp: Document) -> None:
    draft.take_all(ftp, _FTP)
    if ftp.get("command") == "USER":
        _user(draft, draft.take(ftp, "command_data", "user.name", _A, "/ftp/command_data"), "")


def _ftp_data(draft: Draft, data: Document) -> None:
    name = draft.take(data, "filename", "file.name", _A, "/ftp_data/filename")
    draft.entity(EntityType.FILE, name.lower(), _A)
    draft.take(data, "command", "ftp.command", _A, "/ftp_data/command")


def _files(draft: Draft, document: Document, key: str) -> None:
    files = [document[key]] if isinstance(document[key], dict) else draft.items(document, key, f"/{key}")
    for number, file in enumerate(files):
        if not isinstance(file, dict):
            draft.unread(f"/{key}/{number}")
            continue
        path = f"/{key}" if key == "fileinfo" else f"/{key}/{number}"
        name = draft.take(file, "filename", "file.name", _A, f"{path}/filename")
        if not name.startswith("/"):
            draft.entity(EntityType.FILE, name.lower(), _A)
        for algorithm, kind in _HASHES:
            if algorithm in file:
                digest = draft.take(file, algorithm, f"file.hash.{algorithm}", _S, f"{path}/{algorithm}")
                draft.observable(kind, digest, _S)


def _recipients(draft: Draft, section: Document, key: str, path: str) -> None:
    for recipient in draft.items(section, key, path):
        address = _address(draft.keep("email.to.address", recipient, _A, path))
        if "@" in address:
            draft.entity(EntityType.MAILBOX, address.lower(), _A, role="recipient")


def _user(draft: Draft, name: str, domain: str) -> None:
    if name:
        draft.entity(EntityType.USER, f"{domain}\\{name}".lower() if domain else name.lower(), _A)


def _address(text: str) -> str:
    match = _ANGLES.search(text)
    return match.group(1) if match else text.strip()


_SECTIONS = {
    "http": _http,
    "dns": _dns,
    "tls": _tls,
    "smb": _smb,
    "krb5": _kerberos,
    "rdp": _rdp,
    "smtp": _smtp,
    "email": _email,
    "ftp": _ftp,
    "ftp_data": _ftp_data,
}
