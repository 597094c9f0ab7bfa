//! `/sys/fs/bpf/mermin/<instance>/<layout hash>/`: what outlives the process, and the lock that makes it ours.

use crate::error::{Code, Error, Result};
use std::{
    ffi::CString,
    fs::{self, File},
    io,
    mem::MaybeUninit,
    os::{
        fd::AsRawFd as _,
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Path, PathBuf},
};
use types::{LAYOUT_HASH, maps};

const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
const LINK: &str = "link";
const FILTER: &str = "filter";

/// What a pinned attachment is called: kind, namespace inode, interface index, direction, and the priority of a filter.
/// bpffs refuses dots, and so interface names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachmentName {
    /// A pinned TCX link, or the pinned program of a clsact filter, which cannot be pinned itself.
    pub link: bool,
    pub netns: u64,
    pub ifindex: u32,
    pub egress: bool,
    /// Of a filter; 0 for a link.
    pub priority: u16,
}

impl AttachmentName {
    pub fn file_name(&self) -> String {
        let kind = if self.link { LINK } else { FILTER };
        let direction = if self.egress { "egress" } else { "ingress" };
        format!("{kind}_{}_{}_{direction}_{}", self.netns, self.ifindex, self.priority)
    }

    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('_');
        let link = match parts.next()? {
            LINK => true,
            FILTER => false,
            _ => return None,
        };
        let netns = parts.next()?.parse().ok()?;
        let ifindex = parts.next()?.parse().ok()?;
        let egress = match parts.next()? {
            "egress" => true,
            "ingress" => false,
            _ => return None,
        };
        let priority = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { link, netns, ifindex, egress, priority })
    }
}

/// The pin directory of one instance, locked while this value lives.
pub struct Pins {
    root: PathBuf,
    instance: PathBuf,
    pub layout: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl Pins {
    /// # Errors
    /// `Permission` when the file system cannot be written, `NotFound` when it is no bpffs, `Locked` when another agent
    /// runs as this instance.
    pub fn open(root: &Path, instance: &str) -> Result<Self> {
        require_bpffs(root.parent().unwrap_or(root))?;
        let instance = root.join(instance);
        let layout = instance.join(format!("{LAYOUT_HASH:016x}"));
        let lock = loop {
            fs::create_dir_all(&layout).map_err(|e| Error::io(format!("cannot create {}", layout.display()), &e))?;
            let lock = lock(&instance)?;
            // An agent that was just closing may have removed the directory that we have locked.
            if same_directory(&lock, &layout) {
                break lock;
            }
        };
        require_writable(&layout)?;
        Ok(Self { root: root.into(), instance, layout, _lock: lock })
    }

    pub fn path(&self, attachment: &AttachmentName) -> PathBuf {
        self.layout.join(attachment.file_name())
    }

    /// The attachments that are pinned under this layout.
    pub fn attachments(&self) -> Vec<AttachmentName> {
        list(&self.layout).iter().filter_map(|name| AttachmentName::parse(name)).collect()
    }

    /// Directories of other layouts: what an agent of another version left.
    pub fn foreign_layouts(&self) -> Vec<PathBuf> {
        let layouts = list(&self.instance).into_iter().map(|name| self.instance.join(name));
        layouts.filter(|path| *path != self.layout).collect()
    }

    /// Where an attachment is pinned that an agent of another version left.
    pub fn foreign_paths(&self, attachment: &AttachmentName) -> Vec<PathBuf> {
        let paths = self.foreign_layouts().into_iter().map(|layout| layout.join(attachment.file_name()));
        paths.filter(|path| path.exists()).collect()
    }

    /// All attachments that are pinned, also by agents of other versions, with their paths.
    pub fn all_attachments(&self) -> Vec<(AttachmentName, PathBuf)> {
        let layouts = self.foreign_layouts().into_iter().chain([self.layout.clone()]);
        let files = layouts.flat_map(|layout| list(&layout).into_iter().map(move |name| (name, layout.clone())));
        files.filter_map(|(name, layout)| Some((AttachmentName::parse(&name)?, layout.join(name)))).collect()
    }

    /// Removes the pins of the maps.
    pub fn unpin_maps(&self) -> Result<()> {
        let names = maps::ALL.iter().chain([&maps::DESCRIPTION]);
        names.copied().try_for_each(|name| unpin(&self.layout.join(name)))
    }

    /// Removes the pins of the maps and the directories, once no attachment is left.
    pub fn remove(self) -> Result<()> {
        self.unpin_maps()?;
        remove_dir(&self.layout)?;
        remove_dir(&self.instance)?;
        // Other instances may live there.
        let _ = fs::remove_dir(&self.root);
        Ok(())
    }
}

/// Removes a pin; none there is fine.
pub fn unpin(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format!("cannot remove {}", path.display()), &error))
        }
        _ => Ok(()),
    }
}

pub fn remove_dir(path: &Path) -> Result<()> {
    fs::remove_dir(path).map_err(|error| Error::io(format!("cannot remove {}", path.display()), &error))
}

/// Names in a directory; one that cannot be read has none.
pub fn list(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Whether a BPF file system at `path` can be written.
pub fn check_bpffs(path: &Path) -> Result<()> {
    require_bpffs(path)?;
    require_writable(path)
}

fn require_bpffs(path: &Path) -> Result<()> {
    let c_path = c_path(path)?;
    let mut stat = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: a valid string and a place for the result, which is read only when the call filled it.
    let kind = unsafe {
        if libc::statfs(c_path.as_ptr(), stat.as_mut_ptr()) != 0 {
            return Err(Error::last_os(format!("cannot use {}", path.display())));
        }
        stat.assume_init().f_type
    };
    if kind == BPF_FS_MAGIC {
        return Ok(());
    }
    Err(Error::new(Code::NotFound, format!("no BPF file system is mounted at {}", path.display())))
}

/// Whether `layout` still lies in the directory that is open as `instance`.
fn same_directory(instance: &File, layout: &Path) -> bool {
    let open = instance.metadata().map(|metadata| metadata.ino());
    let named = layout.parent().map(fs::metadata).and_then(|metadata| metadata.ok()).map(|metadata| metadata.ino());
    layout.exists() && open.ok() == named
}

/// A directory may exist on a file system that was made read-only later.
fn require_writable(directory: &Path) -> Result<()> {
    let path = c_path(directory)?;
    // SAFETY: a valid string.
    if unsafe { libc::access(path.as_ptr(), libc::W_OK) } == 0 {
        return Ok(());
    }
    Err(Error::last_os(format!("cannot write to {}", directory.display())))
}

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::new(Code::Usage, "a path holds a zero byte"))
}

fn lock(directory: &Path) -> Result<File> {
    let what = || format!("cannot lock {}", directory.display());
    let file = File::open(directory).map_err(|error| Error::io(what(), &error))?;
    // SAFETY: a valid descriptor.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(file);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::EWOULDBLOCK) {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        return Err(Error::new(Code::Locked, format!("another agent runs as instance \"{name}\"")));
    }
    Err(Error::io(what(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachment_names_survive_the_round_trip() {
        for link in [false, true] {
            for egress in [false, true] {
                let name = AttachmentName { link, netns: 4_026_531_840, ifindex: 17, egress, priority: 3 };
                assert_eq!(AttachmentName::parse(&name.file_name()), Some(name));
            }
        }
    }

    #[test]
    fn other_names_are_no_attachments() {
        for name in [
            "",
            "FLOW_STATS",
            "link",
            "link_1_2",
            "link_x_2_egress_0",
            "link_1_2_egress",
            "link_1_2_egress_3_4",
            "link_1_2_up_0",
        ] {
            assert_eq!(AttachmentName::parse(name), None, "{name}");
        }
    }
}
