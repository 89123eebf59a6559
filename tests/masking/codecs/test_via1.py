"""The topmost Via of shape nat, with both codecs: sent-by and branch hidden, the rest as it came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.base import Codec
from inline_topo.masking.codecs.kamailio import Kamailio
from inline_topo.masking.codecs.keyring import KeyRing

PUBLIC = b"203.0.113.5:1024"
CODECS = {
    "aes-siv": AesSiv(KeyRing({1: bytes(range(64))}, active=1, stable=1)),
    "kamailio": Kamailio(b"my secret here"),
}
each_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())

VALUES = [
    b"SIP/2.0/UDP 192.168.1.20:1024;branch=z9hG4bK1;rport",
    b"SIP/2.0/UDP 192.168.1.20:1024;rport;branch=z9hG4bK1",
    b"SIP/2.0/UDP 192.168.1.20;branch=z9hG4bK1",
    b"SIP/2.0/UDP pbx.corp.example;branch=z9hG4bK1;alias;x=y",
    b"SIP/2.0/UDP [fd00::5]:5060;rport;branch=z9hG4bK1",
    b"SIP/2.0/UDP 192.168.1.20:1024;rport",  # RFC 2543: no branch
    b"SIP / 2.0 / UDP 192.168.1.20 : 1024 ;rport ; branch = z9hG4bK1 ; x",
    b"SIP/2.0/UDP 192.168.1.20:01024;branch=z9hG4bK1",
    b"SIP/2.0/UDP\r\n 192.168.1.20:1024;branch=z9hG4bK1",
    b"SIP/2.0/UDP 192.168.1.20:1024\r\n ;rport\r\n\t;branch=z9hG4bK1;x\n =y",
]


@each_codec
@pytest.mark.parametrize("value", VALUES)
def test_there_and_back(codec: Codec, value: bytes) -> None:
    masked = codec.seal_via1(value, PUBLIC)
    for name in (b"192.168.1.20", b"fd00", b"corp"):
        assert name not in masked
    assert b" " + PUBLIC + b";" in b"".join(masked.splitlines()).replace(b" ;", b";")
    assert codec.open_via1(masked) == value


@each_codec
def test_a_fold_in_the_branch_is_lost(codec: Codec) -> None:
    masked = codec.seal_via1(b"SIP/2.0/UDP 192.168.1.20;branch=\r\n z9hG4bK1", PUBLIC)
    assert codec.open_via1(masked) == b"SIP/2.0/UDP 192.168.1.20;branch= z9hG4bK1"


@each_codec
def test_what_a_server_adds_is_kept(codec: Codec) -> None:
    """RFC 3581 section 4: received is added, and rport gets its value."""
    masked = codec.seal_via1(VALUES[0], PUBLIC)
    assert masked.endswith(b";rport")
    answered = masked.removesuffix(b";rport") + b";rport=1024;received=203.0.113.5"
    assert codec.open_via1(answered) == VALUES[0] + b"=1024;received=203.0.113.5"


@each_codec
def test_one_transaction_one_branch(codec: Codec) -> None:
    """RFC 3261 section 9.1 and 17.1.1.3: CANCEL and the ACK of a failure have the INVITE's sent-by and
    branch, and may differ in all other parameters."""
    invite = codec.seal_via1(b"SIP/2.0/UDP 192.168.1.20:1024;branch=z9hG4bK1;rport", PUBLIC)
    cancel = codec.seal_via1(b"SIP/2.0/UDP 192.168.1.20:1024;alias;branch=z9hG4bK1", PUBLIC)
    branches = [value.partition(b"branch=")[2].partition(b";")[0] for value in (invite, cancel)]
    assert branches[0] == branches[1]
    other = codec.seal_via1(b"SIP/2.0/UDP 192.168.1.20:1024;branch=z9hG4bK2", PUBLIC)
    assert branches[0] not in other


@each_codec
def test_a_branch_of_theirs_is_not_opened(codec: Codec) -> None:
    for branch in (b"z9hG4bK1", b"z9hG4bKsr-abcd", b"z9hG4bK" + b"A" * 60):
        assert codec.open_via1(b"SIP/2.0/UDP 203.0.113.5;branch=" + branch) is None


@each_codec
@given(
    st.ip_addresses(v=4),
    st.integers(1, 65535),
    st.from_regex(rb"z9hG4bK[A-Za-z0-9._-]{0,30}", fullmatch=True),
    st.lists(st.sampled_from([b";rport", b";alias", b";keep=30", b";x", b';y="a"']), unique=True),
    st.integers(0, 5),
)
def test_any_via_comes_back(
    codec: Codec, host: object, port: int, branch: bytes, parameters: list[bytes], at: int
) -> None:
    parameters.insert(min(at, len(parameters)), b";branch=" + branch)
    value = b"SIP/2.0/UDP %s:%d" % (str(host).encode(), port) + b"".join(parameters)
    assert codec.open_via1(codec.seal_via1(value, PUBLIC)) == value
