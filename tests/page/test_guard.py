"""By which names the page may be asked."""

import socket

import pytest

from bot.playground.page.guard import is_everywhere, is_loopback, is_ours, own_address


@pytest.mark.parametrize(
    "named",
    [
        *("localhost", "LOCALHOST:1", "127.0.0.1:8484", "[::1]:8484", "10.0.0.1", "[fe80::1]"),
        *("box.example:8484", socket.gethostname(), f"{socket.gethostname()}:8484"),
    ],
)
def test_names_that_nobody_else_can_make_lead_here(named: str) -> None:
    assert is_ours(named, host="box.example")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "box.example"])
@pytest.mark.parametrize(
    "named",
    [
        *("", "[", "::1", "evil.example", "localhost.evil.example", "127.0.0.1@evil", "evil\n"),
        *("127.0.0.1.evil.example", "[evil]", "box.example.evil", "http://localhost"),
    ],
)
def test_names_of_others(named: str, host: str) -> None:
    assert not is_ours(named, host=host)


def test_which_hosts_are_for_this_computer_only_and_which_for_all() -> None:
    hosts = ["localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "10.0.0.1", "box.example"]

    assert [host for host in hosts if is_loopback(host)] == ["localhost", "127.0.0.1", "::1"]
    assert [host for host in hosts if is_everywhere(host)] == ["0.0.0.0", "::"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_devices_are_told_an_address_that_means_this_computer(host: str) -> None:
    assert not is_everywhere(own_address(host))
