"""The firewall rules that bring SIP to the queue: their text, and what the kernel has of them.

`plan` says what the rules depend on, `iptables` and `nftables` write them, `firewall` reads and
changes the kernel's own through iptables-save and iptables-restore, `status` tells them apart,
`preflight` finds what would go wrong before the first packet.
"""
