"""The laboratory's own search: it finds what it has to, in every spelling, and nothing else."""

import base64

import pytest

from attacks.search import Secrets

SECRETS = Secrets(["10.0.37.201", "kx7secret", "fd00::5", "pbx1.corp.example"])


@pytest.mark.parametrize(
    "text",
    [
        "sip:a@10.0.37.201:5062",
        "010.000.037.201",
        "012.0.045.0311",
        "1.10.0.37.201",
        "201.37.0.10.in-addr.arpa",
        "alias=10.0.37.201~22~1",
        "host-10-0-37-201",
        "sip:167781833",
        "0x0a0025c9",
        "0x0a.0x0.0x25.0xc9",
        "[::ffff:10.0.37.201]",
        "[::ffff:0a00:25c9]",
        "1%30.0.37.201",
        "1%2530.0.37.201",
        "&#49;0.0.37.201",
        "1\\0.0.37.201",
        base64.b64encode(b"x sip:a@10.0.37.201 y").decode(),
        "zz" + base64.urlsafe_b64encode(b"sip:a@10.0.37.201").decode().rstrip("="),
        b"sip:a@10.0.37.201".hex(),
        "FD00:0:0::5",
        "fd00:0000:0000:0000:0000:0000:0000:0005",
        "<sip:KX7secret@x>",
        "%6bx7secret",
        "PBX1.Corp.Example",
    ],
)
def test_finds(text: str) -> None:
    assert SECRETS.shown(f"Contact: <{text}>\r\n".encode())


@pytest.mark.parametrize(
    "text", ["10.0.37.20", "110.0.37.201", "10.0.37.2010", "fd00::51", "kx7secre", "", "167781834"]
)
def test_finds_nothing_else(text: str) -> None:
    assert not SECRETS.shown(f"Contact: <sip:{text}>\r\n".encode())
