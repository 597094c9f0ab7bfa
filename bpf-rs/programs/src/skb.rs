//! A socket buffer as the parser's packet.

use aya_ebpf::{EbpfContext as _, bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes, programs::TcContext};
use core::{mem::MaybeUninit, ptr};
use parser::{Packet, Plain, vlan_id};
use types::NO_VLAN;

const VLAN_TAG_BYTES: u64 = 4;

pub struct Skb(*mut __sk_buff);

impl Skb {
    #[inline(always)]
    pub fn new(ctx: &TcContext) -> Self {
        Self(ctx.as_ptr().cast())
    }

    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        // SAFETY: the context of a running program is valid, and this field may be read.
        unsafe { (*self.0).ifindex }
    }

    /// The frame's length as a capture sees it: a VLAN tag that the kernel keeps beside the packet counts.
    #[inline(always)]
    pub fn frame_bytes(&self) -> u64 {
        // SAFETY: as above.
        let (len, tagged) = unsafe { ((*self.0).len, (*self.0).vlan_present) };
        u64::from(len) + if tagged != 0 { VLAN_TAG_BYTES } else { 0 }
    }

    /// EtherType in host byte order.
    #[inline(always)]
    pub fn ethertype(&self) -> u16 {
        // SAFETY: as above; the kernel keeps the 16 bits in network order.
        u16::from_be(unsafe { (*self.0).protocol } as u16)
    }

    /// Id of a VLAN tag that the kernel keeps beside the packet, or [`NO_VLAN`].
    #[inline(always)]
    pub fn vlan(&self) -> u16 {
        // SAFETY: as above.
        let (control, tagged) = unsafe { ((*self.0).vlan_tci, (*self.0).vlan_present) };
        if tagged != 0 { vlan_id(control as u16) } else { NO_VLAN }
    }
}

impl Packet for Skb {
    /// Reads directly where the bytes are linear (nearly always), else through the helper, which can follow fragments.
    #[inline(always)]
    fn load<T: Plain>(&self, offset: usize) -> Option<T> {
        // SAFETY: the verifier proves that the direct read stays between data and data_end. It is not aligned, which Rust
        // does not allow and BPF does on the machines we build for: `read_unaligned` becomes one load per byte. The helper
        // fills all of `T`, a plain type, or fails.
        unsafe {
            let start = (*self.0).data as usize + offset;
            if start + size_of::<T>() <= (*self.0).data_end as usize {
                return Some(ptr::read(start as *const T));
            }
            let mut value = MaybeUninit::<T>::uninit();
            let failed =
                bpf_skb_load_bytes(self.0.cast(), offset as u32, value.as_mut_ptr().cast(), size_of::<T>() as u32);
            (failed == 0).then(|| value.assume_init())
        }
    }

    #[inline(always)]
    fn end(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.0).len as usize }
    }
}
