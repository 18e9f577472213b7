"""Carries packets between two network interfaces with a delay, for kernels without netem.

    python3 slow_wire.py SECONDS LEFT RIGHT
    python3 slow_wire.py --as-it-is INTERFACE

The second command turns off the offloading of checksums and of the division of large packets to hardware: this script sends
packets unchanged.
"""

import ctypes
import fcntl
import select
import socket
import struct
import sys
import time
from collections import deque

# From linux/if_ether.h, linux/sockios.h and linux/ethtool.h: tx checksums, TSO, GSO and GRO.
ETH_P_ALL, SIOCETHTOOL = 0x0003, 0x8946
OFFLOADS = (0x17, 0x1F, 0x24, 0x2C)
LARGEST_PACKET = 65536


def without_offloads(interface: str) -> None:
    """Does the same as `ethtool -K INTERFACE tx off tso off gso off gro off`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for offload in OFFLOADS:
            off = ctypes.create_string_buffer(struct.pack("II", offload, 0))
            request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(off))
            fcntl.ioctl(control, SIOCETHTOOL, request)


def end_at(interface: str) -> socket.socket:
    """A socket that receives every packet of an interface and can send packets to it."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.bind((interface, ETH_P_ALL))
    return end


def carry(seconds: float, left: socket.socket, right: socket.socket) -> None:
    """Carries packets until the process is killed. Packets to an interface that is down are lost."""
    opposite = {left: right, right: left}
    under_way: deque[tuple[float, socket.socket, bytes]] = deque()
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for end in select.select(opposite, [], [], wait)[0]:
            try:
                packet, address = end.recvfrom(LARGEST_PACKET)
            except OSError:
                continue
            if address[2] != socket.PACKET_OUTGOING:
                under_way.append((time.monotonic() + seconds, opposite[end], packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, end, packet = under_way.popleft()
            try:
                end.send(packet)
            except OSError:
                continue


if __name__ == "__main__":
    if sys.argv[1] == "--as-it-is":
        without_offloads(sys.argv[2])
    else:
        carry(float(sys.argv[1]), *map(end_at, sys.argv[2:]))
