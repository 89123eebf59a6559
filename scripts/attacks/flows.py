"""Honest flows: what the gateway must still open, for those whom it gave the tokens.

Each flow is a function of a scene that raises Broken where the inside does not get back what it said.
"""

from collections.abc import Callable
from pathlib import Path

from attacks.gateways import PROXY, Setting
from attacks.message import Message, bare, tag_of
from attacks.proxy import Place, answer_to
from attacks.scene import ALICE, ALICE_URI, CAROL, CAROL_URI, INNER, A, B, Left, Reached, Scene

B_URI = f"sip:b@{B[0]}:{B[1]}"
PRIVATE = "10.0.9.9:5062"
"""A stranger's own address at home, which lies in the inside's range."""


class Broken(Exception):
    """A flow that did not come through; the text says where."""


Flow = Callable[[Scene], None]


def run(setting: Setting, folder: Path) -> tuple[list[str], dict[str, str]]:
    """All flows, and those that are broken with the reason."""
    found = {}
    for name, flow in FLOWS.items():
        scene = Scene(setting, folder)
        try:
            flow(scene)
        except Broken as error:
            found[name] = f"{error} (refused: {scene.refused})"
        finally:
            scene.close()
    return list(FLOWS), found


def expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise Broken(f"{what}: {got!r}, not {wanted!r}")


# --- the parties --------------------------------------------------------------------------------

_count = 0


def alices(method: str, uri: str = B_URI, *routes: str, tag: str = "", number: int = 1) -> Message:
    """A request of alice's as it comes to the edge proxy, through the inner one."""
    global _count
    _count += 1
    message = Message(f"{method} {uri} SIP/2.0", [])
    message.put(
        "Via",
        f"SIP/2.0/UDP {INNER[0]};branch=z9hG4bKinner{_count}",
        f"SIP/2.0/UDP {ALICE[0]}:{ALICE[1]};branch=z9hG4bKphone{_count};rport",
    )
    if routes:
        message.put("Route", *routes)
    if method in ("INVITE", "SUBSCRIBE", "REFER"):
        message.put("Record-Route", f"<sip:{INNER[0]};lr>")
    message.put("From", "<sip:alice@example.com>;tag=alice1")
    message.put("To", "<sip:b@attacker.example>" + (f";tag={tag}" if tag else ""))
    message.put("Call-ID", "honest-1")
    message.put("CSeq", f"{number} {method}")
    message.put("Max-Forwards", "69")
    message.put("Contact", f"<{ALICE_URI}>")
    return message


def bobs(method: str, uri: str, *routes: str, to: str = "<sip:alice@example.com>") -> Message:
    """A request of B's."""
    global _count
    _count += 1
    message = Message(f"{method} {uri} SIP/2.0", [])
    message.put("Via", f"SIP/2.0/UDP {B[0]}:{B[1]};branch=z9hG4bKbob{_count:016d}")
    if routes:
        message.put("Route", *routes)
    message.put("From", "<sip:b@attacker.example>;tag=bob1")
    message.put("To", to)
    message.put("Call-ID", "honest-2")
    message.put("CSeq", f"{_count} {method}")
    message.put("Max-Forwards", "70")
    message.put("Contact", f"<{B_URI}>")
    return message


def sent(scene: Scene, message: Message, source: Place = INNER) -> Message:
    """Alice's side sends; the message as it left."""
    return _only(scene, scene.inside(message, source))


def _only(scene: Scene, left: list[Left]) -> Message:
    if len(left) != 1:
        raise Broken(f"{len(left)} messages left")
    return Message.parse(left[0].data)


def arrives(scene: Scene, message: Message, source: Place = B) -> Reached:
    """An outsider sends; what reached the inside."""
    before = len(scene.reached)
    scene.outside(message, source)
    if len(scene.reached) != before + 1:
        raise Broken(f"{message.start}: {len(scene.reached) - before} messages reached the inside")
    return scene.reached[-1]


def answers(scene: Scene, request: Message, asked: Message, status: str) -> Reached:
    """B answers what it got; alice must find the Vias and routes of the request that she sent."""
    answer = answer_to(request, status, "bob2")
    answer.put("Contact", f"<{B_URI}>")
    reached = arrives(scene, answer)
    vias = [via.partition(";received=")[0] for via in reached.message.values("Via")]
    wanted = [via.partition(";received=")[0] for via in asked.values("Via")]
    expect(f"{status}: Vias", vias, wanted)
    expect(f"{status}: where it goes", reached.to, INNER)
    if "Record-Route" in [name for name, _ in asked.fields] and status < "3":
        routes = [f"<sip:{scene.proxy.address};lr>", *asked.values("Record-Route")]
        expect(f"{status}: Record-Routes", reached.message.values("Record-Route"), routes)
    return reached


def bye_from_outside(scene: Scene, seen: Message, routes: list[str]) -> Reached:
    """B ends the call that `seen` began, by its Contact and by `routes`."""
    message = bobs("BYE", bare(seen.first("Contact")), *routes)
    message.put("Call-ID", seen.first("Call-ID"))
    message.put("From", f"<sip:b@attacker.example>;tag={tag_of(seen.first('To')) or 'bob2'}")
    message.put("To", seen.first("From"))
    if not seen.is_request:
        message.put("From", seen.first("From"))
        message.put("To", seen.first("To"))
    reached = arrives(scene, message)
    expect("BYE: Request-URI", reached.message.target, ALICE_URI)
    expect("BYE: Routes", reached.message.values("Route"), [f"<sip:{INNER[0]};lr>"])
    expect("BYE: where it goes", reached.to, INNER)
    done = answer_to(reached.message, "200 OK", "alice1")
    left = _only(scene, scene.inside(done, INNER))
    expect("BYE: the answer's Via", left.values("Via")[0].partition(";received")[0],
           message.first("Via"))  # fmt: skip
    return reached


# --- the flows ----------------------------------------------------------------------------------


def call_out(scene: Scene) -> None:
    """INVITE, 180, 200, ACK; re-INVITEs by both sides; BYE by B."""
    invite = alices("INVITE")
    left = sent(scene, invite)
    answers(scene, left, invite, "180 Ringing")
    ok = answers(scene, left, invite, "200 OK").message
    routes = ok.values("Record-Route")[:1]
    ack = sent(scene, alices("ACK", bare(ok.first("Contact")), *routes, tag="bob2"))
    expect("ACK: Request-URI", ack.target, B_URI)
    again = alices("INVITE", bare(ok.first("Contact")), *routes, tag="bob2", number=2)
    answers(scene, sent(scene, again), again, "200 OK")
    back = bobs("INVITE", bare(left.first("Contact")), *left.values("Record-Route"))
    back.put("Call-ID", left.first("Call-ID"))
    back.put("From", "<sip:b@attacker.example>;tag=bob2")
    back.put("To", left.first("From"))
    reached = arrives(scene, back)
    expect("re-INVITE: Request-URI", reached.message.target, ALICE_URI)
    expect("re-INVITE: Routes", reached.message.values("Route"), [f"<sip:{INNER[0]};lr>"])
    bye_from_outside(scene, left, left.values("Record-Route"))


def call_in(scene: Scene) -> None:
    """B calls; alice answers; B's ACK and BYE; before them a re-INVITE of alice's."""
    invite = bobs("INVITE", "sip:alice@example.com", f"<sip:{PROXY};lr>")
    reached = arrives(scene, invite)
    expect("INVITE: Request-URI", reached.message.target, ALICE_URI)
    answer = answer_to(reached.message, "200 OK", "alice1")
    answer.put("Record-Route", f"<sip:{INNER[0]};lr>", *reached.message.values("Record-Route"))
    answer.put("Contact", f"<{ALICE_URI}>")
    ok = sent(scene, answer)
    routes = ok.values("Record-Route")[::-1]
    ack = bobs("ACK", bare(ok.first("Contact")), *routes)
    _in_dialog(ack, ok)
    expect("ACK: Request-URI", arrives(scene, ack).message.target, ALICE_URI)
    again = alices(
        "INVITE", bare(reached.message.first("Contact")), f"<sip:{scene.proxy.address};lr>"
    )
    again.put("Call-ID", ok.first("Call-ID"))
    again.put("From", ok.first("To"))
    again.put("To", ok.first("From"))
    left = sent(scene, again)
    expect("re-INVITE: Request-URI", left.target, B_URI)
    answers(scene, left, again, "200 OK")
    bye_from_outside(scene, ok, routes)


def _in_dialog(message: Message, ok: Message) -> None:
    for name in ("From", "To", "Call-ID"):
        message.put(name, ok.first(name))


def cancelled(scene: Scene) -> None:
    """Alice gives up: the proxy's CANCEL has the INVITE's branch; B answers 200 and 487."""
    invite = alices("INVITE")
    left = sent(scene, invite)
    answers(scene, left, invite, "180 Ringing")
    cancel = Message(f"CANCEL {left.target} SIP/2.0", [])
    cancel.put("Via", f"SIP/2.0/UDP {scene.proxy.address};branch={scene.proxy.last_branch}")
    for name in ("From", "To", "Call-ID"):
        cancel.put(name, invite.first(name))
    cancel.put("CSeq", "1 CANCEL")
    went = scene.send(cancel, B)
    expect("CANCEL: Via", went.values("Via"), left.values("Via")[:1])
    expect("CANCEL: Request-URI", went.target, left.target)
    answers(scene, left, invite, "487 Request Terminated")


def late(scene: Scene) -> None:
    """A response after two minutes, when the proxy knows of nothing any more."""
    invite = alices("INVITE")
    left = sent(scene, invite)
    scene.border.now += 120
    scene.proxy.forget()
    answers(scene, left, invite, "200 OK")


def repeated(scene: Scene) -> None:
    """What the proxy sends again is the same, and each answer opens."""
    invite = alices("INVITE")
    left = sent(scene, invite)
    again = scene.send(Message.parse(scene.left[-1].clear), B)
    expect("the INVITE, sent again", again.wire(), left.wire())
    answers(scene, left, invite, "180 Ringing")
    answers(scene, left, invite, "180 Ringing")


def forked(scene: Scene) -> None:
    """One INVITE to two phones outside; both answer, and both are hung up on by theirs."""
    invite = alices("INVITE")
    first = sent(scene, invite)
    second = Message.parse(scene.inside(invite, INNER)[-1].data)
    if first.first("Via") == second.first("Via") and scene.setting.branch == "unique":
        raise Broken("the branches are the same")
    answers(scene, second, invite, "200 OK")
    answers(scene, first, invite, "180 Ringing")
    bye_from_outside(scene, second, second.values("Record-Route"))


def spiral(scene: Scene) -> None:
    """An application server outside sends the call back; the proxy sends it on to B."""
    server = f"sip:{A[0]};lr"
    invite = alices("INVITE", B_URI, f"<{server}>")
    left = sent(scene, invite)
    back = left.copy()
    back.push("Via", f"SIP/2.0/UDP {A[0]};branch=z9hG4bKserver0000000000000001")
    back.put("Record-Route", f"<{server}>", *left.values("Record-Route"))
    back.put("Route", f"<sip:{PROXY};lr>")
    again = _only(scene, scene.outside(back, A))
    answer = answer_to(again, "200 OK", "bob2")
    answer.put("Contact", f"<{B_URI}>")
    via_server = _only(scene, scene.outside(answer, B))
    expect("the server's Via", via_server.values("Via")[0].partition(";received")[0],
           back.values("Via")[0])  # fmt: skip
    via_server.put("Via", *via_server.values("Via")[1:])
    reached = arrives(scene, via_server, A)
    vias = [via.partition(";received=")[0] for via in reached.message.values("Via")]
    expect("Vias", vias, invite.values("Via"))


def refreshed(scene: Scene) -> None:
    """Alice registers outside, twice; the registrar lists her, and calls her."""
    seen = []
    for number in (1, 2):
        register = alices("REGISTER", f"sip:{B[0]}:{B[1]}", number=number)
        register.put("To", register.first("From").partition(";")[0])
        register.put("Path", f"<sip:{INNER[0]};lr>")
        left = sent(scene, register)
        answer = answer_to(left, "200 OK", "r")
        answer.put("Contact", f"{left.first('Contact')};expires=60")
        answer.put("Path", *left.values("Path"))
        answer.put("Service-Route", f"<sip:{B[0]}:{B[1]};lr>")
        reached = arrives(scene, answer)
        expect("Contact", reached.message.first("Contact"), f"<{ALICE_URI}>;expires=60")
        seen.append(left.first("Contact"))
    expect("the Contact of a refresh", seen[1], seen[0])
    call = bobs("INVITE", bare(seen[0]), *left.values("Path"))
    reached = arrives(scene, call)
    expect("Request-URI", reached.message.target, ALICE_URI)
    expect("where it goes", reached.to, INNER)


def transferred(scene: Scene) -> None:
    """Alice transfers B to carol."""
    refer = alices("REFER")
    refer.put("Refer-To", f"<{CAROL_URI}>")
    left = sent(scene, refer)
    answers(scene, left, refer, "202 Accepted")
    call = bobs("INVITE", bare(left.first("Refer-To")))
    reached = arrives(scene, call)
    expect("Request-URI", reached.message.target, CAROL_URI)
    expect("where it goes", reached.to, CAROL)


def passed_on(scene: Scene) -> None:
    """B transfers A, through the proxy, to alice's Contact; A calls her."""
    left = sent(scene, alices("INVITE"))
    refer = bobs("REFER", f"sip:a@{A[0]}", f"<sip:{PROXY};lr>", to="<sip:a@attacker.example>;tag=x")
    refer.put("Refer-To", f"<{bare(left.first('Contact'))}>")
    got = _only(scene, scene.outside(refer, B))
    reached = arrives(scene, bobs("INVITE", bare(got.first("Refer-To"))), A)
    expect("Request-URI", reached.message.target, ALICE_URI)


def redirected(scene: Scene) -> None:
    """Alice redirects B to carol."""
    reached = arrives(scene, bobs("INVITE", "sip:alice@example.com", f"<sip:{PROXY};lr>"))
    moved = answer_to(reached.message, "302 Moved", "alice1")
    moved.put("Contact", f"<{CAROL_URI}>")
    left = sent(scene, moved)
    reached = arrives(scene, bobs("INVITE", bare(left.first("Contact"))))
    expect("Request-URI", reached.message.target, CAROL_URI)


def redirects(scene: Scene) -> None:
    """B answers with 302 to a carrier; alice gets the carrier's name."""
    invite = alices("INVITE")
    left = sent(scene, invite)
    answer = answer_to(left, "302 Moved", "bob2")
    answer.put("Contact", "<sip:b@carrier.example>")
    got = arrives(scene, answer).message
    expect("Contact", got.first("Contact"), "<sip:b@carrier.example>")


def _stranger(scene: Scene, *, helped: bool) -> None:
    scene.proxy.habits.fixes_nat = helped
    contact = f"sip:dave@{PRIVATE}"
    register = bobs("REGISTER", "sip:example.com", to="<sip:dave@example.com>")
    register.put("Contact", f"<{contact}>")
    answer = _only(scene, scene.outside(register, B))
    expect("the 200's Contact", answer.first("Contact"), f"<{contact}>;expires=60")
    if not helped:
        return
    call = alices("INVITE", "sip:dave@example.com")
    left = scene.inside(call, INNER)
    if not left:
        raise Broken("the call does not go out")
    expect("where the call goes", left[0].to, B)
    if scene.setting.profile != "strict":
        expect("Request-URI", Message.parse(left[0].data).target, contact)
    answers(scene, Message.parse(left[0].data), call, "200 OK")


def stranger_registers(scene: Scene) -> None:
    """A phone whose private address lies in the inside's range registers. Calls go nowhere, as without
    a gateway: the registrar takes the Contact at its word."""
    _stranger(scene, helped=False)


def stranger_registers_helped(scene: Scene) -> None:
    """The same with a registrar that sends calls to where the REGISTER came from; it is called."""
    _stranger(scene, helped=True)


def stranger_calls(scene: Scene) -> None:
    """That phone calls alice, who ends the call by its Contact."""
    contact = f"sip:dave@{PRIVATE}"
    invite = bobs("INVITE", "sip:alice@example.com", f"<sip:{PROXY};lr>")
    invite.put("Contact", f"<{contact}>")
    reached = arrives(scene, invite).message
    answer = answer_to(reached, "200 OK", "alice1")
    answer.put("Contact", f"<{ALICE_URI}>")
    sent(scene, answer)
    bye = alices("BYE", bare(reached.first("Contact")), *reached.values("Record-Route"))
    bye.put("Call-ID", reached.first("Call-ID"))
    bye.put("From", answer.first("To"))
    bye.put("To", reached.first("From"))
    left = scene.inside(bye, INNER)
    if not left:
        raise Broken("alice's BYE does not go out")
    expect("where it goes", left[0].to, B)
    expect("Request-URI", Message.parse(left[0].data).target, contact)


FLOWS: dict[str, Flow] = {
    flow.__name__.replace("_", " "): flow
    for flow in (
        call_out, call_in, cancelled, late, repeated, forked, spiral, refreshed, transferred,
        passed_on, redirected, redirects, stranger_registers, stranger_registers_helped,
        stranger_calls,
    )
}  # fmt: skip
