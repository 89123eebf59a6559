"""Claims: outsiders name a host inside that nobody gave them a token for, and want it reached."""

from collections.abc import Callable
from pathlib import Path

from attacks.gateways import PROXY, Setting
from attacks.matrix import OWN, Attack
from attacks.message import Message, bare, read_uri
from attacks.proxy import answer_to
from attacks.scene import A, B

VICTIM = "10.0.0.77"
HOSTS = {
    "address": f"{VICTIM}:22",
    "zeros": "010.000.000.077:22",
    "name": "pbx2.corp.example:22",
    "name with a dot": "PBX2.corp.example.:22",
}
"""How a host inside is written, and each as the proxy's resolver takes it."""
_PARAMETERS = {
    "maddr": f";maddr={VICTIM}",
    "received": f";received=sip:{VICTIM}:22",
    "alias": f";alias={VICTIM}~22~1",
    "Maddr": f";transport=udp;MADDR={VICTIM}",
}

Try = Callable[[Attack], None]


def run(setting: Setting, folder: Path) -> tuple[list[str], dict[str, str]]:
    """All rows, and those by which a host inside was reached."""
    attack = Attack(setting, folder)
    tries = _responses()
    if setting.profile == "strict":
        tries |= _requests() | _bindings() | _redirections()
    found = {}
    for row, attempt in tries.items():
        scene = attack.scene
        scene.forget()
        attempt(attack)
        for reached in scene.reached:
            if _is_claimed(reached.to[0]):
                found[row] = f"{reached.to} by {reached.message.wire()!r}"
        for message in (reached.message for reached in scene.reached):
            uri = read_uri(bare(message.first("Refer-To")))
            if uri and _is_claimed(uri.host):
                found[row] = f"alice is referred there: {message.wire()!r}"
        scene.proxy.users["bob"] = (f"sip:bob@{B[0]}:{B[1]}", [])
    scene.close()
    return list(tries), found


def _is_claimed(host: str) -> bool:
    return host in (VICTIM, "10.0.38.2") or host.lower().startswith(("pbx2.", "010."))


def _send(message: Callable[[Attack], Message]) -> Try:
    def attempt(attack: Attack) -> None:
        attack.scene.outside(message(attack), B)

    return attempt


def _requests() -> dict[str, Try]:
    """Requests that go where a Request-URI, a Route or a Refer-To says."""
    tries: dict[str, Try] = {}

    def request(uri: str, *routes: str, method: str = "INVITE", tag: str = ";tag=there") -> Try:
        def make(attack: Attack) -> Message:
            message = attack.request(method, OWN, uri)
            message.put("Route", *routes)
            message.put("To", f"<sip:a@attacker.example>{tag}")
            return message

        return _send(make)

    def refer(uri: str) -> Try:
        def make(attack: Attack) -> Message:
            message = attack.request("REFER", OWN, "sip:alice@example.com")
            message.put("Refer-To", f"<{uri}>")
            return message

        return _send(make)

    own = f"<sip:{PROXY};lr>"
    uris = {f"{name}": f"sip:x@{host}" for name, host in HOSTS.items()}
    uris |= {f"own {name}": f"sip:x@{A[0]}{text}" for name, text in _PARAMETERS.items()}
    for name, uri in uris.items():
        for method in ("INVITE", "OPTIONS", "BYE", "ACK", "CANCEL"):
            tries[f"Request-URI {name}, {method}"] = request(uri, own, method=method)
        tries[f"Request-URI {name}, no Route"] = request(uri)
        tries[f"Request-URI {name}, no tag"] = request(uri, own, tag="")
        tries[f"Route {name}"] = request(f"sip:a@{A[0]}", own, f"<{uri};lr>")
        tries[f"Route {name}, one line"] = request(f"sip:a@{A[0]}", f"{own}, <{uri};lr>")
        tries[f"Route {name}, first"] = request(f"sip:a@{A[0]}", f"<{uri};lr>")
        tries[f"Refer-To {name}"] = refer(uri)
    return tries


def _responses() -> dict[str, Try]:
    """Responses that go where a Via says."""
    below = {name: f"SIP/2.0/UDP {host}" for name, host in HOSTS.items()}
    below |= {
        "received": f"SIP/2.0/UDP {A[0]};received={VICTIM}",
        "maddr": f"SIP/2.0/UDP {A[0]};maddr={VICTIM}",
        "folded": f"SIP / 2.0 / UDP\r\n {VICTIM}:22",
    }
    tries: dict[str, Try] = {}
    for name, via in below.items():
        for form, vias in {
            "two": [f"SIP/2.0/UDP {PROXY};branch=z9hG4bKanything", f"{via};branch=z9hG4bKx"],
            "one line": [f"SIP/2.0/UDP {PROXY};branch=z9hG4bKanything, {via};branch=z9hG4bKx"],
            "three": [f"SIP/2.0/UDP {PROXY};branch=z9hG4bKanything", f"{via};branch=z9hG4bKx",
                      f"SIP/2.0/UDP {A[0]};branch=z9hG4bKy"],
        }.items():  # fmt: skip
            tries[f"response Via {name}, {form}"] = _send(_response(vias))
        tries[f"response Via {name}, as alice's"] = _alices_branch(via)
    return tries


def _response(vias: list[str]) -> Callable[[Attack], Message]:
    def make(attack: Attack) -> Message:
        answer = answer_to(attack.request("INVITE", OWN, "sip:x@y"), "200 OK", "t")
        answer.put("Via", *vias)
        return answer

    return make


def _alices_branch(via: str) -> Try:
    """The topmost Via is that of alice's own request, whose transaction is over."""

    def attempt(attack: Attack) -> None:
        kept = attack.scene.proxy.forget()
        answer = _response([attack.seen.top, f"{via};branch=z9hG4bKx"])(attack)
        attack.disguise(answer)
        attack.scene.outside(answer, B)
        attack.scene.proxy.remember(kept)

    return attempt


def _bindings() -> dict[str, Try]:
    """A phone that registers an inside address, and is called."""
    tries: dict[str, Try] = {}

    def register(fields: dict[str, str]) -> Try:
        def attempt(attack: Attack) -> None:
            message = attack.request("REGISTER", OWN, "sip:example.com")
            message.put("Route")
            message.put("To", "<sip:bob@example.com>")
            for name, value in fields.items():
                message.put(name, value)
            attack.scene.outside(message, B)
            attack.scene.outside(attack.request("INVITE", OWN, "sip:bob@example.com", A), A)

        return attempt

    here = f"sip:b@{B[0]}:{B[1]}"
    for name, host in HOSTS.items():
        tries[f"REGISTER Contact {name}"] = register({"Contact": f"<sip:b@{host}>"})
        tries[f"REGISTER Contact bare {name}"] = register({"Contact": f"sip:b@{host}"})
        path = {"Contact": f"<{here}>", "Path": f"<sip:{host};lr>"}
        tries[f"REGISTER Path {name}"] = register(path)
    for name, text in _PARAMETERS.items():
        tries[f"REGISTER Contact {name}"] = register({"Contact": f"<{here}{text}>"})
        path = {"Contact": f"<{here}>", "Path": f"<sip:{A[0]}{text};lr>"}
        tries[f"REGISTER Path {name}"] = register(path)
    via = f"SIP/2.0/UDP {B[0]}:{B[1]};branch=z9hG4bKm"
    for name, text in _PARAMETERS.items():
        if name.lower() == "maddr":
            tries[f"REGISTER topmost Via {name}"] = register({"Via": f"{via}{text}"})
    return tries


def _redirections() -> dict[str, Try]:
    """A 3xx whose Contacts the proxy follows."""

    def redirect(contact: str) -> Try:
        def attempt(attack: Attack) -> None:
            scene = attack.scene
            left = scene.outside(attack.request("INVITE", OWN, f"sip:b@{B[0]}:{B[1]}", A), A)
            if not left:
                return
            answer = answer_to(Message.parse(left[-1].data), "302 Moved", "t")
            answer.put("Contact", contact)
            scene.proxy.habits.recurses = True
            scene.outside(answer, B)
            scene.proxy.habits.recurses = False

        return attempt

    tries = {f"302 Contact {name}": redirect(f"<sip:x@{host}>") for name, host in HOSTS.items()}
    tries |= {
        f"302 Contact {name}": redirect(f"<sip:x@{A[0]}{text}>")
        for name, text in _PARAMETERS.items()
    }
    second = f"<sip:x@{A[0]}>;q=0.9, <sip:x@{VICTIM}:22>;q=0.1"
    return tries | {"302 Contact, second": redirect(second)}
