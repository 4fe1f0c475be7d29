"""A provider with certificates of its own making, and the PASSporTs it signs."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from pbx.sip.stir_chain import TN_AUTHORIZATION

URL = "https://certificates.example/sp.pem"
SPC = bytes.fromhex("3008a0061604313233 34".replace(" ", ""))
"""TNAuthList with the service provider code 1234."""
Key = ec.EllipticCurvePrivateKey


def make(
    name: str,
    key: Key,
    issuer: tuple[str, Key],
    *,
    wall: float,
    ca: bool = False,
    path_length: int | None = None,
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    days: int = 30,
) -> x509.Certificate:
    at = datetime.fromtimestamp(wall, UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer[0])]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer[1], hashes.SHA256())


TN_LIST = (x509.UnrecognizedExtension(TN_AUTHORIZATION, SPC), False)


class Provider:
    """Root, authority in between, and the provider's certificate."""

    def __init__(self, wall: float, *, days: int = 30, **leaf: Any) -> None:
        self.wall = wall
        self.root_key, self.between_key, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self.root = make("root", self.root_key, ("root", self.root_key), wall=wall, ca=True)
        self.between = make("between", self.between_key, ("root", self.root_key), wall=wall, ca=True, path_length=0)
        leaf = {"extra": (TN_LIST,), "days": days, **leaf}
        self.leaf = make("provider", self.key, ("between", self.between_key), wall=wall, **leaf)

    @property
    def chain(self) -> list[x509.Certificate]:
        return [self.leaf, self.between]

    @property
    def pem(self) -> bytes:
        return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in self.chain)

    def sign(
        self,
        caller: str = "861088880000",
        called: str = "861055550101",
        *,
        at: float | None = None,
        attest: str = "A",
        header: dict[str, Any] | None = None,
        claims: dict[str, Any] | None = None,
        params: str = f";info=<{URL}>;alg=ES256;ppt=shaken",
    ) -> str:
        """An Identity header value."""
        top = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": URL, **(header or {})}
        inside = {
            "attest": attest,
            "dest": {"tn": [called]},
            "iat": int(self.wall if at is None else at),
            "orig": {"tn": caller},
            "origid": "123e4567-e89b-12d3-a456-426655440000",
            **(claims or {}),
        }
        signed = f"{encode(json.dumps(top).encode())}.{encode(json.dumps(inside).encode())}"
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}{params}"


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
