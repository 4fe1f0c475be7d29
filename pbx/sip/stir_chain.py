"""Certificates of STIR (RFC 8226): from a provider's own up to one of the authorities we believe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtensionOID

from .stir_numbers import covers

MAX_CERTIFICATES = 6
MAX_PEM = 65_536
TN_AUTHORIZATION = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.26")
"""TNAuthList: for which provider or numbers a certificate speaks (RFC 8226 section 9)."""
_KNOWN = frozenset(
    (
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.EXTENDED_KEY_USAGE,
        TN_AUTHORIZATION,
    )
)
"""Extensions that may be critical."""
_E = TypeVar("_E", bound=x509.ExtensionType)


class StirFault(Exception):
    """An identity is not proven. ``status``: what refuses the call (RFC 8224 section 6.2.2)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """Certificates of a PEM file. Raises ``StirFault`` (436)."""
    try:
        if len(pem) > MAX_PEM:
            raise ValueError("too long")
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise StirFault(436, "what was fetched is no certificate") from None


class Chain:
    """A provider's certificate with what leads to an authority, judged for one moment at a time."""

    def __init__(self, certificates: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]) -> None:
        if not 0 < len(certificates) <= MAX_CERTIFICATES:
            raise StirFault(437, "no chain of certificates")
        self._leaf = certificates[0]
        self._between = list(certificates[1:])
        self._authorities = list(authorities)

    def check(self, signed: bytes, signature: bytes, caller: str, wall: float) -> None:
        """Raise ``StirFault`` unless the certificate speaks for ``caller`` at ``wall`` (437) and made ``signature``.

        A wrong signature is 438. ``caller``: digits of E.164.
        """
        moment = datetime.fromtimestamp(wall, UTC)
        try:
            self._check_leaf()
            self._climb(caller, moment)
        except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension):
            # Extensions are only read when they are asked for.
            raise StirFault(437, "a certificate cannot be read") from None
        key = self._leaf.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        if len(signature) != 64:
            raise StirFault(438, "the signature has the wrong length")
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            raise StirFault(438, "the signature is wrong") from None

    def _check_leaf(self) -> None:
        key = self._leaf.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise StirFault(437, "the certificate's key is not on P-256")
        usage = _extension(self._leaf, x509.KeyUsage)
        if usage is not None and not usage.digital_signature:
            raise StirFault(437, "the certificate is not for signatures")
        if not any(extension.oid == TN_AUTHORIZATION for extension in self._leaf.extensions):
            raise StirFault(437, "the certificate speaks for no telephone numbers")

    def _climb(self, caller: str, moment: datetime) -> None:
        current, between = self._leaf, list(self._between)
        for depth in range(MAX_CERTIFICATES):
            _check_valid(current, moment)
            _check_numbers(current, caller)
            if current in self._authorities or any(_issued(current, root, depth, moment) for root in self._authorities):
                return
            above = next((other for other in between if _issued(current, other, depth, moment)), None)
            if above is None:
                break
            between.remove(above)
            current = above
        raise StirFault(437, "no authority we believe stands behind the certificate")


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, depth: int, moment: datetime) -> bool:
    """Whether ``issuer`` is an authority that signed ``certificate``, with ``depth`` authorities below it."""
    if certificate.issuer != issuer.subject:
        return False
    constraints, usage = _extension(issuer, x509.BasicConstraints), _extension(issuer, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        return False
    if constraints.path_length is not None and depth > constraints.path_length:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        _check_valid(issuer, moment)
    except (InvalidSignature, StirFault, ValueError, TypeError):
        return False
    return True


def _check_valid(certificate: x509.Certificate, moment: datetime) -> None:
    if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
        raise StirFault(437, "a certificate is not valid now")
    if any(extension.critical and extension.oid not in _KNOWN for extension in certificate.extensions):
        raise StirFault(437, "a certificate has a critical extension we do not know")


def _check_numbers(certificate: x509.Certificate, caller: str) -> None:
    """An authority that is given some numbers only can give no others on (RFC 8226 section 8)."""
    for extension in certificate.extensions:
        if extension.oid == TN_AUTHORIZATION and not covers(extension.value.public_bytes(), caller):
            raise StirFault(437, "the certificate does not speak for the caller's number")


def _extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
