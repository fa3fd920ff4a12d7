"""What may nobody read? The secrets in addresses: passwords before an ``@``, and in a query.

An address may be written wrong, with an ``@``, a slash or a blank in its password that is not
escaped. What cannot be told apart from a secret is taken for one.
"""

from __future__ import annotations

import re

HIDDEN = "***"

_SECRET = (
    r"(?:ssl|pg)?(?:password|passwd|passphrase|pwd)|"
    r"(?:access_|client_|auth_)?(?:token|secret)|api_?key"
)
_ESCAPED = re.sub(
    "[a-z_]", lambda c: f"(?:{c[0]}|%{ord(c[0]):02x}|%{ord(c[0].upper()):02x})", _SECRET
)
"""The same where any letter may be escaped: SQLAlchemy reads ``%70assword=`` as it is meant."""
_QUERY = re.compile(r"\?(?=[\w.%-]+=)")
_IN_QUERY = re.compile(rf"(?i)((?:^|[&;])[\w.%-]*(?:{_ESCAPED})=)([^&]*)")
_IN_TEXT = re.compile(
    rf"(?i)((?<!\w)(?:{_SECRET})=)(?!{re.escape(HIDDEN)})('[^']*'|\"[^\"]*\"|[^\s&;,'\")]+)"
)
_HEADER = re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?(?:basic|bearer)\s+)[^\s'\"]+")
_SCHEME = re.compile(r"(?<=[A-Za-z0-9])://")
_DONE = re.compile(rf"[^\s/@]*{re.escape(HIDDEN)}@")
_PORT = re.compile(r"[^\s/:@]*:\d+(?:[:\s]|[/?#]\S*\s|$)")
_USER = re.compile(r"(?:[^\s/:@]*:.*|[^\s/:@]+)@")
_END = re.compile(r"[\"'\n<>]")


def address(url: str) -> str:
    """An address without its secrets: all that stands before its last ``@`` is one."""
    scheme, mark, rest = url.partition("://")
    return redact(url) if not mark else scheme + mark + _rest(rest, whole=True)


def redact(text: str, *addresses: str) -> str:
    """A line without the secrets of the addresses in it.

    Args:
        text: What is to be shown or logged.
        addresses: Addresses that may stand in it, and are known to be ones.
    """
    for known in sorted(filter(None, addresses), key=len, reverse=True):
        text = text.replace(known, address(known))
    starts = [match.end() for match in _SCHEME.finditer(text)]
    if starts:
        pieces = [text[: starts[0]]]
        for start, following in zip(starts, [*starts[1:], len(text)], strict=True):
            end = _END.search(text, start, following)
            stop = end.start() if end else following
            pieces += [_rest(text[start:stop]), text[stop:following]]
        text = "".join(pieces)
    return _HEADER.sub(rf"\1{HIDDEN}", _IN_TEXT.sub(rf"\1{HIDDEN}", text))


def _rest(rest: str, *, whole: bool = False) -> str:
    """What follows a scheme, up to where the address may end."""
    query = _QUERY.search(rest)
    place, asked = (rest[: query.start()], rest[query.end() :]) if query else (rest, None)
    if _has_user(place, whole):
        user, _, host = place.rpartition("@")
        name, colon, _ = user.partition(":")
        place = f"{name}:{HIDDEN}@{host}" if colon else f"{HIDDEN}@{host}"
    if asked is None:
        return place
    return f"{place}?{_IN_QUERY.sub(_hidden, asked)}"


def _has_user(place: str, whole: bool) -> bool:
    if "@" not in place or place.startswith("/") or _DONE.match(place):
        return False
    return whole or bool(_USER.match(place) and not _PORT.match(place))


def _hidden(found: re.Match[str]) -> str:
    """A parameter's value, hidden; of one that is hidden already, what follows is no part."""
    name, value = found.groups()
    return found.group() if value.startswith(HIDDEN) else name + HIDDEN
