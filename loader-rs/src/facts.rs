//! What this host and this process have, for `mermin diagnose`: facts only, no opinion.

use crate::pins;
use serde::Serialize;
use std::{ffi::CStr, fs, mem::MaybeUninit, path::Path};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// As `uname -r` and `uname -m`.
    kernel: String,
    machine: String,
    user: u32,
    /// Effective capabilities, by number (linux/capability.h).
    capabilities: Vec<u32>,
    /// What is wrong with the BPF file system, or empty.
    bpffs_problem: String,
    /// The kernel describes its types.
    btf: bool,
}

/// `pin_root`: usually `/sys/fs/bpf/mermin`; nothing is made there.
pub fn facts(pin_root: &Path) -> Facts {
    let (kernel, machine) = uname();
    let bpffs = pin_root.parent().unwrap_or(pin_root);
    Facts {
        kernel,
        machine,
        // SAFETY: cannot fail.
        user: unsafe { libc::geteuid() },
        capabilities: capabilities(&fs::read_to_string("/proc/self/status").unwrap_or_default()),
        bpffs_problem: pins::check_bpffs(bpffs).err().map(|error| error.message).unwrap_or_default(),
        btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
    }
}

fn uname() -> (String, String) {
    let mut names = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: fills the struct with strings that end with zero; zeroed, they are empty when it fails.
    unsafe {
        libc::uname(names.as_mut_ptr());
        let names = names.assume_init();
        let text = |name: &[libc::c_char]| CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned();
        (text(&names.release), text(&names.machine))
    }
}

/// The numbers of the bits that are set in `CapEff` of `/proc/<pid>/status`.
fn capabilities(status: &str) -> Vec<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    (0..64).filter(|bit| bits >> bit & 1 == 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_the_bits_that_are_set() {
        assert_eq!(capabilities("Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t000000c000001000\n"), [12, 38, 39]);
        assert!(capabilities("CapEff:\t0000000000000000\n").is_empty());
        assert!(capabilities("").is_empty());
    }

    #[test]
    fn facts_are_about_this_host() {
        let facts = facts(Path::new("/nowhere/mermin"));
        assert!(facts.kernel.contains('.') && !facts.machine.is_empty());
        assert!(facts.bpffs_problem.contains("/nowhere"), "{}", facts.bpffs_problem);
    }
}
