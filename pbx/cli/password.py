"""`tandem password`: hashes of a password, for users and for phones."""

from __future__ import annotations

import click
from argon2 import PasswordHasher

from pbx.config.secrets import make_digest


@click.command()
@click.option("--extension", metavar="NUMBER", help="Make the digest hashes of this extension's password instead.")
@click.option("--realm", default="tandem", show_default=True, help="The realm of the server (sip.realm).")
@click.password_option(prompt="Password", help="Asked for if not given; better so, as others can see command lines.")
def command(extension: str | None, realm: str, password: str) -> None:
    """Print what goes into the configuration instead of a password.

    生成写入配置的密码哈希：用户用 password_hash，分机用 ha1。
    """
    if extension is None:
        click.echo(f"password_hash: {PasswordHasher().hash(password)}")
        return
    digest = make_digest(extension, realm, password)
    click.echo(f"ha1: {{md5: {digest.md5}, sha256: {digest.sha256}}}")
