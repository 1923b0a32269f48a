"""
Finds out, before the first request is sent, what would keep all requests from the server.

Looks only at the environment: the certificates and the proxy that the transports take from it.
Opens no connection. What it finds is a mistake in the setup of the machine, not in a row.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Schemes of proxies that a transport speaks.
_SPOKEN = frozenset({"http", "https"})

#: Variables in which libraries that send nothing here look for certificates.
_UNREAD = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def fault_of_way(base_url: str, environment: Mapping[str, str]) -> str | None:
    """
    Return why no request can reach *base_url*, as a sentence; None if nothing is known.

    Args:
        base_url: Where requests go.
        environment: As ``os.environ``.
    """
    try:
        parts = urlsplit(base_url)
    except ValueError:  # whoever checks the URL says so
        return None
    fault = _fault_of_certificates(environment) if parts.scheme == "https" else None
    return fault or _fault_of_proxy(parts.scheme, parts.hostname or "")


def _fault_of_certificates(environment: Mapping[str, str]) -> str | None:
    file, folder = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    if file:
        try:
            ssl.create_default_context(cafile=file)
        except ssl.SSLError:
            return f"SSL_CERT_FILE names {file!r:.300}, which contains no PEM certificate"
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            return (
                f"SSL_CERT_FILE names {file!r:.300}, which cannot be read ({reason}); correct it, "
                f"or unset it to trust the certificates of the system"
            )
    # OpenSSL takes several folders, and passes over those that are not there
    if folder and not any(Path(one).is_dir() for one in folder.split(os.pathsep) if one):
        return f"SSL_CERT_DIR names {folder!r:.300}, which is not a folder; correct or unset it"
    return None


def trusting(environment: Mapping[str, str]) -> str:
    """Return the end of a message: how a certificate comes to be trusted."""
    unread = next((name for name in _UNREAD if environment.get(name)), None)
    if unread is None or environment.get("SSL_CERT_FILE"):
        return "; to trust it, name a file with its certificate in SSL_CERT_FILE"
    return f"; {unread} is not used here: name its file in SSL_CERT_FILE"


def _proxy_for(scheme: str, host: str) -> tuple[str, str] | None:
    """The name and the URL of the proxy for *host*."""
    proxies = getproxies()
    name = scheme if proxies.get(scheme) else "all"
    url = proxies.get(name)
    return None if not url or not host or proxy_bypass(host) else (f"{name.upper()}_PROXY", url)


def _fault_of_proxy(scheme: str, host: str) -> str | None:
    found = _proxy_for(scheme, host)
    if found is None:
        return None
    name, url = found
    url = url if "://" in url else f"http://{url}"
    shown = without_password(url)
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number, a bracket that is not closed
        is_whole = False
    kind = url.partition("://")[0].lower()
    if kind.startswith("socks"):
        return (
            f"{name} names the SOCKS proxy {shown}, but SOCKS is not supported; put an HTTP proxy "
            f"in front of it, or exclude the host with NO_PROXY={host}"
        )
    if kind not in _SPOKEN:
        return f"{name} names the proxy {shown}, whose scheme is neither http nor https"
    if not is_whole:
        return f"{name} names the proxy {shown}, which is not a URL such as http://host:3128"
    return None


def without_password(url: str) -> str:
    """Return *url*, of a proxy, for a message."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    host = rest.partition("/")[0].rpartition("@")[2]
    return f"{scheme}{separator}{host}"[:200]
