"""SMTP servers on loopback that take mail from whoever logs in: plain, with STARTTLS and with TLS from the first byte.

post_office.py PORT CERTIFICATE KEY USER PASSWORD MAILS: on PORT, PORT+1 and PORT+2; the plain one knows no login. Every mail
becomes a line of JSON in MAILS. Nobody lives at gone@example.org.
"""

import json
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

port, certificate, key, user, password, mails = sys.argv[1:]
writing = threading.Lock()


class Desk:
    def __init__(self, name):
        self.name = name

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == "gone@example.org":
            return "550 5.1.1 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {
            "server": self.name,
            "tls": session.ssl is not None or self.name == "tls",
            "login": bool(session.authenticated),
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "text": envelope.content.decode(),
        }
        with writing, open(mails, "a") as file:
            print(json.dumps(mail), file=file, flush=True)
        return "250 OK"


def check(server, session, envelope, mechanism, data):
    good = LoginPassword(user.encode(), password.encode())
    return AuthResult(success=data == good, handled=False)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
login = {"authenticator": check, "auth_required": True}
for number, (name, more) in enumerate(
    {
        "plain": {},
        "starttls": {"tls_context": context, "require_starttls": True, **login},
        "tls": {"ssl_context": context, "auth_require_tls": False, **login},
    }.items()
):
    Controller(Desk(name), hostname="127.0.0.1", port=int(port) + number, **more).start()
threading.Event().wait()
