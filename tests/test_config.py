"""The configuration: what it means, where a value comes from, and what each wrong key says."""

import contextlib
import os
import tomllib
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inline_topo.config import Config, load, markdown_table
from inline_topo.errors import ConfigError

INSIDE = 'inside = ["10.1.1.10"]\n'
KAMAILIO = '[topoh]\ncodec = "kamailio"\nmask_key = "my secret here"\n'
AES = '[topoh]\nmask_key_file = "mask.key"\n'
WORKS = INSIDE + AES

Read = Callable[..., Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Load a file with this text."""

    def load_text(text: str, env: Mapping[str, str] | None = None, *sets: str) -> Config:
        (tmp_path / "gw.toml").write_text(text)
        return load(tmp_path / "gw.toml", env=env or {}, sets=sets)

    return load_text


def refusal(call: Callable[[], object]) -> str:
    """The one line of the ConfigError that the call must raise."""
    with pytest.raises(ConfigError) as error:
        call()
    assert error.value.exit_code == 78
    line = str(error.value)
    assert "\n" not in line
    return line


def test_defaults_are_those_of_the_design_and_of_kamailio(read: Read) -> None:
    config = read(WORKS)
    assert (config.shape, config.mode) == ("router", "topoh")
    assert config.ports == (5060,)
    assert config.interfaces == config.protected == config.rule == ()
    assert config.queue.on_error == "drop"
    assert config.queue.fail_open is False
    topoh = config.topoh
    assert (topoh.codec, topoh.mask_ip, topoh.mask_callid) == ("aes-siv", "auto", False)
    assert (topoh.uparam_name, topoh.uparam_prefix) == ("line", "sr-")
    assert (topoh.vparam_name, topoh.vparam_prefix) == ("branch", "z9hG4bKsr-")
    assert (topoh.callid_prefix, topoh.mask_mode) == ("!!:", 0)


def test_reads_every_key(read: Read, tmp_path: Path) -> None:
    config = read("""
        shape = "nat"
        mode = "topoh"
        inside = ["10.1.2.0/24", "10.1.1.10", "2001:db8::10", "2001:db8:1::/48"]
        public = "203.0.113.5"
        own = ["203.0.113.5", "Server.COM.", "2001:db8::10"]
        protected = ["172.16.0.0/12", "lab.server.com", "198.51.100.7"]
        ports = [5060, 5062]
        interfaces = ["eth0"]
        [topoh]
        codec = "kamailio"
        mask_ip = "203.0.113.5"
        mask_key = "my secret here"
        mask_callid = true
        uparam_name = "u"
        uparam_prefix = "up-"
        vparam_name = "v"
        vparam_prefix = "z9hG4bKvp-"
        callid_prefix = "!c:"
        mask_mode = 1
        [queue]
        on_error = "accept"
        fail_open = false
        [[rule]]
        source = ["10.1.2.0/24"]
        destination = ["198.51.100.7", "2001:db8:2::/64"]
        method = ["INVITE", "X-OWN"]
        from_user = ["alice"]
        to_user = ["bob", "+49301234"]
        request_uri_user = ["*31#"]
        message = "request"
        action = "skip"
        [[rule]]
        action = "mask"
    """)
    networks = ["10.1.2.0/24", "10.1.1.10", "2001:db8::10", "2001:db8:1::/48"]
    assert config.inside == tuple(ip_network(network) for network in networks)
    assert config.public == ip_address("203.0.113.5")
    assert config.own == (ip_address("203.0.113.5"), "server.com", ip_address("2001:db8::10"))
    assert config.protected == (
        ip_network("172.16.0.0/12"),
        "lab.server.com",
        ip_network("198.51.100.7"),
    )
    assert (config.shape, config.ports, config.interfaces) == ("nat", (5060, 5062), ("eth0",))
    topoh = config.topoh
    assert topoh.mask_key is not None
    assert topoh.mask_key.get_secret_value() == "my secret here"
    assert (topoh.codec, topoh.mask_ip) == ("kamailio", ip_address("203.0.113.5"))
    assert (topoh.mask_callid, topoh.mask_mode) == (True, 1)
    assert (topoh.uparam_name, topoh.uparam_prefix) == ("u", "up-")
    assert (topoh.vparam_name, topoh.vparam_prefix) == ("v", "z9hG4bKvp-")
    assert topoh.callid_prefix == "!c:"
    assert config.queue.on_error == "accept"
    first, second = config.rule
    assert first.source == (ip_network("10.1.2.0/24"),)
    assert first.destination == (ip_network("198.51.100.7"), ip_network("2001:db8:2::/64"))
    assert (first.method, first.from_user) == (("INVITE", "X-OWN"), ("alice",))
    assert (first.to_user, first.request_uri_user) == (("bob", "+49301234"), ("*31#",))
    assert (first.message, first.action) == ("request", "skip")
    assert (second.method, second.message, second.action) == ((), None, "mask")


def test_own_is_by_default_the_single_addresses_inside(read: Read) -> None:
    config = read('inside = ["10.1.1.10", "10.1.2.0/24", "2001:db8::10"]\n' + AES)
    assert config.own == (ip_address("10.1.1.10"), ip_address("2001:db8::10"))
    assert read('inside = ["10.1.2.0/24"]\n' + AES).own == ()


def test_own_is_in_shape_nat_by_default_the_public_address(read: Read) -> None:
    text = 'shape = "nat"\npublic = "203.0.113.5"\ninside = ["10.0.0.5"]\n' + AES
    assert read(text).own == (ip_address("203.0.113.5"),)


def test_a_key_ring_is_found_beside_the_file_that_names_it(read: Read, tmp_path: Path) -> None:
    assert read(WORKS).topoh.mask_key_file == tmp_path / "mask.key"
    absolute = INSIDE + '[topoh]\nmask_key_file = "/etc/mask.key"\n'
    assert read(absolute).topoh.mask_key_file == Path("/etc/mask.key")
    assert read(WORKS, None, "topoh.mask_key_file=m.key").topoh.mask_key_file == Path("m.key")


def test_needs_no_key_file_where_the_caller_has_a_ring() -> None:
    config = load(None, env={}, overrides={"inside": ("10.1.1.10",)}, key_ring_given=True)
    assert config.inside == (ip_network("10.1.1.10"),)
    assert config.topoh.mask_key_file is None


def test_later_sources_override_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "gw.toml"
    path.write_text(
        'shape = "host"\ninside = ["10.0.0.1"]\nports = [1, 2]\nown = ["a.com"]\n' + AES
    )
    env = {
        "INLINE_TOPO_INSIDE": '["10.0.0.2", "10.0.0.9"]',
        "INLINE_TOPO_PORTS": "3",
        "INLINE_TOPO_OWN": "b.com",
        "INLINE_TOPO_TOPOH__MASK_CALLID": "true",
        "PATH": "/bin",
    }
    sets = ["own=c.com", 'own=["d.com", "e.com"]', "inside=10.0.0.3"]
    config = load(path, env=env, sets=sets, overrides={"inside": ("10.0.0.4",)})
    assert config.shape == "host"
    assert config.ports == (3,)
    assert config.topoh.mask_callid is True
    assert config.topoh.mask_key_file == tmp_path / "mask.key"
    assert config.own == ("d.com", "e.com")
    assert config.inside == (ip_network("10.0.0.4"),)


def test_a_table_and_rules_can_be_set_whole() -> None:
    sets = [
        "inside=10.1.1.10",
        'topoh={codec="kamailio", mask_key="k"}',
        'rule=[{method=["BYE"], action="skip"}]',
    ]
    config = load(None, env={}, sets=sets)
    assert config.topoh.codec == "kamailio"
    assert config.rule[0].method == ("BYE",)


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("my secret here", "my secret here"),
        ("12345", "12345"),
        ("true", "true"),
        ('"quoted"', "quoted"),
        ("a=b", "a=b"),
        (" x ", " x "),
        ("1\ncodec=2", "1\ncodec=2"),
    ],
)
def test_text_from_a_word_stays_text(word: str, key: str) -> None:
    env = {"INLINE_TOPO_INSIDE": "10.1.1.10", "INLINE_TOPO_TOPOH__CODEC": "kamailio"}
    for config in (
        load(None, env=env, sets=[f"topoh.mask_key={word}"]),
        load(None, env=env | {"INLINE_TOPO_TOPOH__MASK_KEY": word}),
    ):
        assert config.topoh.mask_key is not None
        assert config.topoh.mask_key.get_secret_value() == key


def test_both_codecs_have_a_call_id_prefix(read: Read) -> None:
    for text in (WORKS, INSIDE + KAMAILIO):
        assert read(text + 'callid_prefix = "!c:"\n').topoh.callid_prefix == "!c:"


def test_is_frozen(read: Read) -> None:
    config = read(WORKS)
    with pytest.raises(ValueError, match="frozen"):
        config.shape = "host"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('shape = "bridge"', 'shape: "bridge" is not one of router, host, nat'),
        ("shape = 5", "shape: 5 is not one of router, host, nat"),
        ('mode = "topos"', 'topos.store: needed with mode "topos": where what is removed is kept'),
        ('mode = "x"', 'mode: "x" is not one of topoh, topos'),
        ("inside = []", "inside: needed: the addresses and networks behind the gateway"),
        ('inside = "10.1.1.10"', 'inside: "10.1.1.10" is not a list'),
        ('inside = ["10.1.1"]', 'inside[1]: "10.1.1" is neither an address nor a network'),
        ('inside = ["10.1.1.1", "host.com"]', 'inside[2]: "host.com" is neither an address nor'),
        ('inside = ["10.1.1.10/24"]', 'inside[1]: "10.1.1.10/24" has host bits set: the n'),
        ('inside = ["10.1.1.0/33"]', 'inside[1]: "10.1.1.0/33" is neither an address nor'),
        ('inside = ["fe80::1%eth0"]', 'inside[1]: "fe80::1%eth0" is neither an address nor'),
        ('inside = ["0.0.0.0/0"]', 'inside[1]: "0.0.0.0/0" is every address there is'),
        ('inside = ["::/0"]', 'inside[1]: "::/0" is every address there is'),
        ("inside = [10]", "inside[1]: 10 is neither an address nor a network"),
        ("inside = [true]", "inside[1]: true is neither an address nor a network"),
        ('own = ["10.1.1.300"]', 'own[1]: "10.1.1.300" is neither an address nor a host name'),
        ('own = ["10.1.1.0/24"]', 'own[1]: "10.1.1.0/24" is neither an address nor a host name'),
        ('own = ["server.com:5060"]', 'own[1]: "server.com:5060" is neither an address nor'),
        ('own = ["sip:server.com"]', 'own[1]: "sip:server.com" is neither an address nor'),
        ('own = ["*.server.com"]', 'own[1]: "*.server.com" is neither an address nor'),
        ('own = ["a b"]', 'own[1]: "a b" is neither an address nor a host name'),
        ('own = ["a\\nb"]', r'own[1]: "a\nb" is neither an address nor a host name'),
        ("own = [5]", "own[1]: 5 is neither an address nor a host name"),
        ('protected = ["a b"]', 'protected[1]: "a b" is no address, no network and no host name'),
        ('protected = ["10.1.1.1/24"]', "protected[1]: "),
        ("ports = [0]", "ports[1]: 0 is not a port (1 to 65535)"),
        ("ports = [5060, 65536]", "ports[2]: 65536 is not a port (1 to 65535)"),
        ('ports = ["5060"]', 'ports[1]: "5060" is not a port (1 to 65535)'),
        ("ports = [true]", "ports[1]: true is not a port (1 to 65535)"),
        ("ports = []", "ports: an empty list; leave the key out instead"),
        ("ports = 5060", "ports: 5060 is not a list"),
        ('interfaces = ["eth 0"]', 'interfaces[1]: "eth 0" is not an interface\'s name'),
        ("interfaces = [0]", "interfaces[1]: 0 is not a string"),
        ('public = "203.0.113.5"', 'public: goes with shape "nat" only, and shape is "router"'),
        ('shape = "nat"', "public: needed with shape \"nat\": the router's public address"),
        ('shape = "nat"\npublic = "nat.com"', 'public: "nat.com" is not an IP address'),
        ('shape = "nat"\npublic = "203.0.113.5"\nown = ["a.com"]', "own: must name the public"),
        ('insde = ["10.1.1.1"]', "insde: unknown key; did you mean inside?"),
        ("xyzzy = 1", "xyzzy: unknown key"),
        ('"a\\nb" = 1', r'"a\nb": unknown key'),
        ('mask_ip = "auto"', "mask_ip: unknown key; did you mean topoh.mask_ip?"),
        ("topoh = 5", "topoh: not a table"),
        ("[[topoh]]", "topoh: not a table"),
        ("[topos]\nstore = 5", "topos.store: begins with none of sqlite:///, redis://"),
        ('[topos]\nstore = "mysql://a:secret@h"', "topos.store: begins with none of sqlite:///"),
        ("[topos]\nstore_timeout = 0", "topos.store_timeout: 0 is not a number of seconds, above"),
        ("[topos]\nstore_timeout = nan", "topos.store_timeout: NaN is not a number of seconds"),
        ('[topos]\non_store_error = "x"', 'topos.on_store_error: "x" is not one of drop, mask'),
        ("[topos]\nbranch_expire = 0", "topos.branch_expire: 0 is not a number from 1 to"),
        ('[topos]\ncontact_host = "a b"', 'topos.contact_host: "a b" is not a host, nor a host and'),
        ('[topos]\ncontact_host = "1.2.3.400"', 'topos.contact_host: "1.2.3.400" is not a host'),
        ("[topos]\ncontact_mode = 2", "topos.contact_mode: 2 is not one of 0, 1"),
        ('[topos]\ncparam_name = "a="', 'topos.cparam_name: "a=" has other characters than'),
        ('[queue]\nnumbers = "3:0"', 'queue.numbers: "3:0" is neither a queue number nor'),
        ('[queue]\nnumbers = "0:64"', 'queue.numbers: "0:64" is neither a queue number nor'),
        ("[queue]\nnumbers = 65536", "queue.numbers: 65536 is neither a queue number nor"),
        ("[queue]\nmax_len = 0", "queue.max_len: 0 is not a number from 1 to 65535"),
        ("mtu = 200", "mtu: 200 is not a number from 576 to 65535"),
        ("[metrics]\nlisten_port = true", "metrics.listen_port: true is not a number from 0 to 65535"),
        ('[queue]\nfail_open = "no"', 'queue.fail_open: "no" is neither true nor false'),
        ('[queue]\non_error = "pass"', 'queue.on_error: "pass" is not one of drop, accept'),
        ("[queue]\non_eror = 1", "queue.on_eror: unknown key; did you mean queue.on_error?"),
        ('[topoh]\ncodec = "aes"', 'topoh.codec: "aes" is not one of aes-siv, kamailio'),
        ("[topoh]\ncodecs = 1", "topoh.codecs: unknown key; did you mean topoh.codec?"),
        ('[topoh]\nmask_ip = "Auto"', 'topoh.mask_ip: "Auto" is neither "auto" nor an IP address'),
        ('[topoh]\nmask_ip = "a.com"', 'topoh.mask_ip: "a.com" is neither "auto" nor an IP'),
        ("[topoh]\nmask_ip = 1", 'topoh.mask_ip: 1 is neither "auto" nor an IP address'),
        ('[topoh]\nmask_callid = "yes"', 'topoh.mask_callid: "yes" is neither true nor false'),
        ("[topoh]\nmask_callid = 1", "topoh.mask_callid: 1 is neither true nor false"),
        ("[topoh]\nmask_mode = 2", "topoh.mask_mode: 2 is not one of 0, 1"),
        ("[topoh]\nmask_mode = true", "topoh.mask_mode: true is not one of 0, 1"),
        ('[topoh]\nmask_mode = "1"', 'topoh.mask_mode: "1" is not one of 0, 1'),
        ("[topoh]\nmask_key = 5", "topoh.mask_key: ******** is not a string"),
        ("[topoh]\nmask_key_file = 5", "topoh.mask_key_file: 5 is not a file's name"),
        ('[topoh]\nmask_key_file = ""', "topoh.mask_key_file: \"\" is not a file's name"),
        ("[topoh]", "topoh.mask_key_file: needed: a key ring; `inline-topo keygen"),
        ('[topoh]\ncodec = "kamailio"', 'topoh.mask_key: needed with the codec "kamailio"'),
        ('[topoh]\ncodec = "kamailio"\nmask_key = ""', "topoh.mask_key: needed with the codec"),
        (AES + 'mask_key = "s"', 'topoh.mask_key: means nothing to the codec "aes-siv"'),
        (AES + 'uparam_name = "l"', 'topoh.uparam_name: means nothing to the codec "aes-siv"'),
        (KAMAILIO + 'mask_key_file = "k"', 'topoh.mask_key_file: means nothing to the codec "kam'),
        (KAMAILIO + 'uparam_name = "l;r"', 'topoh.uparam_name: "l;r" has other characters than'),
        (KAMAILIO + 'uparam_name = ""', 'topoh.uparam_name: "" has other characters than'),
        (KAMAILIO + 'uparam_prefix = "é"', 'topoh.uparam_prefix: "\\u00e9" has other characters'),
        (KAMAILIO + 'vparam_name = "a=b"', 'topoh.vparam_name: "a=b" has other characters than'),
        (KAMAILIO + 'vparam_name = "a\\n"', r'topoh.vparam_name: "a\n" has other characters than'),
        (KAMAILIO + 'vparam_prefix = "sr-"', 'topoh.vparam_prefix: "sr-" does not begin with z9'),
        (KAMAILIO + 'vparam_prefix = "z9hG4bK "', 'topoh.vparam_prefix: "z9hG4bK " has other'),
        (KAMAILIO + 'callid_prefix = "a b"', 'topoh.callid_prefix: "a b" has characters that no'),
        ("rule = 5", "rule: not an array of tables; write [[rule]]"),
        ('[rule]\naction = "skip"', "rule: not an array of tables; write [[rule]]"),
        ("rule = [5]", "rule[1]: 5 is not a table"),
        ("[[rule]]", "rule[1].action: needed: skip: leave the message clear; mask: "),
        ('[[rule]]\naction = "drop"', 'rule[1].action: "drop" is not one of skip, mask'),
        ('[[rule]]\naction = "skip"\n[[rule]]\naction = 1', "rule[2].action: 1 is not one of"),
        ('[[rule]]\naction = "skip"\nmethod = "BYE"', 'rule[1].method: "BYE" is not a list'),
        ('[[rule]]\naction = "skip"\nmethod = []', "rule[1].method: an empty list; leave the key"),
        ('[[rule]]\naction = "skip"\nmethod = ["B E"]', 'rule[1].method[1]: "B E" is not a SIP'),
        ('[[rule]]\naction = "skip"\nmethods = []', "rule[1].methods: unknown key; did you mean m"),
        ('[[rule]]\naction = "skip"\nsource = ["a"]', 'rule[1].source[1]: "a" is neither an addr'),
        ('[[rule]]\naction = "skip"\nto_user = [""]', "rule[1].to_user[1]: \"\" is not a user"),
        ('[[rule]]\naction = "skip"\nmessage = "x"', 'rule[1].message: "x" is not one of request'),
    ],
)  # fmt: skip
def test_names_file_key_value_and_reason(
    read: Read, tmp_path: Path, text: str, reason: str
) -> None:
    text = text if "inside" in text else INSIDE + text
    text = text if "topoh]" in text or "topoh =" in text else f"{text}\n{AES}"
    assert refusal(lambda: read(text)).startswith(f"{tmp_path / 'gw.toml'}: {reason}")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('inside = ["10.1.1.10"]\nown = server.com\n', "(at line 2, column 7)"),
        ("inside = 1\ninside = 2\n", "(at line 2, column 11)"),
        ('inside = ["10.1.1.10"', "(at end of document)"),
        ("a = " + "[" * 50000, ""),
        ("a = " + "9" * 5000, ""),
    ],
)
def test_says_where_the_toml_is_wrong(read: Read, tmp_path: Path, text: str, place: str) -> None:
    line = refusal(lambda: read(text))
    assert line.startswith(f"{tmp_path / 'gw.toml'}: not TOML: ")
    assert line.endswith(place)


def test_names_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    none = tmp_path / "none.toml"
    assert refusal(lambda: load(none, env={})) == f"{none}: No such file or directory"
    assert refusal(lambda: load(tmp_path, env={})) == f"{tmp_path}: Is a directory"
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    assert refusal(lambda: load(tmp_path / "bytes.toml", env={})).endswith(": not UTF-8 text")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "INLINE_TOPO_TOPOH__CODEC",
            "aes",
            'INLINE_TOPO_TOPOH__CODEC: topoh.codec: "aes" is not one of aes-siv, kamailio',
        ),
        (
            "INLINE_TOPO_TOPO__CODEC",
            "aes-siv",
            "INLINE_TOPO_TOPO__CODEC: topo.codec: unknown key; did you mean topoh.codec?",
        ),
        (
            "INLINE_TOPO_INSIDES",
            "10.1.1.10",
            "INLINE_TOPO_INSIDES: insides: unknown key; did you mean inside?",
        ),
        (
            "INLINE_TOPO_TOPOH__MASK_CALLID",
            "yes",
            'INLINE_TOPO_TOPOH__MASK_CALLID: topoh.mask_callid: "yes" is neither true nor false',
        ),
        (
            "INLINE_TOPO_INSIDE",
            "10.1.1.10/8",
            'INLINE_TOPO_INSIDE: inside[1]: "10.1.1.10/8" has host bits set: '
            "the network is 10.0.0.0/8",
        ),
        ("INLINE_TOPO_TOPOH", "x", "INLINE_TOPO_TOPOH: topoh: not a table"),
        ("INLINE_TOPO_TOPOS__STORE", "x", "INLINE_TOPO_TOPOS__STORE: topos.store: begins with"),
    ],
)
def test_names_the_environment_variable(read: Read, name: str, value: str, line: str) -> None:
    assert refusal(lambda: read(WORKS, {name: value})).startswith(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("topoh.codec=aes", '--set: topoh.codec: "aes" is not one of aes-siv, kamailio'),
        ("inside", "--set: expected KEY=VALUE"),
        ("insid=10.1.1.10", "--set: insid: unknown key; did you mean inside?"),
        ("=x", '--set: "": unknown key'),
        ("ports=sip", '--set: ports[1]: "sip" is not a port (1 to 65535)'),
        ("rule[1].action=skip", "--set: rule[1].action: unknown key"),
        ("topoh.codec=kamailio", "gw.toml: topoh.mask_key_file: means nothing to the codec"),
    ],
)
def test_names_the_option(read: Read, text: str, line: str) -> None:
    assert line in refusal(lambda: read(WORKS, None, text))


def test_names_the_option_of_a_command() -> None:
    line = refusal(lambda: load(None, env={}, overrides={"inside": ("10.1",)}))
    assert line == '--inside: "10.1" is neither an address nor a network'


def test_says_what_is_missing_without_a_file() -> None:
    assert refusal(lambda: load(None, env={})).startswith("configuration: inside: needed: ")


def test_a_profile_says_what_nobody_else_says(read: Read) -> None:
    default, strict, topoh = (
        read(WORKS, None, f"profile={name}") for name in ("default", "strict", "topoh")
    )
    assert read(WORKS).model_dump() == default.model_dump()
    assert (default.hide.references, strict.hide.references) == (True, True)
    assert (default.hide.from_to, strict.hide.from_to, topoh.hide.from_to) == (False, True, False)
    assert (default.topoh.mask_callid, strict.topoh.mask_callid) == (False, True)
    assert (default.audit, strict.audit, topoh.audit) == (0, "enforce", 0)
    assert (default.queue.on_tcp, strict.queue.on_tcp) == ("accept", "reset")
    assert default.hide.swap == strict.hide.strip
    assert not topoh.hide.swap
    switches = [v for key, v in topoh.hide if isinstance(v, bool) and key != "strangers"]
    assert len(switches) > 5
    assert not any(switches)


def test_an_explicit_key_wins_over_the_profile(read: Read) -> None:
    text = 'profile = "strict"\naudit = 0.5\n' + WORKS + "mask_callid = false\n"
    text += '[hide]\nfrom_to = false\nstrip = ["X-*"]\n[queue]\non_tcp = "accept"\n'
    config = read(text)
    assert (config.audit, config.topoh.mask_callid, config.hide.from_to) == (0.5, False, False)
    assert config.hide.strip == ("X-*",)
    assert config.hide.user_agent == "strip"
    assert 'queue.on_tcp "accept"' in "\n".join(config.warnings())
    assert read(text, {"INLINE_TOPO_HIDE__FROM_TO": "true"}).hide.from_to


def test_the_effective_configuration_says_which_keys_are_the_profiles(read: Read) -> None:
    shown = read(WORKS, None, "profile=strict", "hide.sdp=true").to_toml()
    lines = {line.split(" = ")[0]: line for line in shown.splitlines() if " = " in line}
    assert lines["from_to"].endswith("# profile strict")
    assert lines["mask_callid"].endswith("# profile strict")
    assert lines["sdp"].endswith("# --set")
    assert lines["max_len"].endswith("# default")
    assert read(shown).model_dump() == read(WORKS, None, "profile=strict").model_dump()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("profile=all", 'profile: "all" is not one of default, strict, topoh'),
        ("hide.from=true", "hide.from: unknown key; did you mean hide.from_to?"),
        ('hide.strip=["Via"]', 'hide.strip[1]: "Via": SIP does not work without Via'),
        ('hide.strip=["X-*", "co*"]', 'hide.strip[2]: "co*": SIP does not work without Contact'),
        ('hide.swap=["*"]', 'hide.swap[1]: "*" is not the name of a header'),
        ('hide.swap=["s"]', 'hide.swap[1]: "s" is a compact form: say the full name'),
        ('hide.strip=["X Y"]', 'hide.strip[1]: "X Y" is not the name of a header'),
        ('hide.user_agent="a\\r\\nb"', "is not one line of visible characters"),
        ("hide=1", "hide: not a table"),
    ],
)
def test_refuses_a_wrong_profile_or_switch(read: Read, text: str, line: str) -> None:
    assert line in refusal(lambda: read(WORKS, None, text))


@pytest.mark.parametrize(
    "key",
    [
        *("queue.on_error=accept", "queue.on_fragment=accept", "queue.on_cut=accept"),
        *("queue.on_corrupt=accept", "queue.fail_open=true"),
    ],
)
def test_strict_goes_with_nothing_that_leaves_in_clear(read: Read, key: str) -> None:
    line = refusal(lambda: read(WORKS, None, "profile=strict", key))
    assert 'does not go with profile "strict"' in line
    read(WORKS, None, key)


def test_strict_is_not_for_a_live_gateway_without_a_media_relay(read: Read) -> None:
    read(WORKS).check_live()
    line = refusal(read(WORKS, None, "profile=strict").check_live)
    assert line.startswith('--set: profile: "strict" needs a media relay')


KEYS = [row.split("`")[1] for row in markdown_table().splitlines()[2:]]


@given(
    st.sampled_from([*KEYS, "topoh", "queue", "rule", "topos", "x.y"]) | st.text(),
    st.text()
    | st.sampled_from(["1", "[]", "{}", "[[]]", "[{}]", "nan", "1e9", "[0.0]", "12:00:00"]),
)
@example("ports", "9" * 5000)
@example("ports", "0x" + "9" * 9000)
@example("shape", "{a=" * 5000)
@example("rule", "[{" + "action.a=1" + "}]")
def test_whatever_is_set_is_a_configuration_or_a_config_error(key: str, value: str) -> None:
    name = f"INLINE_TOPO_{key.upper().replace('.', '__')}"
    for env, sets in ({}, [f"{key}={value}"]), ({name: value}, []):
        with contextlib.suppress(ConfigError):
            load(None, env=env, sets=sets, overrides={"inside": ["10.0.0.1"]}, key_ring_given=True)


def test_no_error_and_no_view_shows_the_key(read: Read) -> None:
    secret = "Geheimnis-42"
    keyed = f'{INSIDE}[topoh]\ncodec = "kamailio"\nmask_key = "{secret}"\n'
    config = read(keyed)
    assert secret not in config.to_toml() + repr(config) + str(config) + config.model_dump_json()
    wrong = [
        lambda: read(keyed.replace('"kamailio"', '"aes-siv"')),
        lambda: read(keyed.replace("mask_key", "mask_keys")),
        lambda: read(keyed.replace(f'"{secret}"', f'["{secret}"]')),
        lambda: read(keyed.replace(f'"{secret}"', f'"{secret}')),
        lambda: read(WORKS, {"INLINE_TOPO_TOPOH__MASK_KEY": secret}),
        lambda: read(WORKS, None, f"topoh.mask_key={secret}"),
        lambda: read(WORKS, None, f"topoh.mask_key:{secret}"),
    ]
    for call in wrong:
        assert secret not in refusal(call)


def test_shows_the_effective_configuration_and_its_sources(read: Read, tmp_path: Path) -> None:
    text = WORKS + '[[rule]]\nmethod = ["BYE"]\naction = "skip"\n'
    config = read(text, {"INLINE_TOPO_PORTS": "5062"}, "own=server.com")
    shown = config.to_toml()
    tree = tomllib.loads(shown)
    assert tree["inside"] == ["10.1.1.10"]
    assert tree["topoh"]["mask_key_file"] == str(tmp_path / "mask.key")
    assert tree["rule"] == [{"method": ["BYE"], "action": "skip"}]
    lines = {line.split(" = ")[0]: line for line in shown.splitlines() if " = " in line}
    assert lines["inside"].endswith(f"# {tmp_path / 'gw.toml'}")
    assert lines["ports"].endswith("# INLINE_TOPO_PORTS")
    assert lines["own"].endswith("# --set")
    assert lines["shape"].endswith("# default")
    assert read(shown).model_dump() == config.model_dump()


def test_shows_a_kamailio_key_as_set_but_not_which(read: Read) -> None:
    tree = tomllib.loads(read(INSIDE + KAMAILIO).to_toml())
    assert tree["topoh"]["mask_key"] == "********"
    assert "mask_key_file" not in tree["topoh"]


def test_shows_where_the_store_is_but_not_its_password(read: Read) -> None:
    url = "redis://me:secret@203.0.113.5:6379/1"
    text = read(f'{WORKS}[topos]\nstore = "{url}"\nstore_timeout = 0.25').to_toml()
    tree = tomllib.loads(text)
    assert tree["topos"]["store"] == "redis://********@203.0.113.5:6379/1"
    assert tree["topos"]["store_timeout"] == 0.25
    assert "secret" not in text


def test_topos_has_kamailios_defaults(read: Read) -> None:
    config = read(f'mode = "topos"\n{WORKS}[topos]\nstore = "sqlite:///x.db"')
    topos = config.topos
    assert (config.mode, topos.store) == ("topos", "sqlite:///x.db")
    assert (topos.dialog_expire, topos.branch_expire, topos.clean_interval) == (10800, 180, 60)
    assert (topos.contact_host, topos.contact_mode, topos.cparam_name) == ("", 0, "tps")
    assert topos.methods_nocontact == ("BYE", "CANCEL", "PRACK")


def test_the_table_names_every_key_once_with_help() -> None:
    rows = [row.split(" | ") for row in markdown_table().splitlines()[2:]]
    keys = [row[0].strip("| `") for row in rows]
    assert len(keys) == len(set(keys))
    assert {"inside", "topoh.codec", "topoh.mask_mode", "rule.action", "queue.on_error"} <= {*keys}
    assert all(len(row) == 4 and all(cell.strip(" |") for cell in row) for row in rows)


def test_the_readme_has_this_table() -> None:
    readme = Path(__file__).parents[1] / "README.md"
    begin, end = "<!-- config -->\n", "<!-- /config -->"
    text = readme.read_text() if readme.exists() else ""
    if begin not in text:
        pytest.skip("README.md has no <!-- config --> section yet")
    assert text.partition(begin)[2].partition(end)[0].strip() == markdown_table().strip()


def test_this_environment_sets_nothing() -> None:
    assert not [name for name in os.environ if name.startswith("INLINE_TOPO_")]


@pytest.mark.parametrize(
    ("written", "numbers"), [('"0:3"', [0, 1, 2, 3]), ('"7"', [7]), ("5", [5]), ('"2:2"', [2])]
)
def test_queue_numbers(read: Read, written: str, numbers: list[int]) -> None:
    config = read(f"{WORKS}[queue]\nnumbers = {written}")
    assert list(config.queue.range()) == numbers
    assert config.queue == read(WORKS, None, f"queue.numbers={written}").queue


def test_what_lets_sip_out_in_clear_is_said_aloud(read: Read) -> None:
    assert read(WORKS).warnings() == []
    assert len(read(WORKS + "[queue]\nfail_open = true").warnings()) == 1
    assert "passes in clear" in read(WORKS + "[queue]\nfail_open = true").warnings()[0]
    assert "leaves in clear" in read(WORKS + '[queue]\non_error = "accept"').warnings()[0]
    strict = 'profile = "strict"\n'
    assert read(strict + WORKS).warnings() == []
    assert "only with" in read(strict + "audit = 0\n" + WORKS).warnings()[0]
