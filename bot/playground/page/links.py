"""Links that lead where a reader expects them to."""

import re
import unicodedata
from urllib.parse import urlsplit

from markdown_it.common.normalize_url import normalizeLink

from bot.playground.page.html import Html, Part, join, tag

_ADDRESS = re.compile(r"(?:https?://[^/?#\s]|mailto:[^?\s])[!-~]*")
# An address in a label: what follows two slashes, a domain, or four numbers.
_HOST = re.compile(r"(?<=//)[^\s/?#:]+|(?<![\w.-])(?:[\w.-]*\.[^\W\d_]{2,}|\d+(?:\.\d+){3})")

_JOINER = "\u200d"  # makes one emoji of several

# The page that opens learns nothing of this one and cannot reach it.
ELSEWHERE = {"rel": "noopener noreferrer nofollow", "target": "_blank"}


def address(url: str) -> str | None:
    """``url`` as a browser may have it; None if it is not http, https or mailto."""
    scheme, colon, rest = normalizeLink(url.strip()).partition(":")
    encoded = scheme.lower() + colon + rest
    return encoded if _ADDRESS.fullmatch(encoded) and _host(encoded) is not None else None


def link(url: str, label: Part, *, reads: str) -> Html | None:
    """``label``, which ``reads`` so, as a link; None if ``url`` is none to follow.

    Where the label could be taken for another address, the true host follows it.
    """
    target = address(url)
    if target is None:
        return None
    shown = tag("a", label, href=target, **ELSEWHERE)
    host = _host(target) or ""
    return join((shown, _true_host(host))) if _misleads(reads, target, host) else shown


def image(alt: str, url: str) -> Html:
    """An image is never loaded: its host would learn who reads what, and when."""
    return tag("span", f"Image: {alt} ({url})" if alt else f"Image: {url}", class_="image")


def _true_host(host: str) -> Html:
    # Of its own direction: what stands before it cannot turn it around.
    return tag("span", f" ({host})", class_="true-host", dir="ltr")


def _host(target: str) -> str | None:
    """The host that a browser would go to, or a letter; None if there is none."""
    try:
        parts = urlsplit(target)
        host = parts.hostname or parts.path.rpartition("@")[2]
    except ValueError:
        return None
    return host.lower() or None


def _misleads(reads: str, target: str, host: str) -> bool:
    if any(unicodedata.category(character) == "Cf" for character in reads.replace(_JOINER, "")):
        return True  # signs that nobody sees
    if "@" in urlsplit(target).netloc:
        return True  # https://looks-like-a-host@host/
    label = unicodedata.normalize("NFKC", reads).replace("。", ".").lower()
    return any(_bare(found) != _bare(host) for found in _HOST.findall(_plain(label)))


def _plain(label: str) -> str:
    """Without the joiner and the marks, of which some are not seen, and so could hide a host."""
    kept = (c for c in label if c != _JOINER and not unicodedata.category(c).startswith("M"))
    return "".join(kept)


def _bare(host: str) -> str:
    return host.strip(".").removeprefix("www.")
