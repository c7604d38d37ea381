"""EC2's and STS's requests as the simulator reads them, and refusals as they write them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.sax.saxutils import escape

Json = dict[str, Any]
Reply = tuple[int, list[tuple[str, str]], bytes]

SCOPE = re.compile(r"Credential=([A-Za-z0-9]+)/[0-9]{8}/([a-z0-9-]+)/([a-z0-9]+)/aws4_request")
READS = re.compile(r"^(Describe|Get|List|AssumeRole)")
MAX_BODY = 1024 * 1024


@dataclass(frozen=True)
class Call:
    """One request of AWS's query protocol."""

    method: str
    access_key: str
    region: str
    service: str
    fields: dict[str, str]
    body: bytes

    @property
    def action(self) -> str:
        return self.fields.get("Action", "")

    @property
    def path(self) -> str:
        """Service and action, as a path: all requests of this protocol go to ``/``."""
        return f"/{self.service}/{self.action}"

    @property
    def write(self) -> bool:
        """Whether it would change something. A dry run asks for permission only."""
        dry_run = self.fields.get("DryRun", "").lower() == "true"
        return not dry_run and READS.match(self.action) is None


def read_call(environ: Json) -> Call:
    """The request in ``environ``, which can still be read by whoever answers it."""
    body = environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), MAX_BODY))
    environ["wsgi.input"] = io.BytesIO(body)
    scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    access_key, region, service = scope.groups() if scope else ("", "", "")
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return Call(environ["REQUEST_METHOD"], access_key, region, service, fields, body)


def refusal(service: str, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Reply:
    """An error as the service writes it: EC2 has a form of its own."""
    request_id = str(uuid4())
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service == "ec2":
        text = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    else:
        error = f"<Error><Type>Sender</Type>{error}</Error>"
        text = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
    head = [("Content-Type", "text/xml;charset=UTF-8"), ("x-amzn-requestid", request_id), *(headers or {}).items()]
    return status, head, ('<?xml version="1.0" encoding="UTF-8"?>' + text).encode()


def code_in(reply: Reply) -> str:
    """The error code in a reply, or an empty string."""
    if reply[0] < 400:
        return ""
    found = re.search(rb"<Code>([^<]+)</Code>", reply[2])
    return found.group(1).decode() if found else str(reply[0])
