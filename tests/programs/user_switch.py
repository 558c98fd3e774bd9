"""A switch in user space: learns addresses, forwards frames; no OpenFlow but a greeting.

user_switch.py [-c ADDRESS:PORT] INTERFACE... ; with -c it says how long the controller takes to echo.
"""

import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
HELLO, ECHO_REQUEST, ECHO_REPLY = 0, 2, 3
PACKET_OUTGOING = 4


def greet(address):
    host, _colon, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as controller:
        controller.sendall(struct.pack("!BBHI", 4, HELLO, 8, 1))
        while True:
            begin = time.monotonic_ns()
            controller.sendall(struct.pack("!BBHI", 4, ECHO_REQUEST, 8, 2))
            kind = None
            while kind != ECHO_REPLY:
                _version, kind, size, _xid = struct.unpack("!BBHI", controller.recv(8, socket.MSG_WAITALL))
                if size > 8:
                    controller.recv(size - 8, socket.MSG_WAITALL)
            print("echo", time.monotonic_ns() - begin, flush=True)
            time.sleep(1)


def switch(names):
    ports = []
    for name in names:
        port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        port.bind((name, ETH_P_ALL))
        ports.append(port)
    known = {}
    while True:
        for port in select.select(ports, [], [])[0]:
            frame, address = port.recvfrom(65536)
            if address[2] == PACKET_OUTGOING:
                continue
            known[frame[6:12]] = port
            out = [known[frame[:6]]] if frame[:6] in known else ports
            for other in out:
                if other is not port:
                    other.send(frame)


if sys.argv[1] == "-c":
    greet(sys.argv[2])
else:
    switch(sys.argv[1:])
