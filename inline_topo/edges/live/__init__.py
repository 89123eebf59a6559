"""The live edge: packets from the kernel's queues through the gateway and back."""
