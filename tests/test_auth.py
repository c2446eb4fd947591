"""Who somebody is, and what he may do."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from aurora.kernel.ids import Uuid7Factory
from aurora.security.errors import PermissionDenied, TokenExpired, TokenInvalid
from aurora.security.rbac import ROLE_PERMISSIONS, Permission, Role, allows, require
from aurora.security.tokens import TokenPolicy, Tokens
from aurora.settings import Settings
from aurora.testing import ManualClock
from tests.conftest import NOON


@pytest.fixture
def tokens(settings: Settings, clock: ManualClock, ids: Uuid7Factory) -> Tokens:
    return Tokens(secret=settings.jwt_secret_key, clock=clock, ids=ids)


@pytest.fixture
def strict(settings: Settings, clock: ManualClock, ids: Uuid7Factory) -> Tokens:
    policy = TokenPolicy.strict(issuer="https://aurora.test", audience="aurora-api")
    return Tokens(secret=settings.jwt_secret_key, clock=clock, ids=ids, policy=policy)


def plain(**changes: Any) -> dict[str, Any]:
    """The four claims of the simple set-up, some of them changed."""
    return {"sub": "mina", "role": "analyst", "iat": NOON, "exp": NOON + timedelta(hours=1)} | changes


class TestJWTAuth:
    def test_create_and_decode_token(self, tokens, settings):
        token = jwt.encode(plain(), settings.jwt_secret_key, algorithm="HS256")

        claims = tokens.decode(token)

        assert (claims.subject, claims.role) == ("mina", Role.ANALYST)
        assert (claims.issued_at, claims.expires_at) == (NOON, NOON + timedelta(hours=1))

    def test_expired_token_raises(self, tokens, settings):
        token = jwt.encode(plain(exp=NOON - timedelta(hours=1)), settings.jwt_secret_key, algorithm="HS256")

        with pytest.raises(TokenExpired) as caught:
            tokens.decode(token)

        assert caught.value.http_status == 401

    def test_a_token_that_was_issued_is_read_back(self, tokens):
        token = tokens.issue(subject="mina", role=Role.OPERATOR, lifetime=timedelta(minutes=5))

        claims = tokens.decode(token)

        assert (claims.subject, claims.role, claims.issued_at) == ("mina", Role.OPERATOR, NOON)
        assert claims.expires_at == NOON + timedelta(minutes=5)

    def test_each_token_has_an_id_of_its_own(self, tokens):
        first, second = (tokens.decode(tokens.issue(subject="mina", role=Role.VIEWER)) for _ in range(2))

        assert first.id
        assert first.id != second.id

    def test_the_injected_clock_decides_what_is_expired_not_the_wall_clock(self, tokens, clock):
        token = tokens.issue(subject="mina", role=Role.VIEWER, lifetime=timedelta(minutes=5))

        clock.advance(timedelta(minutes=5, seconds=29))
        assert tokens.decode(token).subject == "mina", "thirty seconds are given for clocks that differ"
        clock.advance(timedelta(seconds=1))

        with pytest.raises(TokenExpired):
            tokens.decode(token)

    def test_a_token_of_another_key_is_refused(self, tokens):
        token = jwt.encode(plain(), "k" * 32, algorithm="HS256")

        assert reason(tokens, token) == "signature"

    def test_a_token_that_was_changed_is_refused(self, tokens):
        header, _, signature = tokens.issue(subject="mina", role=Role.VIEWER).split(".")
        payload = segment(plain(role="admin", iat=int(NOON.timestamp()), exp=int(NOON.timestamp()) + 3600))

        assert reason(tokens, f"{header}.{payload}.{signature}") == "signature"

    def test_an_unsigned_token_is_refused(self, tokens):
        token = jwt.encode(plain(role="admin"), None, algorithm="none")

        assert reason(tokens, token) == "algorithm"

    @pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
    def test_only_one_algorithm_is_taken_even_with_the_right_key(self, tokens, settings, algorithm):
        token = jwt.encode(plain(), settings.jwt_secret_key, algorithm=algorithm)

        assert reason(tokens, token) == "algorithm"

    @pytest.mark.parametrize("role", ["root", "ADMIN", "", 7, ["admin"], {"admin": True}])
    def test_a_role_that_does_not_exist_is_refused(self, tokens, settings, role):
        token = jwt.encode(plain(role=role), settings.jwt_secret_key, algorithm="HS256")

        assert reason(tokens, token) == "role"

    @pytest.mark.parametrize("claim", ["sub", "role", "exp", "iat"])
    def test_a_token_without_one_of_the_four_claims_is_refused(self, tokens, settings, claim):
        claims = plain()
        del claims[claim]
        token = jwt.encode(claims, settings.jwt_secret_key, algorithm="HS256")

        with pytest.raises(TokenInvalid, match=claim):
            tokens.decode(token)

    def test_the_strict_policy_reads_what_it_issued(self, strict):
        claims = strict.decode(strict.issue(subject="mina", role=Role.ANALYST))

        assert claims.expires_at - claims.issued_at == timedelta(minutes=10)
        assert claims.id is not None

    def test_the_strict_policy_refuses_the_four_claims_alone(self, strict, settings):
        token = jwt.encode(plain(), settings.jwt_secret_key, algorithm="HS256")

        assert reason(strict, token) == "claim"


class TestPermissions:
    def test_an_admin_may_do_everything(self):
        assert all(allows(Role.ADMIN, permission) for permission in Permission)

    def test_an_analyst_investigates_and_decides_but_manages_no_settings(self):
        assert allows("analyst", "alerts:investigate")
        assert allows("analyst", "approvals:decide")
        assert not allows("analyst", "settings:manage")

    def test_an_operator_looks_after_devices_and_not_after_cases(self):
        assert allows("operator", "cps:attest")
        assert allows("operator", "firmware:update")
        assert not allows("operator", "cases:read")

    def test_a_viewer_only_reads(self):
        verbs = {
            permission.partition(":")[2] for permission in ROLE_PERMISSIONS[Role.VIEWER] if permission != "ws:alerts"
        }

        assert verbs == {"read"}
        assert not allows("viewer", "alerts:write")

    @pytest.mark.parametrize(
        ("role", "permission"),
        [("root", "alerts:read"), ("", "alerts:read"), ("admin", "alerts:*"), ("admin", "*"), ("viewer", "")],
    )
    def test_an_unknown_role_or_permission_is_denied(self, role, permission):
        assert not allows(role, permission)

    def test_a_denial_is_an_error_with_status_403_that_names_both(self):
        with pytest.raises(PermissionDenied, match=r"viewer.*cases:write") as caught:
            require(Role.VIEWER, Permission.CASES_WRITE)

        assert caught.value.http_status == 403

    def test_what_is_allowed_is_not_denied(self):
        require(Role.VIEWER, Permission.CASES_READ)


def reason(tokens: Tokens, token: str) -> object:
    """Why a token is refused; the error must not carry the token on."""
    with pytest.raises(TokenInvalid) as caught:
        tokens.decode(token)
    assert token not in f"{caught.value} {caught.value.context}"
    assert caught.value.http_status == 401
    return caught.value.context["reason"]


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
