"""The headers of a request that this server acts upon, and what they alone show to be wrong.

Source: RFC 9110 (Expect, Content-Encoding) and RFC 9112, section 3.2 (Host) and section 6 (message body length).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scoring.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

TENSOR_HEADER = b"inference-header-content-length"
"""Bytes of JSON in front of binary tensors, in the Open Inference Protocol."""

SINGLE = frozenset((b"host", b"content-type", b"content-length", b"expect", b"content-encoding", TENSOR_HEADER))
"""Headers that may appear once."""

TRACE_HEADERS = (b"traceparent", b"tracestate")
"""W3C Trace Context."""

TRACE_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
"""Value of the first of them, as far as it is the same in every version."""

INFERENCE_ID, CUSTOM_ATTRIBUTES = b"x-amzn-sagemaker-inference-id", b"x-amzn-sagemaker-custom-attributes"
"""What a caller calls a request, and says about it, as in SageMaker's InvokeEndpoint; both are only captured."""

READ = SINGLE | {b"accept", b"transfer-encoding", INFERENCE_ID, CUSTOM_ATTRIBUTES, *TRACE_HEADERS}
"""All headers that are kept; the others are skipped."""


def trace(headers: Mapping[bytes, bytes]) -> str:
    """Give the caller's trace, 32 hexadecimal digits; empty if it sent none, or something else."""
    found = TRACE_PARENT.match(headers.get(b"traceparent", b""))
    return found[1].decode() if found else ""


class Headers(dict[bytes, bytes]):
    """Values by lower-case name."""

    def add(self, name: bytes, value: bytes) -> bool:
        """Keep a header if it matters; False if it appears twice and may not."""
        name = name.lower()
        if name not in READ:
            return True
        if name in self:
            if name in SINGLE:
                return False
            value = b"%b,%b" % (self[name], value)
        self[name] = value
        return True

    def problem(self, method: bytes, *, legacy: bool, max_body_bytes: int) -> tuple[Fault, str] | None:
        """Tell why a request must be refused before its body is read.

        Args:
            method: Request method.
            legacy: The request is HTTP/1.0, which needs no ``Host``.
            max_body_bytes: Largest body.
        """
        length = self.get(b"content-length")
        if not legacy and b"host" not in self:
            return Fault.BAD_REQUEST, "the Host header is missing"
        if length is not None and int(length) > max_body_bytes:
            return Fault.BODY_TOO_LARGE, f"the body has {int(length)} bytes, at most {max_body_bytes} are allowed"
        if method == b"POST" and length is None and b"transfer-encoding" not in self:
            return Fault.LENGTH_REQUIRED, "a POST needs a Content-Length or a chunked body"
        if self.get(b"expect", b"100-continue").lower() != b"100-continue":
            return Fault.EXPECTATION, "the only known expectation is 100-continue"
        if self.get(b"content-encoding", b"identity").lower() != b"identity":
            return Fault.MEDIA_TYPE, "compressed bodies are not accepted"
        return None
