"""Handing e-mail to a mail server (RFC 6409), with a WAV file attached where there is one."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from pbx.config.services import Smtp

MAX_ATTACHMENT = 20 * 2**20
"""Bytes; larger files stay here, and the text alone goes."""


class MailRefused(Exception):
    """The server will not take this mail at any time: a second try is no use. The text has no credentials."""


def write_mail(sender: str, to: str, subject: str, text: str, attachment: Path | None, wall: float) -> EmailMessage:
    """As it is sent. Raises OSError if the attachment cannot be read, ValueError for a line break in a header."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Date"] = formatdate(wall)
    mail["Message-ID"] = make_msgid(domain=sender.partition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text + "\n")
    if attachment is not None and attachment.stat().st_size <= MAX_ATTACHMENT:
        mail.add_attachment(attachment.read_bytes(), maintype="audio", subtype="wav", filename=attachment.name)
    return mail


def send_mail(smtp: Smtp, password: str, mail: EmailMessage, timeout: float) -> None:
    """Hand over; blocking. Raises MailRefused, and OSError or SMTPException for what another try may mend."""
    # Servers on the same machine have no certificate anybody signed; they are told not to encrypt.
    context = ssl.create_default_context()
    client: smtplib.SMTP
    if smtp.security == "tls":
        client = smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=timeout, context=context)
    else:
        client = smtplib.SMTP(smtp.host, smtp.port, timeout=timeout)
    with client:
        if smtp.security == "starttls":
            client.starttls(context=context)
        try:
            if smtp.user:
                client.login(smtp.user, password)
            client.send_message(mail)
        except smtplib.SMTPAuthenticationError as error:
            raise MailRefused(f"the mail server refuses our login ({error.smtp_code})") from None
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            codes = _codes(error)
            # RFC 5321 section 4.2.1: 4yz may be tried again, 5yz not.
            if any(code >= 500 for code in codes):
                raise MailRefused(f"the mail server refuses the mail ({', '.join(map(str, codes))})") from None
            raise


def _codes(error: smtplib.SMTPException) -> list[int]:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return sorted({code for code, _ in error.recipients.values()})
    return [error.smtp_code] if isinstance(error, smtplib.SMTPResponseException) else []
