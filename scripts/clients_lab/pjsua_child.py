"""A pjsua2 phone that is driven by lines: each names a command and what it takes, as JSON.

Run as `python pjsua_child.py SETTINGS`, settings as JSON. It says what happens, a line each: `EVENT ...`.
Nothing of the package and nothing that is typed is in here: it runs in a process of its own.
"""
# mypy: ignore-errors

import contextlib
import json
import os
import select
import sys

import pjsua2 as pj

SETTINGS = json.loads(sys.argv[1])
HELD = (pj.PJSUA_CALL_MEDIA_LOCAL_HOLD, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)
calls = {}
buddies = []
ended = []  # pjsua2 still needs them for a while


def tell(*words):
    print("EVENT", *words, flush=True)


class Call(pj.Call):
    def onCallState(self, prm):
        info = self.getInfo()
        tell("call", info.id, info.stateText, info.lastStatusCode, info.lastReason)
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            ended.append(calls.pop(info.id, None))

    def onCallMediaState(self, prm):
        info = self.getInfo()
        for media in info.media:
            tell("media", info.id, "held" if media.status in HELD else "active", media.status)
            if media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                heard = self.getAudioMedia(-1)
                tone.startTransmit(heard)

    def onCallTransferRequest(self, prm):
        tell("transfer-request", prm.dstUri)

    def onCallTransferStatus(self, prm):
        tell("transfer-status", prm.statusCode, prm.reason, int(prm.finalNotify))

    def onCallReplaced(self, prm):
        tell("replaced", prm.newCallId)
        calls[prm.newCallId] = Call(account, prm.newCallId)

    def onCallRedirected(self, prm):
        tell("redirected", prm.targetUri)
        return pj.PJSIP_REDIRECT_ACCEPT_REPLACE

    def onCallTsxState(self, prm):
        transaction = prm.e.body.tsxState.tsx
        tell("transaction", transaction.method, transaction.statusCode)

    def onInstantMessage(self, prm):
        tell("message", prm.msgBody)


class Account(pj.Account):
    def onRegState(self, prm):
        tell("registration", prm.code, prm.reason, prm.expiration)

    def onIncomingCall(self, prm):
        call = calls[prm.callId] = Call(self, prm.callId)
        tell("incoming", prm.callId, call.getInfo().remoteUri)
        answer(180, call)

    def onInstantMessage(self, prm):
        tell("message", prm.msgBody)

    def onMwiInfo(self, prm):
        tell("waiting", prm.state)


class Buddy(pj.Buddy):
    def onBuddyState(self):
        info = self.getInfo()
        tell("presence", info.uri, info.subStateName, info.presStatus.note)


def parameters(code=0, headers=None):
    made = pj.CallOpParam(code == 0)
    made.statusCode = code
    for name, value in (headers or {}).items():
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        made.txOption.headers.append(header)
    return made


def newest():
    return list(calls.values())[-1]


def answer(code=200, call=None):
    (call or newest()).answer(parameters(code))


def call(uri):
    made = Call(account)
    made.makeCall(uri, parameters())
    calls[made.getId()] = made


def hang_up(code=0, headers=None):
    made = parameters(code, headers)
    newest().hangup(made)


def hang_up_all():
    endpoint.hangupAllCalls()


def hold():
    newest().setHold(pj.CallOpParam())


def resume():
    made = pj.CallOpParam(True)
    made.opt.flag = pj.PJSUA_CALL_UNHOLD
    newest().reinvite(made)


def update():
    newest().update(pj.CallOpParam(True))


def transfer(uri):
    newest().xfer(uri, pj.CallOpParam())


def transfer_first_to_second():
    first, second = calls
    calls[first].xferReplaces(calls[second], pj.CallOpParam())


def received():
    """Say how many RTP packets came in the call."""
    tell("received", newest().getStreamStat(0).rtcp.rxStat.pkt)


def info(digit):
    made = pj.CallSendRequestParam()
    made.method = "INFO"
    made.txOption.contentType = "application/dtmf-relay"
    made.txOption.msgBody = f"Signal={digit}\r\nDuration=160\r\n"
    newest().sendRequest(made)


def _buddy(uri, subscribe):
    made, config = Buddy(), pj.BuddyConfig()
    config.uri, config.subscribe = uri, subscribe
    made.create(account, config)
    buddies.append(made)
    return made


def message(uri, text):
    made = pj.SendInstantMessageParam()
    made.content = text
    _buddy(uri, False).sendInstantMessage(made)


def watch(uri):
    _buddy(uri, True).subscribePresence(True)


def note(text):
    made = pj.PresenceStatus()
    made.status, made.note = pj.PJSUA_BUDDY_STATUS_ONLINE, text
    made.activity = pj.PJRPID_ACTIVITY_BUSY
    account.setOnlineStatus(made)


COMMANDS = {
    made.__name__: made
    for made in (
        answer, call, hang_up, hang_up_all, hold, resume, update, transfer, transfer_first_to_second,
        received, info, message, watch, note,
    )
}  # fmt: skip


def start_endpoint():
    made = pj.Endpoint()
    made.libCreate()
    config = pj.EpConfig()
    config.logConfig.level = 4
    config.logConfig.consoleLevel = 1
    config.logConfig.filename = SETTINGS["log"]
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.medConfig.threadCnt = 1
    config.medConfig.noVad = True
    config.uaConfig.userAgent = "pjsua2"
    made.libInit(config)
    transport = pj.TransportConfig()
    transport.port, transport.boundAddress = SETTINGS["port"], SETTINGS["address"]
    made.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    if SETTINGS["large"]:
        made.transportCreate(pj.PJSIP_TRANSPORT_TCP, transport)
    made.libStart()
    made.audDevManager().setNullDev()
    return made


def start_account():
    config = pj.AccountConfig()
    config.idUri = SETTINGS["uri"]
    config.regConfig.registrarUri = f"sip:{SETTINGS['domain']}"
    config.regConfig.timeoutSec = SETTINGS["expires"]
    config.regConfig.delayBeforeRefreshSec = 5
    credentials = pj.AuthCredInfo("digest", "*", SETTINGS["user"], 0, SETTINGS["password"])
    config.sipConfig.authCreds.append(credentials)
    config.sipConfig.proxies.append(f"sip:{SETTINGS['proxy']};lr")
    config.natConfig.contactRewriteUse = SETTINGS["rewrite"]
    config.natConfig.viaRewriteUse = config.natConfig.sdpNatRewriteUse = 0
    config.natConfig.sipOutboundUse = int(SETTINGS["outbound"])
    config.callConfig.prackUse = pj.PJSUA_100REL_OPTIONAL
    if SETTINGS["prack"]:
        config.callConfig.prackUse = pj.PJSUA_100REL_MANDATORY
    config.mediaConfig.lockCodecEnabled = False
    config.mwiConfig.enabled = config.presConfig.publishEnabled = SETTINGS["presence"]
    config.mediaConfig.transportConfig.boundAddress = SETTINGS["address"]
    if SETTINGS["large"]:
        config.natConfig.iceEnabled = True
        config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_OPTIONAL
        config.mediaConfig.srtpSecureSignaling = 0
    made = Account()
    made.create(config)
    return made


def obey(line):
    name, *arguments = json.loads(line)
    try:
        COMMANDS[name](*arguments)
    except Exception as error:  # it goes on, and what is not done shows
        print("ERROR", name, arguments, repr(error), flush=True)


def serve():
    waiting = b""
    while True:
        endpoint.libHandleEvents(20)
        while select.select([0], [], [], 0)[0]:
            read = os.read(0, 65536)
            if not read:
                return
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                if line.strip() == b"quit":
                    return
                if line.strip():
                    obey(line)


endpoint = start_endpoint()
tone = pj.ToneGenerator()
tone.createToneGenerator()
account = start_account()
tell("ready")
with contextlib.suppress(KeyboardInterrupt):
    serve()
calls.clear()
buddies.clear()
ended.clear()
endpoint.libDestroy()
