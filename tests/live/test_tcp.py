"""SIP over TCP at a live gateway: what a phone that tries it sees, by policy."""

import errno
import socket
import time
from pathlib import Path

import pytest

from lab import calls
from lab.net import Net
from lab.site import Site
from tests.live.nat import CARRIER
from tests.live.nat import CONFIG as NAT
from tests.live.running import CONFIG, Running

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]

SOON = 1.0  # seconds: a SYN is sent again after one


def configured(shape: str, queue: str = 'on_tcp = "reset"') -> str:
    return f'shape = "{shape}"\n{CONFIG}[queue]\n{queue}\n'


def listener(net: Net, host: str, address: str) -> socket.socket:
    """Who would take a connection, in a host."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def listen() -> socket.socket:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, 5060))
        made.listen()
        return made

    return net.within(host, listen)


def client(net: Net, host: str, address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = net.within(host, lambda: socket.socket(family, socket.SOCK_STREAM))
    made.settimeout(10)
    return made


def is_refused_at_once(net: Net, host: str, address: str) -> bool:
    """Whether a connection from a host is reset, long before a SYN would be sent again."""
    with client(net, host, address) as phone:
        began = time.monotonic()
        return (
            phone.connect_ex((address, 5060)) == errno.ECONNREFUSED
            and time.monotonic() - began < SOON
        )


def meet(site: Site, inside: str, outside: str) -> None:
    """Send something both ways, by another port: hosts of IPv6 look for each other for a second."""
    ours, theirs = site.udp("inside", inside, 7), site.udp("outside", outside, 7)
    ours.sendto(b"x", (outside, 7))
    theirs.recv(1)
    theirs.sendto(b"x", (inside, 7))
    ours.recv(1)


@pytest.mark.parametrize(
    ("inside", "outside"), [(Site.INSIDE, Site.OUTSIDE), (Site.INSIDE6, Site.OUTSIDE6)]
)
def test_a_router_resets_connections_both_ways(site: Site, inside: str, outside: str) -> None:
    gateway = Running(site, configured("router"))
    meet(site, inside, outside)
    with listener(site, "outside", outside), listener(site, "inside", inside):
        assert is_refused_at_once(site, "inside", outside)
        assert is_refused_at_once(site, "outside", inside)
        gateway.rules("remove")
        with client(site, "inside", outside) as phone:
            phone.connect((outside, 5060))


@pytest.mark.parametrize(
    ("server", "outside"), [(Site.INSIDE, Site.OUTSIDE), (Site.INSIDE6, Site.OUTSIDE6)]
)
def test_a_host_resets_connections_both_ways(site: Site, server: str, outside: str) -> None:
    gateway = Running(site, configured("host"), host="inside")
    meet(site, server, outside)
    with listener(site, "outside", outside), listener(site, "inside", server):
        assert is_refused_at_once(site, "inside", outside)
        assert is_refused_at_once(site, "outside", server)
        with client(site, "inside", server) as local:  # by lo, which is nobody's business
            local.connect((server, 5060))
        gateway.rules("remove")
        with client(site, "outside", server) as phone:
            phone.connect((server, 5060))


def test_a_connection_from_before_is_reset_and_says_nothing_more(site: Site) -> None:
    with (
        listener(site, "outside", Site.OUTSIDE) as server,
        client(site, "inside", Site.OUTSIDE) as phone,
    ):
        phone.connect((Site.OUTSIDE, 5060))
        peer, _ = server.accept()
        Running(site, configured("router"))
        with peer:
            peer.settimeout(SOON)
            phone.send(b"OPTIONS sip:10.0.0.7 SIP/2.0\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                phone.recv(1)
            with pytest.raises(TimeoutError):
                peer.recv(1)


def test_where_the_rule_is_lost_no_data_passes(site: Site) -> None:
    """As when somebody loads the table filter anew, and that alone."""
    gateway = Running(site, configured("router"))
    site.run("gw", "iptables", "-F", "FORWARD")
    with (
        listener(site, "outside", Site.OUTSIDE) as server,
        client(site, "inside", Site.OUTSIDE) as phone,
    ):
        phone.connect((Site.OUTSIDE, 5060))
        peer, _ = server.accept()
        with peer:
            peer.settimeout(SOON)
            phone.send(b"OPTIONS sip:10.0.0.7 SIP/2.0\r\n\r\n")
            with pytest.raises(TimeoutError):
                peer.recv(1)
    assert gateway.outcomes()["tcp"] >= 4


def test_a_connection_is_one_line_and_in_clear_is_noted(site: Site) -> None:
    gateway = Running(site, configured("router", 'on_tcp = "accept"'))
    with listener(site, "outside", Site.OUTSIDE) as server:
        for _ in range(3):
            with client(site, "inside", Site.OUTSIDE) as phone:
                phone.connect((Site.OUTSIDE, 5060))
                peer, _ = server.accept()
                with peer:
                    for _ in range(20):
                        phone.sendall(b"x" * 3000)
                        assert len(peer.recv(3000, socket.MSG_WAITALL)) == 3000
    state = gateway.await_status(lambda state: state["packets"] > 100)
    assert state["noted"] == {"tcp_in_clear": 3}
    lines = gateway.log().splitlines()
    assert sum("event=tcp " in line for line in lines) == 3
    assert sum("note=tcp_in_clear" in line for line in lines) == 1
    assert 'queue.on_tcp "accept": SIP over TCP passes in clear' in gateway.log()


@pytest.mark.full
def test_a_nat_resets_connections_of_what_is_behind_it(tmp_path: Path) -> None:
    with Net(tmp_path) as net:
        net.host("carrier", CARRIER)
        net.home("pbx", calls.PROXY, "192.168.178.1", calls.EDGE)
        gateway = Running(net, f'{NAT}[queue]\non_tcp = "reset"\n', host="pbx-nat")
        with listener(net, "carrier", CARRIER):
            assert is_refused_at_once(net, "pbx", CARRIER)
            gateway.rules("remove")
            with client(net, "pbx", CARRIER) as phone:
                phone.connect((CARRIER, 5060))
