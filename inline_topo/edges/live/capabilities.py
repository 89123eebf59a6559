"""Capabilities of this process (capabilities(7)) that it gives up for good."""

import ctypes
import logging
import os
from typing import Final

NET_RAW: Final = 13  # linux/capability.h
_VERSION: Final = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words of 32 bits a set

log = logging.getLogger(__name__)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def give_up(capability: int) -> None:
    """Take a capability (below 32) from this thread and from all processes that it forks from now on, its
    ambient set included. Where that fails it is logged."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _Header(_VERSION, 0), (_Data * 2)()
    if libc.capget(ctypes.byref(header), data) == 0:
        for name in ("effective", "permitted", "inheritable"):
            setattr(data[0], name, getattr(data[0], name) & ~(1 << capability))
        if libc.capset(ctypes.byref(header), data) == 0:
            return
    error = os.strerror(ctypes.get_errno())
    log.warning("capability %d stays with all processes: %s", capability, error)
