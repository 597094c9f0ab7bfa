"""Community ID v1 of flows as the authors' own library gives it.

Reads one flow per line from standard input, `seed protocol first second first_port second_port` (for ICMP type and
code, sent by the first end; `- -` for a protocol without ports), and writes one id per line.
"""

import sys

import communityid

for line in sys.stdin:
    seed, protocol, first, second, first_port, second_port = line.split()
    ports = (None, None) if first_port == "-" else (int(first_port), int(second_port))
    flow = communityid.FlowTuple(int(protocol), first, second, *ports)
    print(communityid.CommunityID(seed=int(seed)).calc(flow))
