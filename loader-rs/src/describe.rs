//! Layouts as data: every table is pinned with a description of its structs, so that a loader of another version can read
//! it field by field. A field that keeps its name keeps its meaning; what is missing there is zero here.

use crate::{
    error::{Code, Error, Result},
    pins::Pins,
    raw_map::RawMap,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, mem::MaybeUninit, ptr};
use types::{layout::Layout, maps};

/// Of the description itself; changes only when older loaders could not read a newer one.
const VERSION: u32 = 1;
/// Structs in structs in arrays; what goes deeper is damaged.
const MAX_DEPTH: usize = 8;
/// Elements of an array, and bytes of a struct; beyond, the description is damaged.
const MAX_SIZE: usize = 1 << 16;

#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    structs: BTreeMap<String, Struct>,
}

#[derive(Serialize, Deserialize)]
struct Struct {
    size: usize,
    fields: Vec<Field>,
}

#[derive(Serialize, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    offset: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Type<'a> {
    Integer(usize),
    Array(Box<Type<'a>>, usize),
    Struct(&'a str),
}

/// The structs of one layout.
pub struct Description(BTreeMap<String, Struct>);

/// The text for our own layout.
pub fn own_text() -> String {
    let structs = types::LAYOUTS.iter().map(|layout| (layout.name.to_string(), describe(layout))).collect();
    serde_json::to_string(&Text { version: VERSION, structs }).unwrap_or_default()
}

/// Puts the text beside our maps, unless it is there.
pub fn pin(pins: &Pins) -> Result<()> {
    let path = pins.layout.join(maps::DESCRIPTION);
    if path.exists() {
        return Ok(());
    }
    let mut text = own_text().into_bytes();
    text.resize(text.len().next_multiple_of(8), 0);
    RawMap::create_pinned(&path, &text)
}

fn describe(layout: &Layout) -> Struct {
    let fields = layout.fields.iter();
    let field =
        |field: &types::layout::Field| Field { name: field.name.into(), ty: field.ty.into(), offset: field.offset };
    Struct { size: layout.size, fields: fields.map(field).collect() }
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(Code::System, format!("its description is damaged: {what}"))
}

impl Description {
    pub fn own() -> Self {
        Self(types::LAYOUTS.iter().map(|layout| (layout.name.to_string(), describe(layout))).collect())
    }

    /// Reads a description; zeros at its end are padding. All that it says has been checked against itself.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let text: Text = serde_json::from_slice(&bytes[..end]).map_err(damaged)?;
        if text.version != VERSION {
            return Err(Error::new(Code::System, format!("its description is of version {}", text.version)));
        }
        let description = Self(text.structs);
        for (name, one) in &description.0 {
            for field in &one.fields {
                let size = description.size(&parse_type(&field.ty)?, 0)?;
                if field.offset.checked_add(size).is_none_or(|end| end > one.size) || one.size > MAX_SIZE {
                    return Err(damaged(format_args!("{name}.{} does not fit", field.name)));
                }
            }
        }
        Ok(description)
    }

    pub fn size_of(&self, name: &str) -> Result<usize> {
        self.size(&Type::Struct(name), 0)
    }

    /// Where a field begins.
    pub fn offset_of(&self, name: &str, field: &str) -> Result<usize> {
        let found = self.get(name)?.fields.iter().find(|known| known.name == field);
        found.map(|field| field.offset).ok_or_else(|| damaged(format_args!("there is no {name}.{field}")))
    }

    fn get(&self, name: &str) -> Result<&Struct> {
        self.0.get(name).ok_or_else(|| damaged(format_args!("there is no {name}")))
    }

    fn size(&self, ty: &Type, depth: usize) -> Result<usize> {
        if depth > MAX_DEPTH {
            return Err(damaged("it is too deep"));
        }
        match ty {
            Type::Integer(size) => Ok(*size),
            Type::Array(element, count) => Ok(self.size(element, depth + 1)?.saturating_mul(*count)),
            Type::Struct(name) => Ok(self.get(name)?.size),
        }
    }
}

/// `u8`, `[T; 3]` or the name of a struct.
fn parse_type(text: &str) -> Result<Type<'_>> {
    let text = text.trim();
    let integer = |size| Ok(Type::Integer(size));
    match text {
        "u8" => return integer(1),
        "u16" => return integer(2),
        "u32" => return integer(4),
        "u64" => return integer(8),
        _ => {}
    }
    let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return Ok(Type::Struct(text));
    };
    if inside.len() > MAX_SIZE || inside.starts_with(&"[".repeat(MAX_DEPTH)) {
        return Err(damaged("a type is too long"));
    }
    let (element, count) = inside.rsplit_once(';').ok_or_else(|| damaged(format_args!("the type {text:?}")))?;
    let count = count.trim().parse().ok().filter(|count| *count <= MAX_SIZE);
    Ok(Type::Array(Box::new(parse_type(element)?), count.ok_or_else(|| damaged(format_args!("the type {text:?}")))?))
}

/// Bytes from here to there.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    from: usize,
    to: usize,
    len: usize,
}

/// How a struct of another layout becomes ours.
pub struct Plan {
    pieces: Vec<Piece>,
    /// Size of the struct there.
    pub size: usize,
}

// An integer that was wider or narrower there: its low bytes come first.
const _: () = assert!(cfg!(target_endian = "little"));

impl Plan {
    /// For the struct of this name in both layouts.
    pub fn new(from: &Description, to: &Description, name: &str) -> Result<Self> {
        let mut plan = Self { pieces: Vec::new(), size: from.size_of(name)? };
        plan.add((from, &Type::Struct(name), 0), (to, &Type::Struct(name), 0), 0)?;
        Ok(plan)
    }

    fn add(
        &mut self,
        (from, from_type, from_offset): (&Description, &Type, usize),
        (to, to_type, to_offset): (&Description, &Type, usize),
        depth: usize,
    ) -> Result<()> {
        if depth > MAX_DEPTH || self.pieces.len() > MAX_SIZE {
            return Err(damaged("it is too deep"));
        }
        match (from_type, to_type) {
            (Type::Integer(there), Type::Integer(here)) => {
                self.pieces.push(Piece { from: from_offset, to: to_offset, len: *there.min(here) });
            }
            (Type::Array(there, count), Type::Array(here, room)) => {
                let (from_size, to_size) = (from.size(there, 0)?, to.size(here, 0)?);
                for i in 0..*count.min(room) {
                    let places = (from_offset + i * from_size, to_offset + i * to_size);
                    self.add((from, there, places.0), (to, here, places.1), depth + 1)?;
                }
            }
            (Type::Struct(there), Type::Struct(here)) => {
                for field in &to.get(here)?.fields {
                    let Some(known) = from.get(there)?.fields.iter().find(|known| known.name == field.name) else {
                        continue;
                    };
                    let (from_type, to_type) = (parse_type(&known.ty)?, parse_type(&field.ty)?);
                    let places = (from_offset + known.offset, to_offset + field.offset);
                    self.add((from, &from_type, places.0), (to, &to_type, places.1), depth + 1)?;
                }
            }
            // Something else under the same name.
            _ => {}
        }
        Ok(())
    }

    /// Our struct of what lies in `bytes`, which are `self.size` at least. `T` is a struct of `types`, and that of the plan.
    ///
    /// # Panics
    /// When `bytes` are fewer or `T` is smaller than the plan's struct.
    pub fn apply<T: Copy>(&self, bytes: &[u8]) -> T {
        let mut value = MaybeUninit::<T>::zeroed();
        for Piece { from, to, len } in &self.pieces {
            let piece = &bytes[*from..from + len];
            assert!(to + len <= size_of::<T>());
            // SAFETY: in range of both, as just checked.
            unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), value.as_mut_ptr().cast::<u8>().add(*to), *len) };
        }
        // SAFETY: a struct of integers and arrays of them, for which any bytes are a value.
        unsafe { value.assume_init() }
    }
}

#[cfg(test)]
#[path = "describe/tests.rs"]
mod tests;
