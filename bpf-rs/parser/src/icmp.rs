//! Which ICMP type answers which: the table of Community ID v1, so that a request and its reply are one flow.

/// RFC 792, RFC 950, RFC 1256.
#[inline(always)]
pub fn counterpart(kind: u8) -> Option<u8> {
    Some(match kind {
        0 => 8,   // echo reply
        8 => 0,   // echo request
        9 => 10,  // router advertisement
        10 => 9,  // router solicitation
        13 => 14, // timestamp request
        14 => 13,
        15 => 16, // information request
        16 => 15,
        17 => 18, // address mask request
        18 => 17,
        _ => return None,
    })
}

/// RFC 4443, RFC 2710, RFC 4861, RFC 4620, RFC 6275.
#[inline(always)]
pub fn counterpart_v6(kind: u8) -> Option<u8> {
    Some(match kind {
        128 => 129, // echo request
        129 => 128,
        130 => 131, // multicast listener query
        131 => 130,
        133 => 134, // router solicitation
        134 => 133,
        135 => 136, // neighbour solicitation
        136 => 135,
        139 => 140, // node information query
        140 => 139,
        144 => 145, // home agent address discovery
        145 => 144,
        _ => return None,
    })
}
