"""What keeps every request from its server, found before the first is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ratedispatch.dispatch.transports.ways import fault_of_way, trusting
from tests.certificate import CERTIFICATE

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://host.invalid/v1"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Only where they are asked for."""
    gone, empty, good = tmp_path / "gone.pem", tmp_path / "empty.pem", tmp_path / "good.pem"
    empty.write_text("no certificate")
    good.write_text(CERTIFICATE, "ascii")
    missing = fault_of_way(URL, {"SSL_CERT_FILE": str(gone)})
    assert missing is not None
    assert missing.startswith(f"SSL_CERT_FILE names {str(gone)!r}, which cannot be read (No such")
    assert "no PEM certificate" in (fault_of_way(URL, {"SSL_CERT_FILE": str(empty)}) or "")
    assert "cannot be read" in (fault_of_way(URL, {"SSL_CERT_FILE": str(tmp_path)}) or "")
    assert "SSL_CERT_DIR" in (fault_of_way(URL, {"SSL_CERT_DIR": str(gone)}) or "")
    assert fault_of_way(URL, {"SSL_CERT_FILE": str(good), "SSL_CERT_DIR": str(tmp_path)}) is None
    assert fault_of_way("http://host.invalid/v1", {"SSL_CERT_FILE": str(gone)}) is None
    assert fault_of_way("http://[", {}) is None


@pytest.mark.parametrize(
    ("name", "proxy", "told"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1080", "ALL_PROXY names the SOCKS proxy socks5://127"),
        ("HTTPS_PROXY", "SOCKS5H://me:secret@127.0.0.1:1080", "SOCKS5H://127.0.0.1:1080,"),
        ("https_proxy", "ftp://127.0.0.1:21", "whose scheme is neither http nor https"),
        ("HTTPS_PROXY", "http://:3128", "not a URL"),
        ("HTTPS_PROXY", "http://host:port", "not a URL"),
        ("HTTPS_PROXY", "http://127.0.0.1:3128", None),
        ("HTTPS_PROXY", "127.0.0.1:3128", None),
        ("HTTPS_PROXY", "https://me:secret@127.0.0.1:3128", None),
        ("HTTP_PROXY", "socks5://127.0.0.1:1080", None),  # not for this URL
        ("HTTPS_PROXY", "", None),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    name: str, proxy: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its variable, and without its password."""
    monkeypatch.setenv(name, proxy)
    found = fault_of_way(URL, {})
    assert (found is None) if told is None else (told in (found or ""))
    assert "secret" not in (found or "")
    monkeypatch.setenv("NO_PROXY", "host.invalid")
    assert fault_of_way(URL, {}) is None


def test_certificates_of_other_libraries_are_not_read() -> None:
    """Which is told only where they are not trusted otherwise."""
    theirs = {"REQUESTS_CA_BUNDLE": "/etc/company.pem"}
    assert (
        trusting(theirs) == "; REQUESTS_CA_BUNDLE is not used here: name its file in SSL_CERT_FILE"
    )
    assert "to trust it" in trusting({})
    assert "to trust it" in trusting({**theirs, "SSL_CERT_FILE": "/etc/other.pem"})
