//! Where the single executable unpacks its files: a directory that nobody else can write or read.

use std::{
    env,
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use crate::payload::{Packed, Payload, hash};

/// Makes sure that the files of `payload` are unpacked as they were packed, removes those of versions that do not run, and
/// returns their directory.
///
/// The directory stays locked (shared) as long as this process and what it becomes live; see `remove_others`.
pub fn unpacked(mut executable: File, payload: &Payload) -> Result<PathBuf, String> {
    let base = base_directory();
    make_private(&base)?;
    let context = |error: io::Error| {
        let path = base.display();
        format!("Cannot unpack into {path}: {error}; another directory can be named in MERMIN_CACHE_DIR")
    };
    // One start at a time; the others find the work done.
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(base.join(".lock"));
    let lock = lock.map_err(context)?;
    lock.lock().map_err(context)?;
    let directory = base.join(&payload.id);
    if !is_whole(&directory, payload) {
        unpack(&mut executable, payload, &base, &directory).map_err(context)?;
    }
    hold(&directory).map_err(context)?;
    remove_others(&base, &payload.id).map_err(context)?;
    Ok(directory)
}

/// `MERMIN_CACHE_DIR`, or a place by convention.
fn base_directory() -> PathBuf {
    let given = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(directory) = given("MERMIN_CACHE_DIR") {
        return directory;
    }
    if user() == 0 {
        return "/var/cache/mermin".into();
    }
    let home = given("XDG_CACHE_HOME").or_else(|| given("HOME").map(|home| home.join(".cache")));
    home.unwrap_or_else(env::temp_dir).join(format!("mermin-{}", user()))
}

/// Makes `base` for this user alone. Fails when somebody else could have put something there.
fn make_private(base: &Path) -> Result<(), String> {
    let path = base.display();
    let cannot =
        |error: io::Error| format!("Cannot make {path}: {error}; another directory can be named in MERMIN_CACHE_DIR");
    if !base.is_absolute() {
        return Err(format!("MERMIN_CACHE_DIR: {path} is not an absolute path"));
    }
    let made =
        base.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| DirBuilder::new().mode(0o700).create(base));
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(cannot(error)),
        _ => {}
    }
    if !is_private(base).map_err(cannot)? {
        return Err(format!(
            "{path} must be a directory that belongs to user {} with mode 0700; remove it, or name another one in MERMIN_CACHE_DIR",
            user()
        ));
    }
    for above in base.ancestors().skip(1) {
        let metadata = fs::metadata(above).map_err(cannot)?;
        let is_open = metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0;
        if is_open || ![0, user()].contains(&metadata.uid()) {
            let above = above.display();
            return Err(format!(
                "{path} is not safe, because other users can change {above}; name another directory in MERMIN_CACHE_DIR"
            ));
        }
    }
    Ok(())
}

fn is_private(directory: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(directory)?;
    Ok(metadata.is_dir() && metadata.uid() == user() && metadata.mode() & 0o077 == 0)
}

/// Whether `directory` holds what was packed, and this user alone can have written it.
fn is_whole(directory: &Path, payload: &Payload) -> bool {
    is_private(directory).unwrap_or(false)
        && payload.files.iter().all(|packed| is_intact(&directory.join(&packed.name), packed).unwrap_or(false))
}

fn is_intact(path: &Path, packed: &Packed) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    Ok(metadata.is_file()
        && metadata.uid() == user()
        && metadata.mode() & 0o777 == 0o500
        && metadata.len() == packed.length
        && hash(file, io::sink())? == packed.hash)
}

/// Unpacks beside `directory` and moves the whole in its place, so that a start that is killed leaves no half of it there.
fn unpack(executable: &mut File, payload: &Payload, base: &Path, directory: &Path) -> io::Result<()> {
    let fresh = base.join(format!("{}{}", payload.id, UNFINISHED));
    remove(&fresh)?;
    DirBuilder::new().mode(0o700).create(&fresh)?;
    payload.unpack(executable, |packed| {
        OpenOptions::new().write(true).create_new(true).mode(0o500).open(fresh.join(&packed.name))
    })?;
    // What is there was found to be wrong.
    remove(directory)?;
    fs::rename(&fresh, directory)
}

const UNFINISHED: &str = ".unfinished";

/// Keeps a shared lock on `directory` while this process lives, also when it becomes another program.
fn hold(directory: &Path) -> io::Result<()> {
    let held = File::open(directory)?;
    held.lock_shared()?;
    // SAFETY: the descriptor is open, and changing its flags touches no memory.
    if unsafe { libc::fcntl(held.as_raw_fd(), libc::F_SETFD, 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    std::mem::forget(held);
    Ok(())
}

/// Removes what other versions unpacked, unless one of them still runs. Anything else is none of ours and stays.
fn remove_others(base: &Path, id: &str) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let entry = entry?;
        if entry.file_name() == id || !is_our_name(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        if !entry.file_type()?.is_dir() || File::open(&path)?.try_lock().is_ok() {
            remove(&path)?;
        }
    }
    Ok(())
}

fn is_our_name(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let id = name.strip_suffix(UNFINISHED).unwrap_or(&name);
    id.len() == 16 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Removes a directory with its contents, or whatever else has this name.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    }
}

fn user() -> u32 {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_are_removed() {
        for name in ["0123456789abcdef", "0123456789abcdef.unfinished"] {
            assert!(is_our_name(OsStr::new(name)), "{name}");
        }
        for name in [".lock", "deno", "0123456789abcde", "0123456789ABCDEF", "0123456789abcdef.bak", ""] {
            assert!(!is_our_name(OsStr::new(name)), "{name}");
        }
    }
}
