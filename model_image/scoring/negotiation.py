"""Which formats a request to predict rows is in and wants: ``Content-Type`` and ``Accept``.

What each feature adds is asked for by a parameter of the wanted media type, ``Accept: text/csv;contributions=true``:
the one header that InvokeEndpoint, InvokeEndpointAsync and a transform job all hand to a container.
Source: RFC 9110, section 12.5.1; Amazon SageMaker API Reference, "InvokeEndpoint", "InvokeEndpointAsync" and
"TransformOutput".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoring.errors import Fault, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scoring.served import Explain, Format

    Formats = Mapping[bytes, Format]

ANY_MEDIA = frozenset((b"", b"*/*"))
CHARSETS = frozenset((b"utf-8", b"utf8", b"us-ascii"))

EXPLAINED = b"contributions=true"
"""Parameter of a wanted media type that asks for what each feature adds to each answer."""


def given(formats: Formats, header: bytes) -> Format:
    """Tell the format of a body.

    Raises:
        RequestError: it is none of those that are known.
    """
    media, *parameters = (part.strip().lower() for part in header.split(b";"))
    charsets = [p.partition(b"=")[2].strip(b'"') for p in parameters if p.startswith(b"charset=")]
    if media not in formats or not CHARSETS.issuperset(charsets):
        known = b" and ".join(formats).decode()
        raise RequestError(Fault.MEDIA_TYPE, f"Content-Type may be {known}, in UTF-8")
    return formats[media]


def wanted(formats: Formats, header: bytes, body: Format) -> tuple[Format, Explain | None]:
    """Take the first acceptable format; preference values are not weighed, except that q=0 excludes.

    Args:
        formats: Those that are known.
        header: Value of ``Accept``.
        body: Format of the request, which is the first choice.

    Returns:
        The format, and its way to write what each feature adds, if that is wanted.

    Raises:
        RequestError: none is acceptable.
    """
    for item in header.lower().split(b","):
        media, *parameters = (part.strip() for part in item.split(b";"))
        if any(p.startswith(b"q=0") and not p.strip(b"q=0.") for p in parameters):
            continue
        explained = EXPLAINED in parameters
        for known in (body, *formats.values()):
            fits = media in ANY_MEDIA or media in (known.content_type, known.content_type.partition(b"/")[0] + b"/*")
            if fits and (known.explain or not explained):
                return known, known.explain if explained else None
    some = b" or ".join(media for media, known in formats.items() if known.explain).decode()
    message = f"Accept may be {b' or '.join(formats).decode()}; with {EXPLAINED.decode()}, {some}"
    raise RequestError(Fault.NOT_ACCEPTABLE, message)
