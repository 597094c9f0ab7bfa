//! Headers as they stand in the packet: network byte order, and wide fields, because BPF loads a field of alignment 1
//! byte by byte.

use crate::Plain;

macro_rules! headers {
    ($($(#[$meta:meta])* pub struct $name:ident { $(pub $field:ident: $ty:ty,)* })*) => {$(
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct $name { $(pub $field: $ty,)* }
        const _: () = assert!(0 $(+ size_of::<$ty>())* == size_of::<$name>(), "padding");
        // SAFETY: repr(C) integers, without padding as asserted above.
        unsafe impl Plain for $name {}
    )*};
}

// SAFETY: primitive integers.
unsafe impl Plain for u16 {}

headers! {
    /// IEEE 802.1Q: what follows the tag's protocol identifier.
    pub struct Vlan {
        pub control: u16,
        pub ethertype: u16,
    }

    /// RFC 791, without options.
    pub struct Ipv4 {
        pub version_ihl: u8,
        pub tos: u8,
        pub total_length: u16,
        pub identification: u16,
        pub fragment: u16,
        pub ttl: u8,
        pub protocol: u8,
        pub checksum: u16,
        pub source: u32,
        pub destination: u32,
    }

    /// RFC 8200.
    pub struct Ipv6 {
        pub version_class: u8,
        pub class_label: u8,
        pub label: u16,
        pub payload_length: u16,
        pub next_header: u8,
        pub hop_limit: u8,
        pub source: [u64; 2],
        pub destination: [u64; 2],
    }

    /// The start of the IPv6 extension headers that carry their own length, RFC 8200, 4.3 to 4.6.
    pub struct Extension {
        pub next_header: u8,
        pub length: u8,
    }

    /// RFC 8200, 4.5, without the identification.
    pub struct Fragment {
        pub next_header: u8,
        pub reserved: u8,
        pub offset: u16,
    }

    /// RFC 9293, up to the window.
    pub struct Tcp {
        pub source_port: u16,
        pub destination_port: u16,
        pub sequence: u32,
        pub acknowledgment: u32,
        pub data_offset: u8,
        pub flags: u8,
        pub window: u16,
    }

    /// What UDP, SCTP, DCCP and UDP-Lite begin with.
    pub struct Ports {
        pub source_port: u16,
        pub destination_port: u16,
    }

    /// RFC 4302, up to the security parameters index.
    pub struct Authentication {
        pub next_header: u8,
        pub length: u8,
        pub reserved: u16,
        pub spi: u32,
    }

    /// RFC 4303, up to the security parameters index.
    pub struct Encapsulation {
        pub spi: u32,
    }

    /// RFC 792, RFC 4443.
    pub struct Icmp {
        pub kind: u8,
        pub code: u8,
    }
}
