"""Tokens that somebody made up: each is refused as a token, none is an accident."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import jwt
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aurora.security.errors import TokenInvalid, Unauthenticated
from aurora.security.rbac import Role
from aurora.security.tokens import TokenPolicy, Tokens
from tests.conftest import NOON

NOW = int(NOON.timestamp())
SECRET = "a signing key of forty characters, or so"
STRICT = TokenPolicy.strict(issuer="https://aurora.test", audience="aurora-api")
GOOD = {
    "sub": "mina",
    "role": "analyst",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 600,
    "jti": "t1",
    "iss": "https://aurora.test",
    "aud": "aurora-api",
}


@pytest.fixture
def tokens(clock, ids):
    return Tokens(secret=SECRET, clock=clock, ids=ids)


@pytest.fixture
def strict(clock, ids):
    return Tokens(secret=SECRET, clock=clock, ids=ids, policy=STRICT)


def signed(claims, **headers):
    return jwt.encode(claims, SECRET, algorithm="HS256", headers=headers or None)


def by_hand(header: str, payload: str) -> str:
    """A token whose parts no library would write, with a good signature."""
    signing_input = f"{_base64(header)}.{_base64(payload)}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        signing_input.encode(), SECRET.encode()
    )
    return f"{signing_input}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("claim", sorted(GOOD))
def test_the_strict_policy_wants_every_one_of_its_claims(strict, claim):
    claims = {name: value for name, value in GOOD.items() if name != claim}

    assert strict.decode(signed(GOOD)).id == "t1"
    with pytest.raises(TokenInvalid, match=f"lacks the claim {claim}"):
        strict.decode(signed(claims))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://elsewhere.test"}, "issuer"),
        ({"aud": "another-api"}, "audience"),
        ({"exp": NOW + 601}, "lifetime"),
        ({"nbf": NOW + 31}, "early"),
        ({"iat": NOW + 31, "exp": NOW + 60}, "early"),
        ({"jti": 7}, "claim"),
        ({"sub": ""}, "claim"),
        ({"sub": "m" * 257}, "claim"),
        ({"sub": ["mina"]}, "claim"),
    ],
)
def test_a_claim_that_does_not_fit_is_named(strict, changes, reason):
    token = by_hand('{"alg": "HS256"}', json.dumps(GOOD | changes))

    with pytest.raises(TokenInvalid) as caught:
        strict.decode(token)

    assert caught.value.context["reason"] == reason


def test_clocks_may_differ_by_thirty_seconds(strict):
    claims = GOOD | {"nbf": NOW + 30, "iat": NOW + 30, "exp": NOW + 600}

    assert strict.decode(signed(claims)).subject == "mina"


def test_a_token_for_an_audience_is_refused_where_none_is_set(tokens):
    with pytest.raises(TokenInvalid) as caught:
        tokens.decode(signed(GOOD))

    assert caught.value.context["reason"] == "audience"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "-1e15", "1e300", "true", '"soon"', "[]", "9" * 30])
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_a_time_that_is_no_moment_is_refused(tokens, claim, value):
    claims = {"sub": '"mina"', "role": '"admin"', "iat": str(NOW), "exp": str(NOW + 60)} | {claim: value}
    payload = "{" + ",".join(f'"{name}": {each}' for name, each in claims.items()) + "}"

    with pytest.raises(TokenInvalid) as caught:
        tokens.decode(by_hand('{"alg": "HS256"}', payload))

    assert caught.value.context == {"reason": "claim", "claim": claim}


@pytest.mark.parametrize(
    "headers",
    [
        {"jku": "https://attacker.test/keys.json"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"x5u": "https://attacker.test/cert.pem"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"]},
    ],
)
def test_a_token_that_brings_a_key_or_rules_of_its_own_is_refused(tokens, headers):
    claims = {name: GOOD[name] for name in ("sub", "role", "iat", "exp")}
    token = by_hand(json.dumps({"alg": "HS256"} | headers), json.dumps(claims))

    assert tokens.decode(signed(claims)).subject == "mina"
    with pytest.raises(TokenInvalid):
        tokens.decode(token)


def test_json_nested_deeper_than_the_stack_is_refused(tokens):
    with pytest.raises(TokenInvalid):
        tokens.decode(by_hand("[" * 2500, "{}"))
    with pytest.raises(TokenInvalid):
        tokens.decode(by_hand('{"alg": "HS256"}', "[" * 2500))


@pytest.mark.parametrize("token", ["", ".", "..", "\ud800.e30.AAAA", "é.é.é", "e30.e30.e30", "\0"])
def test_what_is_no_token_at_all_is_refused_as_one(tokens, token):
    with pytest.raises(TokenInvalid, match="not a token|not signed"):
        tokens.decode(token)


def test_a_token_too_long_for_a_header_line_is_not_even_read(tokens):
    token = signed(GOOD | {"padding": "x" * 10_000})

    with pytest.raises(TokenInvalid, match="not a token"):
        tokens.decode(token)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.binary(max_size=80).map(lambda raw: by_hand('{"alg": "HS256"}', raw.decode("latin-1"))))
def test_whatever_is_no_token_of_ours_is_unauthenticated(tokens, text):
    with pytest.raises(Unauthenticated):
        tokens.decode(text)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_changed_character_of_a_token_goes_unnoticed(tokens, data):
    token = tokens.issue(subject="mina", role=Role.VIEWER)
    # The last character carries bits that base64 throws away; the parts before it carry none.
    place = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.characters(codec="ascii").filter(lambda character: character != token[place]))

    with pytest.raises(Unauthenticated):
        tokens.decode(token[:place] + other + token[place + 1 :])


def test_a_short_secret_is_refused_without_being_shown(clock, ids):
    with pytest.raises(ValueError, match="needs at least 32") as caught:
        Tokens(secret="hunter2", clock=clock, ids=ids)

    assert "hunter2" not in str(caught.value)


def test_what_the_policy_would_not_accept_is_not_issued(strict):
    with pytest.raises(ValueError, match="lifetime"):
        strict.issue(subject="mina", role=Role.VIEWER, lifetime=timedelta(minutes=11))
    with pytest.raises(ValueError, match="lifetime"):
        strict.issue(subject="mina", role=Role.VIEWER, lifetime=timedelta(0))
    with pytest.raises(ValueError, match="subject"):
        strict.issue(subject="", role=Role.VIEWER)
