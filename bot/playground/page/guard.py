"""Who may ask the page, and what each of its answers forbids the browser.

Other pages in the same browser cannot reach it: not by their own address, nor by a name of theirs
that leads to this computer (DNS rebinding). Nothing that it sends can be made to run.
"""

import ipaddress
import re
import socket

from aiohttp import web

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types page"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

# Any port: one may look at the page through a tunnel from another.
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]+)?")


def objection(request: web.Request, *, host: str) -> str:
    """Why this request is not answered, in a sentence; empty if it is. ``host``: where we listen.

    It names an address of this computer, and what may change something comes from the page itself.
    """
    if not is_ours(request.host, host=host):
        return "This page answers to the names of this computer only."
    if request.path != "/live" and request.method in ("GET", "HEAD"):
        return ""
    # A tunnel may speak https to the browser and http to us.
    own = [f"{scheme}://{request.host}" for scheme in ("http", "https")]
    return "" if request.headers.get("Origin") in own else "This comes from another page."


def is_ours(named: str, *, host: str) -> bool:
    """Whether a ``Host`` header names this computer: nobody else can make such a name lead here.

    It does by ``localhost``, by the ``host`` at which we listen, by the computer's name, and by
    any number, for which no name server is asked.
    """
    match = _HOST.fullmatch(named.lower())
    if match is None:
        return False
    name = match["v6"] or match["name"]
    return name in ("localhost", host.lower(), socket.gethostname().lower()) or _is_number(name)


def is_loopback(host: str) -> bool:
    """Whether only this computer can be meant."""
    return host == "localhost" or (_is_number(host) and ipaddress.ip_address(host).is_loopback)


def is_everywhere(host: str) -> bool:
    """Whether it stands for all addresses of this computer."""
    return _is_number(host) and ipaddress.ip_address(host).is_unspecified


def own_address(host: str) -> str:
    """The address by which other devices reach us ``everywhere``, or else the computer's name."""
    sixth = ":" in host
    # Nothing is sent: it only asks from where it would go to an address kept for documentation.
    with socket.socket(socket.AF_INET6 if sixth else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("2001:db8::1" if sixth else "192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
