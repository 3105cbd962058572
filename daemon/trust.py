"""Whom a connection trusts: authorities of certificates, and proxies."""

from __future__ import annotations

import contextlib
import ssl
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.redaction import Secret
from daemon.targets import Target
from handlers.contract import HandlerError

if TYPE_CHECKING:
    import httpx


def proxy_at(address: Secret) -> httpx.Proxy:
    """The proxy at an address.

    Raises:
        HandlerError: `config_invalid`: there can be none.
    """
    import httpx

    with contextlib.suppress(ValueError, httpx.InvalidURL):
        proxy = httpx.Proxy(address.reveal())
        if proxy.url.scheme in ("http", "https") and proxy.url.host:
            return proxy
    raise HandlerError(
        "config_invalid",
        "the proxy's address is no http or https address",
        hints=["Write it as http://host:port; SOCKS proxies are not supported."],
    )


def context_of(ca_file: Path | None, *, trust_env: bool) -> ssl.SSLContext:
    """A context that verifies certificates and speaks TLS 1.2 or later.

    Args:
        ca_file: authorities to trust besides the usual.
        trust_env: whether SSL_CERT_FILE and SSL_CERT_DIR may name others in place of the usual.

    Raises:
        HandlerError: `config_invalid`: the file cannot be read as certificates.
    """
    if ca_file is None and not trust_env:
        return _usual_context()
    context = _verifying_context(trust_env=trust_env)
    try:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError):
        raise HandlerError(
            "config_invalid",
            f"{ca_file} cannot be read as a file of certificates",
            hints=["It holds certificates in PEM form: BEGIN CERTIFICATE."],
        ) from None
    return context


@cache
def _usual_context() -> ssl.SSLContext:
    """For whoever trusts the usual authorities and nobody else: reading them takes its time."""
    return _verifying_context(trust_env=False)


def _verifying_context(*, trust_env: bool) -> ssl.SSLContext:
    import httpx

    context = httpx.create_ssl_context(trust_env=trust_env)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def proxy_of_environment(target: Target) -> Secret | None:
    """The proxy that the environment names for a target (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    address = proxies.get(target.scheme) or proxies.get("all")
    if not address or proxy_bypass(target.host):
        return None
    return Secret(address if "://" in address else f"http://{address}")
