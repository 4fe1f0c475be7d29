"""TLS for SIP: server contexts whose certificate can be replaced while they serve, and the context to call out with."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

log = structlog.get_logger()


class ServerTls:
    """The server side of one listener. New handshakes use the newest good certificate; connections keep theirs.

    Raises ``OSError`` or ``ssl.SSLError`` (an OSError) from the constructor when the files are missing or do not fit.
    """

    def __init__(self, certificate: Path, key: Path, client_authorities: Path | None = None) -> None:
        self._files = (certificate, key, client_authorities)
        self._stamp = self._read_stamp()
        self._current = self._load()
        # asyncio keeps the context it was given, so that one only hands each handshake over to the current one.
        self.context = self._load()
        self.context.sni_callback = self._hand_over

    def replace_files(self, certificate: Path, key: Path, client_authorities: Path | None) -> None:
        """Serve from other files. Raises ``OSError`` and changes nothing when they are not good."""
        kept = self._files
        self._files = (certificate, key, client_authorities)
        try:
            self._current = self._load()
        except OSError:
            self._files = kept
            raise
        self._stamp = self._read_stamp()

    def reload(self, *, force: bool = False) -> bool:
        """Read the files again if they changed; True if a new certificate is served. Bad files leave the old one."""
        stamp = self._read_stamp()
        if stamp == self._stamp and not force:
            return False
        self._stamp = stamp
        try:
            self._current = self._load()
        except OSError as error:
            log.error("sip.tls.certificate_refused", certificate=str(self._files[0]), error=str(error))
            return False
        log.info("sip.tls.certificate_loaded", certificate=str(self._files[0]))
        return True

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        certificate, key, authorities = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        if authorities is not None:
            context.load_verify_locations(authorities)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _read_stamp(self) -> tuple[tuple[int, int, int], ...]:
        stamp = []
        for path in self._files:
            if path is not None:
                try:
                    info = path.stat()
                except OSError:
                    stamp.append((0, 0, 0))
                else:
                    stamp.append((info.st_mtime_ns, info.st_ino, info.st_size))
        return tuple(stamp)


def make_client_context(*, authorities: Path | None = None, verify: bool = True) -> ssl.SSLContext:
    """For connections we open: the system's authorities and those given, and the peer's name is checked (RFC 5922).

    Raises ``OSError`` where ``authorities`` is no PEM file of certificates.
    """
    context = ssl.create_default_context()
    if authorities is not None:
        try:
            context.load_verify_locations(authorities)
        except OSError as error:
            raise OSError(f"{authorities} is no PEM file of authorities: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
