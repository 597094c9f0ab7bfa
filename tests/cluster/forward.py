"""forward.py NAMESPACE HOST PORT: makes a port of a network namespace reachable on 127.0.0.1; prints the port there."""

import ctypes
import os
import socket
import sys
import threading

CLONE_NEWNET = 0x40000000
namespace, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
# A socket stays in the namespace that it was made in.
libc = ctypes.CDLL(None, use_errno=True)
with open(namespace) as file:
    if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass  # One side has gone; the other learns it now.
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


while True:
    near, _ = listener.accept()
    try:
        far = socket.create_connection((host, port))
    except OSError:
        near.close()
        continue
    for pair in ((near, far), (far, near)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
