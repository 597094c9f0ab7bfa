"""Reads JSON [[protocol, source, source port, destination, destination port], ...], prints JSON Community IDs.

For ICMP the ports are type and code. Usage: community_id.py SEED < tuples.json
"""

import json
import sys

import communityid

ICMP_AND_PORT_PROTOCOLS = communityid.PORT_PROTOS


def main():
    judge = communityid.CommunityID(seed=int(sys.argv[1]))
    ids = []
    for protocol, source, source_port, destination, destination_port in json.load(sys.stdin):
        ports = (source_port, destination_port) if protocol in ICMP_AND_PORT_PROTOCOLS else (None, None)
        ids.append(judge.calc(communityid.FlowTuple(protocol, source, destination, *ports)))
    json.dump(ids, sys.stdout)


main()
