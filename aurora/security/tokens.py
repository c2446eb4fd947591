"""Access tokens: JSON Web Tokens signed with HS256 (RFC 7519, checked after RFC 8725)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aurora.kernel.clock import Clock
from aurora.kernel.ids import IdFactory
from aurora.security.errors import TokenExpired, TokenInvalid
from aurora.security.rbac import Role

ALGORITHM = "HS256"
"""The only one that is signed with and accepted: a token's own `alg` decides nothing."""

SECRET_MIN_BYTES = 32
"""HS256 wants a key at least as long as its digest (RFC 7518 §3.2)."""

_MAX_CHARACTERS = 8192  # what servers take as a header line; ours have 200 to 400
_MAX_SUBJECT = 256
_FORBIDDEN_HEADERS = ("jku", "jwk", "x5u", "x5c", "crit", "b64")  # a key of its own, or rules of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPolicy:
    """What a token must carry, beyond `sub`, `role`, `exp` and `iat`, to be accepted."""

    issuer: str | None = None
    """Who must have issued it (`iss`). `None`: nobody in particular."""

    audience: str | None = None
    """Whom it must be meant for (`aud`). `None`: a token that names an audience is refused."""

    required: frozenset[str] = frozenset({"sub", "role", "exp", "iat"})
    """Claims that must be there. Those that are there are always checked, required or not."""

    lifetime: timedelta = timedelta(hours=8)
    """How long a token lives that `issue` is not told otherwise about."""

    max_lifetime: timedelta | None = None
    """The longest `exp - iat` that is accepted. `None`: any."""

    leeway: timedelta = timedelta(seconds=30)
    """How far the clocks of two machines may differ."""

    @classmethod
    def strict(cls, *, issuer: str, audience: str, max_lifetime: timedelta = timedelta(minutes=10)) -> TokenPolicy:
        """Return the policy for production: short-lived, for one audience, each token with an id of its own."""
        return cls(
            issuer=issuer,
            audience=audience,
            required=cls().required | {"jti", "iss", "aud", "nbf"},
            lifetime=max_lifetime,
            max_lifetime=max_lifetime,
        )


SIMPLE = TokenPolicy()
"""The policy of one machine: the four claims are enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token that was accepted says."""

    subject: str
    role: Role
    issued_at: datetime
    expires_at: datetime
    id: str | None = None
    """`jti`, by which one token can be told from another of the same subject."""


class Tokens:
    """Issues tokens and reads them back.

    Args:
        secret: The signing key as text, at least `SECRET_MIN_BYTES` long (`settings.jwt_secret_key`).
        clock: Decides what is expired; the library's own look at the wall clock is switched off.
        ids: Gives each token its `jti`.
        policy: What is asked of a token, and put into those that are issued.

    Raises:
        ValueError: `secret` is too short.
    """

    def __init__(self, *, secret: str, clock: Clock, ids: IdFactory, policy: TokenPolicy = SIMPLE) -> None:
        key = secret.encode()
        if len(key) < SECRET_MIN_BYTES:
            raise ValueError(f"the secret has {len(key)} bytes and needs at least {SECRET_MIN_BYTES}")
        self._key = key
        self._clock = clock
        self._ids = ids
        self._policy = policy

    def issue(self, *, subject: str, role: Role, lifetime: timedelta | None = None) -> str:
        """Return a signed token for `subject`, good from now on for `lifetime` (the policy's, if not given).

        Raises:
            ValueError: no policy of ours would accept that subject or lifetime.
        """
        import jwt  # noqa: PLC0415 - 60 ms that a command without a token need not pay

        policy = self._policy
        lifetime = policy.lifetime if lifetime is None else lifetime
        if not 0 < len(subject) <= _MAX_SUBJECT:
            raise ValueError(f"a subject has 1 to {_MAX_SUBJECT} characters, this one {len(subject)}")
        if lifetime <= timedelta(0) or (policy.max_lifetime is not None and lifetime > policy.max_lifetime):
            raise ValueError(f"lifetime={lifetime} must be positive and within max_lifetime={policy.max_lifetime}")
        now = int(self._clock.now().timestamp())
        claims: dict[str, Any] = {
            "sub": subject,
            "role": role.value,
            "exp": now + math.ceil(lifetime.total_seconds()),
            "iat": now,
            "nbf": now,
            "jti": str(self._ids()),
        }
        if policy.issuer is not None:
            claims["iss"] = policy.issuer
        if policy.audience is not None:
            claims["aud"] = policy.audience
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def decode(self, token: str) -> Claims:
        """Return what `token` says, if it is ours, unchanged, in time, and carries what the policy asks for.

        Raises:
            TokenExpired: everything else about it is right.
            TokenInvalid: anything else; `context["reason"]` says what kind of thing.
        """
        payload = self._verified(token)
        subject = payload["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT:
            raise _invalid("claim", "the claim sub is not a name", claim="sub")
        try:
            role = Role(payload["role"])
        except ValueError:
            raise _invalid("role", "the token names a role that does not exist", claim="role") from None
        issued, expires = _moment(payload, "iat"), _moment(payload, "exp")
        not_before = _moment(payload, "nbf") if "nbf" in payload else issued
        self._check_times(issued=issued, expires=expires, not_before=not_before)
        return Claims(subject=subject, role=role, issued_at=issued, expires_at=expires, id=payload.get("jti"))

    def _verified(self, token: str) -> dict[str, Any]:
        """Return the payload behind a good signature, meant for us, with every required claim."""
        import jwt  # noqa: PLC0415 - as in `issue`

        if not token.isascii() or len(token) > _MAX_CHARACTERS:
            raise _invalid("malformed", "this is not a token")
        try:
            headers = jwt.get_unverified_header(token)
            if any(name in headers for name in _FORBIDDEN_HEADERS):
                raise _invalid("header", "the header brings a key or rules of its own, which no token may")
            payload = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=self._policy.audience,
                issuer=self._policy.issuer,
                # Times are compared below, with the injected clock.
                options={
                    "require": sorted(self._policy.required | {"sub", "role", "exp", "iat"}),
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise _translated(error) from None
        return dict(payload)

    def _check_times(self, *, issued: datetime, expires: datetime, not_before: datetime) -> None:
        now, policy = self._clock.now(), self._policy
        if policy.max_lifetime is not None and expires - issued > policy.max_lifetime:
            raise _invalid("lifetime", f"the token was made to live longer than {policy.max_lifetime}")
        if max(issued, not_before) - now > policy.leeway:
            raise _invalid("early", "the token is not valid yet: compare the clocks of the two machines")
        if now - expires >= policy.leeway:
            raise TokenExpired("the token has expired: sign in again")


def _moment(payload: dict[str, Any], claim: str) -> datetime:
    value = payload[claim]
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):  # NaN, infinity, years that no calendar has
            pass
    raise _invalid("claim", f"the claim {claim} is not a moment", claim=claim)


def _translated(error: Exception) -> TokenInvalid:
    """Return our error for one of the library's. Its text may quote claims, so none of it is kept."""
    from jwt import exceptions as jwt  # noqa: PLC0415 - as in `issue`

    match error:
        case jwt.InvalidSignatureError():
            return _invalid("signature", "the token was not signed with our key, or was changed")
        case jwt.InvalidAlgorithmError():
            return _invalid("algorithm", f"the token is not signed with {ALGORITHM}")
        case jwt.MissingRequiredClaimError():
            return _invalid("claim", f"the token lacks the claim {error.claim}", claim=error.claim)
        case jwt.InvalidAudienceError():
            return _invalid("audience", "the token is meant for another audience")
        case jwt.InvalidIssuerError():
            return _invalid("issuer", "the token comes from another issuer")
        case jwt.InvalidSubjectError() | jwt.InvalidJTIError():
            return _invalid("claim", "a claim of the token has the wrong type")
    return _invalid("malformed", "this is not a token")


def _invalid(reason: str, message: str, *, claim: str | None = None) -> TokenInvalid:
    return TokenInvalid(message, reason=reason, claim=claim)
