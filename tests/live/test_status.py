"""What a running gateway says about itself, to people, programs, Prometheus and keepalived."""

import os
import re
import signal
import socket
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inline_topo import __version__
from lab.ours import INLINE_TOPO
from lab.site import Site
from tests.form import form_on_disk, modules_on_disk
from tests.live.messages import invite, ok_to
from tests.live.running import Running

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]


def status(site: Site) -> "subprocess.CompletedProcess[str]":
    command = ("ip", "netns", "exec", f"lab{os.getpid()}-gw", *INLINE_TOPO, "status")
    return subprocess.run(
        [*command, "-c", str(site.folder / "gw.toml")], capture_output=True, text=True, check=False
    )


def metrics(site: Site) -> dict[str, float]:
    client = site.open_socket("gw", socket.SOCK_STREAM)
    client.connect(("127.0.0.1", 9469))
    client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    samples = {}
    for family in text_string_to_metric_families(answer.partition("\r\n\r\n")[2]):
        for sample in family.samples:
            labels = ",".join(sample.labels.values())
            samples[f"{sample.name}[{labels}]"] = sample.value
    return samples


def test_status_for_people_and_for_keepalived(gateway: Running) -> None:
    site = gateway.site
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    outside.sendto(ok_to(outside.recv(65535)), (Site.INSIDE, 5060))
    inside.recv(65535)
    gateway.status()
    done = status(site)
    assert done.returncode == 0
    assert re.search(r"^state +ok$", done.stdout, re.MULTILINE)
    program = f"{__version__} ({form_on_disk()}; AES-SIV by cryptography)"
    assert re.search(f"^program +{re.escape(program)}$", done.stdout, re.MULTILINE)
    assert re.search(r"^egress +1 masked$", done.stdout, re.MULTILINE)
    assert re.search(r"^ingress +1 unmasked$", done.stdout, re.MULTILINE)
    assert re.search(r"^masked +Via 1, Contact 1$", done.stdout, re.MULTILINE)

    told = metrics(site)
    form, modules = form_on_disk().split(":")[0], modules_on_disk()
    build = f"cryptography,{form},{modules},0,{__version__}"  # labels in their names' order
    assert told[f"inline_topo_build_info[{build}]"] == 1
    assert told["inline_topo_packets_total[egress,masked]"] == 1
    assert told["inline_topo_packets_total[ingress,unmasked]"] == 1
    assert told["inline_topo_edits_total[opened,Via]"] == 1
    assert told["inline_topo_handling_seconds_count[]"] == 2
    assert told["inline_topo_up[0]"] == 1
    assert told["inline_topo_added_bytes_total[]"] > 0
    assert told["inline_topo_queue_full_total[0]"] == 0

    os.kill(gateway.worker(), signal.SIGSTOP)
    gateway.await_status(lambda state: state["state"] == "degraded")
    done = status(site)
    assert done.returncode == 1
    assert "NOT SERVED" in done.stdout

    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.wait(10)
    done = status(site)
    assert done.returncode == 2
    assert "no gateway answers on loopback port 9469" in done.stderr


def test_the_log_begins_with_the_form_of_the_program(gateway: Running) -> None:
    first = gateway.log().splitlines()[0]
    form, modules = form_on_disk().split(":")[0], modules_on_disk()
    assert first.startswith(f"level=info event=start version={__version__} form={form} ")
    assert first.endswith(f" modules={modules} passed_over=0 aes_siv=cryptography")
    build = gateway.status()["build"]
    assert (build["version"], build["form"], build["modules"]) == (__version__, form, modules)


def test_tokens_that_do_not_open_are_counted_and_told_by_field(gateway: Running) -> None:
    site = gateway.site
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    answer = ok_to(outside.recv(65535))
    token = answer.rpartition(b"branch=z9hG4bK")[2].partition(b"\r\n")[0]
    forged = answer.replace(token, bytes(reversed(token)))
    for _ in range(2):
        outside.sendto(forged, (Site.INSIDE, 5060))
        assert inside.recv(65535) == forged
    outside.sendto(answer, (Site.INSIDE, 5060))
    assert inside.recv(65535) == ok_to(invite())
    assert gateway.status()["opens_refused"] == {"Via": 2}
    assert re.search(r"^not opened +Via 2$", status(site).stdout, re.MULTILINE)
    told = metrics(site)
    assert told["inline_topo_opens_refused_total[Via]"] == 2
    assert told["inline_topo_packets_total[ingress,unchanged]"] == 2
    [first, _] = [line for line in gateway.log().splitlines() if "event=open_refused" in line]
    assert "field=Via call=" in first
    assert token.decode() not in gateway.log()


def test_answers_only_on_the_loopback(gateway: Running) -> None:
    client = gateway.site.open_socket("inside", socket.SOCK_STREAM)
    with pytest.raises(ConnectionRefusedError):
        client.connect(("192.168.178.1", 9469))


def test_a_taken_port_is_an_error_at_start_up(site: Site) -> None:
    taken = site.open_socket("gw", socket.SOCK_STREAM)
    taken.bind(("127.0.0.1", 9469))
    taken.listen()
    with pytest.raises(AssertionError, match=r"metrics\.listen_port: 9469: Address already in use"):
        Running(site, 'inside = ["192.168.178.10"]\n[topoh]\nmask_key_file = "mask.key"\n')
