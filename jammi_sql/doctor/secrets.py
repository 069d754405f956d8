"""URLs with passwords, which nothing that is printed may have."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ..errors import InvalidParameter

__all__ = ["Address"]

_SECRET_OPTIONS = ("password", "sslpassword", "passfile", "token")


@dataclass(frozen=True, slots=True)
class Address:
    """A URL as it is used, and as it may be shown."""

    url: str
    shown: str
    """Scheme, user, host, port and path."""
    secrets: tuple[str, ...]
    """What must not be shown, in all its forms."""

    @classmethod
    def of(cls, url: str) -> Address:
        """Raises ``InvalidParameter``, which quotes nothing, for a URL in which a password cannot be told from the rest."""
        refusal = InvalidParameter(
            "the URL cannot be read",
            hint="write scheme://user:password@host:port/name, with %40, %3A, %2F, %3F and %23 for @ : / ? # in the password",
        )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise refusal from None
        if parts.netloc.count("@") > 1 or "@" in parts.path + parts.fragment:
            raise refusal
        secrets = [value for name, value in parse_qsl(parts.query) if name.lower() in _SECRET_OPTIONS]
        if parts.password:
            secrets.append(parts.password)
        elif parts.username and parts.scheme in ("nats", "tls", "ws", "wss"):
            secrets.append(parts.username)  # a token stands there
        forms = {form for secret in secrets for form in (secret, unquote(secret)) if form}
        return cls(url, _shown(parts, port, secrets), tuple(sorted(forms, key=len, reverse=True)))

    def redacted(self, text: str) -> str:
        """``text``, which somebody else wrote, without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def _shown(parts: SplitResult, port: int | None, secrets: list[str]) -> str:
    user = "" if not parts.username or parts.username in secrets else f"{parts.username}@"
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    return f"{parts.scheme}://{user}{host}{'' if port is None else f':{port}'}{parts.path}"
