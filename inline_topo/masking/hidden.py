"""What a packet must not show, by host and flow."""

from inline_topo.masking.flow import Flow
from inline_topo.masking.hosts import Host


def is_hidden(host: Host, flow: Flow) -> bool:
    """Whether the outside end of the flow must not see this host (an IP literal of any third party
    included: what one outsider must not see of another is hidden too)."""
    address = host.address
    if host.own or (address and (address == flow.mask_address or address == flow.outside)):
        return False
    return bool(address) or host.named


def is_not_own(host: Host, flow: Flow) -> bool:
    """Whether a host is neither own nor the mask address."""
    return not host.own and not (host.address and host.address == flow.mask_address)


def is_named(host: Host, flow: Flow) -> bool:
    """Whether a host lies in `inside` or `protected`, and outsiders are not meant to see it."""
    return host.named and is_not_own(host, flow)
