//! Arrays of the kernel as memory of the process.

use crate::error::{Code, Error, Result};
use std::{
    cell::Cell,
    marker::PhantomData,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
};

/// A BPF array made with `BPF_F_MMAPABLE`, as memory that the kernel writes too.
///
/// All pages of such a mapping are present at once and count as the process's memory, so it is a window that moves: cheap for
/// whoever goes through the array in order.
pub struct MappedArray<T> {
    map: OwnedFd,
    /// Addresses for one window, reserved.
    base: NonNull<u8>,
    len: u32,
    /// Where in the array the window begins, in bytes.
    start: Cell<usize>,
    element: PhantomData<T>,
}

// SAFETY: the mapping belongs to the process, not to a thread; access goes through raw pointers.
unsafe impl<T> Send for MappedArray<T> {}

/// Windows begin at multiples of this, which is one of every page size.
const WINDOW_STEP_BYTES: usize = 1 << 20;
/// A window is longer than a step, so that an element that begins in a step is in one window whole.
const WINDOW_BYTES: usize = WINDOW_STEP_BYTES + (1 << 16);
/// Where no window begins.
const NOWHERE: usize = usize::MAX;

impl<T> MappedArray<T> {
    /// An array of `len` elements whose value size is that of `T`, a multiple of 8.
    pub fn new(map: BorrowedFd<'_>, len: u32) -> Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8) && size_of::<T>() < WINDOW_BYTES - WINDOW_STEP_BYTES) };
        let map = map.try_clone_to_owned().map_err(|error| Error::io("cannot map a BPF array", &error))?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice, which nothing can be read from.
        let base = unsafe { libc::mmap(ptr::null_mut(), WINDOW_BYTES, libc::PROT_NONE, flags, -1, 0) };
        match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => {
                let array = Self { map, base, len, start: Cell::new(0), element: PhantomData };
                array.show(0)?;
                Ok(array)
            }
            _ => Err(Error::last_os("cannot map a BPF array")),
        }
    }

    pub fn len(&self) -> u32 {
        self.len
    }

    /// Moves the window to where `start` is, in bytes.
    fn show(&self, start: usize) -> Result<()> {
        let bytes = WINDOW_BYTES.min((self.len as usize * size_of::<T>()).saturating_sub(start));
        // SAFETY: within the addresses that `new` reserved, in the place of the window before, into which nobody holds a
        // pointer: see `at`.
        let mapped = unsafe {
            libc::mmap(
                self.base.as_ptr().cast(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_FIXED,
                self.map.as_raw_fd(),
                start as libc::off_t,
            )
        };
        if mapped == libc::MAP_FAILED {
            return Err(Error::last_os("cannot map a BPF array"));
        }
        self.start.set(start);
        Ok(())
    }

    /// The element at `index`, which the kernel may be writing. The pointer is good until the next call. Fails when there is no
    /// memory for page tables; a later call tries again.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn at(&self, index: u32) -> Result<*mut T> {
        assert!(index < self.len, "index {index} of {}", self.len);
        let offset = index as usize * size_of::<T>();
        let start = offset / WINDOW_STEP_BYTES * WINDOW_STEP_BYTES;
        if start != self.start.get() {
            // Nothing may be left of the window before when the new one fails.
            self.start.set(NOWHERE);
            self.show(start)?;
        }
        // SAFETY: within the window.
        Ok(unsafe { self.base.as_ptr().add(offset - start).cast() })
    }
}

/// A BPF array that is short enough for one window, which never moves: looking into it cannot fail.
pub struct ShortArray<T>(MappedArray<T>);

impl<T> ShortArray<T> {
    pub fn new(array: MappedArray<T>) -> Result<Self> {
        if array.len as usize * size_of::<T>() > WINDOW_STEP_BYTES {
            return Err(Error::new(Code::System, format!("an array of {} elements is too long", array.len)));
        }
        Ok(Self(array))
    }

    pub fn len(&self) -> u32 {
        self.0.len
    }

    /// The same array in memory of its own.
    pub fn again(&self) -> Result<Self> {
        Ok(Self(MappedArray::new(self.0.map.as_fd(), self.0.len)?))
    }

    /// See [`MappedArray::at`].
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn at(&self, index: u32) -> *mut T {
        assert!(index < self.0.len, "index {index} of {}", self.0.len);
        // SAFETY: within the window, which is that from the start.
        unsafe { self.0.base.as_ptr().cast::<T>().add(index as usize) }
    }
}

impl<T> Drop for MappedArray<T> {
    fn drop(&mut self) {
        // SAFETY: what `new` reserved, with what was mapped there.
        unsafe { libc::munmap(self.base.as_ptr().cast(), WINDOW_BYTES) };
    }
}

/// Adds to a word in a mapped array, without locking.
///
/// # Safety
/// `word` is an aligned word that nobody else writes.
pub unsafe fn add(word: *mut u64, value: u64) {
    // SAFETY: by the contract.
    unsafe { ptr::write_volatile(word, ptr::read_volatile(word).wrapping_add(value)) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::FromRawFd as _;

    /// Memory in the place of a map, which can be told to refuse further windows.
    fn memory(bytes: usize) -> OwnedFd {
        // SAFETY: a valid name; the descriptor is new and ours.
        unsafe {
            let file = libc::memfd_create(c"array".as_ptr(), libc::MFD_ALLOW_SEALING);
            assert_eq!(libc::ftruncate(file, bytes as libc::off_t), 0);
            OwnedFd::from_raw_fd(file)
        }
    }

    #[test]
    fn at_moves_the_window_and_fails_when_there_can_be_none() {
        const LEN: u32 = 3 << 17;
        let file = memory(LEN as usize * 8);
        let array = MappedArray::<u64>::new(file.as_fd(), LEN).unwrap();
        for index in [0, LEN / 2, LEN - 1, 1] {
            // SAFETY: mapped memory.
            unsafe { *array.at(index).unwrap() = index.into() };
        }
        for index in [1, LEN / 2, LEN - 1] {
            // SAFETY: as above.
            assert_eq!(unsafe { *array.at(index).unwrap() }, u64::from(index));
        }
        // SAFETY: our own file.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_FUTURE_WRITE) }, 0);
        assert!(array.at(LEN - 2).is_ok(), "within the window");
        for index in [0, LEN - 1] {
            assert!(array.at(index).is_err());
        }
    }

    #[test]
    fn a_short_array_fits_into_one_window() {
        let file = memory(2 * WINDOW_STEP_BYTES);
        let array = |len| ShortArray::new(MappedArray::<u64>::new(file.as_fd(), len).unwrap());
        let longest = (WINDOW_STEP_BYTES / 8) as u32;
        assert!(array(longest + 1).is_err());
        // SAFETY: mapped memory.
        assert_eq!(unsafe { *array(longest).unwrap().at(longest - 1) }, 0);
    }
}
