"""Header blocks as PyPI's `hpack` makes them, whose authors' HTTP/2 is used by many clients.

Reads lists of fields from standard input, `[["name", "value"], ...]` as JSON, one list per line, and writes the block of each
in hexadecimal; all belong to one connection. `{"resize": BYTES}` changes the encoder's table before the next block. With the argument `decode` it reads blocks and writes lists,
at an end that allows a table of so many bytes as the next argument says.
"""

import json
import sys

import hpack

encoder, decoder = hpack.Encoder(), hpack.Decoder()
if len(sys.argv) > 2:
    decoder.max_allowed_table_size = int(sys.argv[2])
for line in sys.stdin:
    if sys.argv[1:2] == ["decode"]:
        print(json.dumps(decoder.decode(bytes.fromhex(line))))
        continue
    fields = json.loads(line)
    if isinstance(fields, dict):
        encoder.header_table_size = fields["resize"]
    else:
        print(encoder.encode(fields).hex())
