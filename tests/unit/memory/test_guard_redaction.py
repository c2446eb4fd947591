"""Redaction: secrets go, what analysts look for stays, and no text makes it slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.guard.redaction import lines_of, redact, redact_value

# Put together here, so that no scanner of this repository takes them for real ones.
RANDOM = "Zx9Kq2LmN8vB4tR7wY1cD5fG3hJ6pS0a"
SECRETS = [
    ("aws_key", "found AKIA" + "IOSFODNN7EXAMPLE in a bucket", "AKIA"),
    ("secret", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY", "wJalrX"),
    ("github_token", "git clone with ghp_" + RANDOM + "1234", RANDOM),
    ("github_token", "GH_TOKEN: github_pat_" + "11ABCDEFG0" + RANDOM, RANDOM),
    ("gitlab_token", "glpat-" + RANDOM[:20], RANDOM[:20]),
    ("slack_token", "xoxb-" + "123456789012-1234567890123-" + RANDOM[:24], RANDOM[:24]),
    ("slack_token", "https://hooks.slack.com/services/T00000000/B00000000/" + RANDOM[:24], RANDOM[:24]),
    ("openai_key", "sk-proj-" + RANDOM * 2, RANDOM),
    ("openai_key", "key sk-" + RANDOM + "abcdef0123456789", RANDOM),
    ("anthropic_key", "sk-ant-api03-" + RANDOM, RANDOM),
    ("google_key", "AIza" + RANDOM + "abc", RANDOM),
    ("stripe_key", "sk_live_" + RANDOM[:24], RANDOM[:24]),
    ("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + RANDOM, RANDOM),
    ("private_key", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow" + RANDOM + "\n-----END RSA PRIVATE KEY-----", RANDOM),
    ("private_key", r"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn" + RANDOM, RANDOM),
    ("url_password", "postgresql://app:s3cr3t-pw@db.corp.example:5432/app", "s3cr3t-pw"),
    ("url_password", "wget ftp://backup:hunter2@198.51.100.9/dump.sql", "hunter2"),
    ("password", "password=hunter2", "hunter2"),
    ("password", "pwd: Summer2026!", "Summer2026!"),
    ("password", "DB_PASSWORD='with blanks in it'", "with blanks"),
    ("password", "mysqldump --password hunter2 --all-databases", "hunter2"),
    ("password", "tool.exe -Password:hunter2", "hunter2"),
    ("password", '{"user": "anna", "password": "hunter2"}', "hunter2"),
    ("password", r"{\"user\": \"anna\", \"password\": \"hunter2\"}", "hunter2"),
    ("password", "net user backdoor P@ssw0rd123 /add", "P@ssw0rd123"),
    ("password", "sshpass -p hunter2 ssh root@192.0.2.1", "hunter2"),
    ("password", "psexec.exe \\\\ws-1 -u corp\\anna -p hunter2 cmd", "hunter2"),
    ("password", "schtasks /create /ru corp\\anna /rp hunter2 /tn x", "hunter2"),
    ("password", "curl -u anna:hunter2 https://intranet.example/", "hunter2"),
    ("password", "ConvertTo-SecureString 'hunter2' -AsPlainText -Force", "hunter2"),
    ("password", "Server=db;Database=app;User Id=sa;Password=hunter2;", "hunter2"),
    ("api_key", "api_key: " + RANDOM, RANDOM),
    ("api_key", '"x-api-key": "' + RANDOM + '"', RANDOM),
    ("token", "access_token=" + RANDOM, RANDOM),
    ("secret", "client_secret: " + RANDOM, RANDOM),
    ("authorization", "Authorization: Basic YW5uYTpodW50ZXIy", "YW5uYTpodW50ZXIy"),
    ("authorization", "curl -H 'Authorization: Bearer " + RANDOM + "'", RANDOM),
    ("connection_string", "DefaultEndpointsProtocol=https;AccountKey=" + RANDOM + "==;", RANDOM),
    ("connection_string", "https://x.blob.core.windows.net/c?sv=2022&sig=" + RANDOM + "%3D", RANDOM),
    ("card_number", "card 4111 1111 1111 1111 exp 12/29", "1111 1111"),
    ("card_number", "pan=5500005555555559", "5500005555555559"),
    ("card_number", "amex 3782-822463-10005", "822463"),
]

NEEDED = [
    "sha256 275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f of C:\\Temp\\eicar.com",
    "md5=44d88612fea8a8f36de82e1278abb02f sha1:3395856ce81f2b7382dee72602f798b642f14140",
    "SystemAlertId d3300000-0000-4000-8000-000000000001 TenantId 00000000-0000-0000-0000-0000000d3300",
    "user S-1-5-21-1004336348-1177238915-682003330-1190 LogonId 0x3e7 TokenElevationType %%1936",
    "flow_id: 2223000048400011, pkts_toserver=4111111111111111, session_id=8f14e45fceea167a5a36dedd4bea2543",
    "powershell.exe -NoProfile -EncodedCommand SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQA",
    "Failed password for invalid user admin from 203.0.113.7 port 51514 ssh2",
    "The password was reset; password: changed by the help desk",
    "sudo: agent : TTY=pts/0 ; PWD=/home/agent ; USER=root ; COMMAND=/bin/cat /etc/shadow",
    "https://cdn.invoice-portal.example:8443/i/88213?token_type=a&key=b",
    "mailto:lena.ortiz@harbor.example time 2026-06-16T07:12:09.114200+0000 10.20.9.9:51514 -> 10.20.2.40:445",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\Lsa\\Security Packages key: Notification Packages",
    "T1003.001 LSASS memory, CVE-2024-3094, GUID {8e6ba277-ef39-404e-aaf1-294f6d9a2b88}",
    "net user anna /domain and whoami /priv; password=****** api_key=${API_KEY} pwd=%PASSWORD% password: [hidden]",
    "arn:aws:secretsmanager:us-west-2:123123123123:secret:prod/db accountId 123456789012",
    "risk-score of task-scheduler on desk-12, disk-usage 93, ask-anna",
    "credential dumping, token impersonation and key exchange; secret: no",
]


@pytest.mark.parametrize(("kind", "text", "secret"), SECRETS)
def test_a_secret_is_taken_out_and_its_kind_is_told(kind: str, text: str, secret: str) -> None:
    redacted = redact(text)

    assert secret not in redacted.text
    assert kind in redacted.kinds
    assert f"[redacted:{kind}]" in redacted.text


@pytest.mark.parametrize("text", NEEDED)
def test_what_analysts_look_for_stays(text: str) -> None:
    redacted = redact(text)

    assert redacted.text == text
    assert redacted.kinds == ()


@pytest.mark.parametrize(("kind", "text", "secret"), SECRETS)
def test_redacting_twice_changes_nothing(kind: str, text: str, secret: str) -> None:
    once = redact(text)

    again = redact(once.text)

    assert again.text == once.text


def test_the_name_before_a_secret_and_the_user_of_a_url_stay() -> None:
    text = "login with password=hunter2 at https://anna:geheim@intranet.example/x"

    redacted = redact(text)

    assert redacted.text == (
        "login with password=[redacted:password] at https://anna:[redacted:url_password]@intranet.example/x"
    )
    assert redacted.kinds == ("password", "url_password")


def test_a_number_whose_check_digit_is_wrong_is_no_card() -> None:
    assert redact("card 4111 1111 1111 1112").kinds == ()


def test_a_letter_that_grows_when_it_is_made_small_does_not_move_what_is_cut() -> None:
    redacted = redact("İİİ password=hunter2 end")

    assert redacted.text == "İİİ password=[redacted:password] end"


def test_a_string_under_a_telling_name_is_a_secret_as_a_whole() -> None:
    kinds: set[str] = set()
    value = {"password": "two words, and 'quotes' \" of both", "user": "anna", "list": [{"pwd": "x1"}], "n": 3}

    clean = redact_value(value, redact, kinds=kinds)

    assert clean == {
        "password": "[redacted:password]",
        "user": "anna",
        "list": [{"pwd": "[redacted:password]"}],
        "n": 3,
    }
    assert kinds == {"password"}


@given(
    value=st.recursive(
        st.sampled_from(["anna", "password=hunter2", "AKIA" + "IOSFODNN7EXAMPLE", "4111111111111111", "a b", 7, None]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["user", "password", "id", "api_key"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_one_look_at_the_lines_of_a_value_tells_whether_it_has_a_secret(value: object) -> None:
    whole = "\n\n\n\n\n".join(lines_of(value))
    kinds: set[str] = set()

    clean = redact_value(value, redact, kinds=kinds)

    assert bool(redact(whole).kinds) or (clean == value and not kinds)


@given(text=st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    redacted = redact(text)

    assert redact(redacted.text).text == redacted.text


@pytest.mark.parametrize(
    "piece",
    [
        "password=",
        "passw",
        "eyJ",
        "eyJaaaaaaaa.",
        "://",
        "://a:",
        "-----BEGIN RSA PRIVATE KEY-----",
        "key: ",
        "4111 ",
        "authorization: ",
        "bearer ",
        "net user a ",
        "curl -u ",
        "-u a -p ",
        "token\\\\",
        "4111",
        "sk-",
        "a-u ",
        "xoxb-",
    ],
)
def test_no_text_makes_it_slow(piece: str) -> None:
    text = piece * (30_000 // len(piece))
    began = time.process_time()

    redact(text)

    assert time.process_time() - began < 1.0, "30 KB in a second is a thousandth of what it must do"
