//! What stands behind the program in the single executable; `tools/compile.ts` writes it.
//!
//! ```text
//! program | zstd frame: all files, one after the other | list | length of frame, length of list: u64 LE | MERMIN01
//! ```
//! The list has one line a file: SHA-256 in hex, length in bytes, name.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Component, Path},
};

use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"MERMIN01";
const END: u64 = 24;
/// Far above the three lines that there are.
const MAX_LIST: u64 = 64 * 1024;

/// The files in an executable.
pub struct Payload {
    /// Names these very contents: 16 hex digits.
    pub id: String,
    pub files: Vec<Packed>,
    offset: u64,
    length: u64,
}

/// One file of a payload.
pub struct Packed {
    pub name: String,
    pub length: u64,
    /// SHA-256 in hex.
    pub hash: String,
}

impl Payload {
    /// Finds what `executable` holds; `None` when it is the program alone.
    pub fn of(executable: &mut File) -> io::Result<Option<Self>> {
        let size = executable.metadata()?.len();
        let Some(end) = size.checked_sub(END) else { return Ok(None) };
        let mut lengths = [0; 8];
        let mut magic = [0; 8];
        executable.seek(SeekFrom::Start(end))?;
        executable.read_exact(&mut lengths)?;
        let length = u64::from_le_bytes(lengths);
        executable.read_exact(&mut lengths)?;
        let list_length = u64::from_le_bytes(lengths);
        executable.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Ok(None);
        }
        let list_start = end.checked_sub(list_length).filter(|_| list_length <= MAX_LIST);
        let offset = list_start.and_then(|start| start.checked_sub(length));
        let (Some(list_start), Some(offset)) = (list_start, offset) else {
            return Err(damaged("lengths"));
        };
        let mut list = String::new();
        executable.seek(SeekFrom::Start(list_start))?;
        executable.take(list_length).read_to_string(&mut list)?;
        let files = list.lines().map(Packed::of).collect::<Option<Vec<_>>>().ok_or_else(|| damaged("list"))?;
        let id = hex(&Sha256::digest(&list))[..16].to_owned();
        Ok(Some(Self { id, files, offset, length }))
    }

    /// Writes every file to what `create` makes of it. @errors when a file is not what the list says
    pub fn unpack(&self, executable: &mut File, mut create: impl FnMut(&Packed) -> io::Result<File>) -> io::Result<()> {
        executable.seek(SeekFrom::Start(self.offset))?;
        let frame = io::BufReader::with_capacity(256 * 1024, executable.take(self.length));
        let mut frame = StreamingDecoder::new(frame).map_err(io::Error::other)?;
        for packed in &self.files {
            let mut file = create(packed)?;
            if hash((&mut frame).take(packed.length), &mut file)? != packed.hash {
                return Err(damaged(&packed.name));
            }
        }
        Ok(())
    }
}

impl Packed {
    fn of(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let (hash, length, name) = (words.next()?, words.next()?, words.next()?);
        let is_plain = matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        is_plain.then_some(Self { name: name.to_owned(), length: length.parse().ok()?, hash: hash.to_owned() })
    }
}

/// Copies `from` to `to` and returns the SHA-256 of it in hex.
pub fn hash(mut from: impl Read, mut to: impl Write) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("its {what} is not what was packed"))
}
