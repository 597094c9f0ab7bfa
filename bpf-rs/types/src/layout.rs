//! The `shared!` macro: a struct whose memory layout is also data.
//!
//! Everything that crosses kernel, loader and TypeScript is declared with it, so the TypeScript offsets are generated
//! and the layout hash is computed from one place.

/// One field of a shared struct.
pub struct Field {
    pub name: &'static str,
    /// As Rust writes it: `u32`, `[Counters; 2]`.
    pub ty: &'static str,
    pub offset: usize,
    pub size: usize,
}

/// A shared struct: its name, size in bytes and fields in order.
pub struct Layout {
    pub name: &'static str,
    pub size: usize,
    pub fields: &'static [Field],
}

/// Declares `#[repr(C)]` structs of integers and byte arrays, checks at compile time that nothing is padded
/// implicitly, and gives each a `LAYOUT`.
#[macro_export]
macro_rules! shared {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $ty:ty,)* })*) => {$(
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

        impl $name {
            pub const LAYOUT: $crate::layout::Layout = $crate::layout::Layout {
                name: stringify!($name),
                size: ::core::mem::size_of::<$name>(),
                fields: &[$($crate::layout::Field {
                    name: stringify!($field),
                    ty: stringify!($ty),
                    offset: ::core::mem::offset_of!($name, $field),
                    size: ::core::mem::size_of::<$ty>(),
                },)*],
            };
            pub const ZERO: Self = {
                // SAFETY: shared structs hold integers and byte arrays only, for which all zeroes is a value.
                unsafe { ::core::mem::zeroed() }
            };
        }

        const _: () = assert!(
            0 $(+ ::core::mem::size_of::<$ty>())* == ::core::mem::size_of::<$name>(),
            concat!(stringify!($name), " has implicit padding"),
        );
    )*};
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(FNV_PRIME);
        i += 1;
    }
    hash
}

/// FNV-1a over `meaning` and all names, types, offsets and sizes.
pub const fn hash(layouts: &[Layout], meaning: u64) -> u64 {
    let mut hash = fnv(FNV_OFFSET, &meaning.to_le_bytes());
    let mut i = 0;
    while i < layouts.len() {
        hash = fnv(hash, layouts[i].name.as_bytes());
        hash = fnv(hash, &layouts[i].size.to_le_bytes());
        let mut j = 0;
        while j < layouts[i].fields.len() {
            let field = &layouts[i].fields[j];
            hash = fnv(hash, field.name.as_bytes());
            hash = fnv(hash, field.ty.as_bytes());
            hash = fnv(hash, &field.offset.to_le_bytes());
            hash = fnv(hash, &field.size.to_le_bytes());
            j += 1;
        }
        i += 1;
    }
    hash
}
