//! Reads GGUF, the file format of llama.cpp: names with values, and tensors.

use std::{collections::HashMap, path::Path};

use memmap2::Mmap;

use crate::mapped;

/// A file. Its tensors stay where they are until they are asked for.
pub(super) struct Gguf {
    values: HashMap<String, Value>,
    tensors: HashMap<String, Info>,
    /// Where the content of tensors begins.
    content: usize,
    map: Mmap,
}

/// A value of the file.
#[derive(Debug)]
enum Value {
    Number(f64),
    Text(String),
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

/// Where a tensor lies.
struct Info {
    /// The length of a row.
    inputs: usize,
    /// How many rows there are.
    outputs: usize,
    kind: u32,
    offset: usize,
}

/// A tensor, as it is stored.
pub(super) struct Tensor<'a> {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) kind: Kind,
    pub(super) bytes: &'a [u8],
}

/// How the elements of a tensor are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As they are.
    F32,
    /// Blocks of 32: a scale, a least value, and four bits for each.
    Q4_1,
    /// Blocks of 32: a scale, and eight bits for each.
    Q8_0,
}

impl Kind {
    const fn of(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::F32),
            3 => Some(Self::Q4_1),
            8 => Some(Self::Q8_0),
            _ => None,
        }
    }

    /// How many elements are kept together, in how many bytes.
    pub(super) const fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::Q4_1 => (32, 20),
            Self::Q8_0 => (32, 34),
        }
    }
}

impl Gguf {
    /// Reads everything but the content of tensors. The error says what is wrong with the file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let map = mapped::map(path).map_err(|error| error.to_string())?;
        let mut from = Reader { bytes: &map, at: 0 };
        if from.take(4)? != b"GGUF" {
            return Err("expected a GGUF file".to_owned());
        }
        let version = from.u32()?;
        if !(2..=3).contains(&version) {
            return Err(format!("expected version 2 or 3 of GGUF, found {version}"));
        }
        let tensors = from.u64()?;
        let values = from.u64()?;
        let values =
            (0..values).map(|_| Ok((from.text()?, from.value()?))).collect::<Result<HashMap<_, _>, String>>()?;
        let tensors = (0..tensors).map(|_| from.tensor()).collect::<Result<HashMap<_, _>, _>>()?;
        let align = match values.get("general.alignment") {
            Some(Value::Number(align)) if *align >= 1.0 => *align as usize,
            _ => 32,
        };
        let content = from.at.next_multiple_of(align);
        Ok(Self { values, tensors, content, map })
    }

    pub(super) fn number(&self, name: &str) -> Result<f64, String> {
        match self.values.get(name) {
            Some(Value::Number(number)) => Ok(*number),
            other => Err(format!("expected a number in `{name}`, found {other:?}")),
        }
    }

    pub(super) fn count(&self, name: &str) -> Result<usize, String> {
        let number = self.number(name)?;
        if number.fract() == 0.0 && (1.0..1e9).contains(&number) {
            Ok(number as usize)
        } else {
            Err(format!("expected a count in `{name}`, found {number}"))
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, String> {
        match self.values.get(name) {
            Some(Value::Text(text)) => Ok(text),
            other => Err(format!("expected a text in `{name}`, found {other:?}")),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Result<&[String], String> {
        match self.values.get(name) {
            Some(Value::Texts(texts)) => Ok(texts),
            _ => Err(format!("expected texts in `{name}`")),
        }
    }

    pub(super) fn numbers(&self, name: &str) -> Result<&[f64], String> {
        match self.values.get(name) {
            Some(Value::Numbers(numbers)) => Ok(numbers),
            _ => Err(format!("expected numbers in `{name}`")),
        }
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Tensor<'_>, String> {
        let info = self.tensors.get(name).ok_or_else(|| format!("expected a tensor `{name}`"))?;
        let kind = Kind::of(info.kind)
            .ok_or_else(|| format!("`{name}`: expected F32, Q4_1 or Q8_0, found the type {}", info.kind))?;
        let (elements, bytes) = kind.block();
        if info.inputs == 0 || !info.inputs.is_multiple_of(elements) {
            return Err(format!("`{name}`: a row of {} elements is not whole", info.inputs));
        }
        let end =
            |length: usize| self.content.checked_add(info.offset).map(|start| start..start.saturating_add(length));
        let content = (info.inputs / elements)
            .checked_mul(bytes)
            .and_then(|row| row.checked_mul(info.outputs))
            .and_then(end)
            .and_then(|range| self.map.get(range))
            .ok_or_else(|| format!("`{name}` does not lie in the file: it is cut"))?;
        Ok(Tensor { inputs: info.inputs, outputs: info.outputs, kind, bytes: content })
    }
}

/// The bytes of a file, read one after the other.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end)).ok_or("the file is cut")?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.try_into().expect("so many were taken"))
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.u64()? as usize;
        let text = self.take(length)?;
        String::from_utf8(text.to_vec()).map_err(|error| error.to_string())
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.u32()? {
            8 => self.text().map(Value::Text),
            9 => self.list(),
            kind => self.number(kind).map(Value::Number),
        }
    }

    fn number(&mut self, kind: u32) -> Result<f64, String> {
        Ok(match kind {
            0 | 7 => f64::from(self.array::<1>()?[0]),
            1 => f64::from(i8::from_le_bytes(self.array()?)),
            2 => f64::from(u16::from_le_bytes(self.array()?)),
            3 => f64::from(i16::from_le_bytes(self.array()?)),
            4 => f64::from(self.u32()?),
            5 => f64::from(i32::from_le_bytes(self.array()?)),
            6 => f64::from(f32::from_le_bytes(self.array()?)),
            10 => self.u64()? as f64,
            11 => i64::from_le_bytes(self.array()?) as f64,
            12 => f64::from_le_bytes(self.array()?),
            other => return Err(format!("expected a type of value, found {other}")),
        })
    }

    fn list(&mut self) -> Result<Value, String> {
        let kind = self.u32()?;
        let count = self.u64()?;
        if kind == 8 {
            (0..count).map(|_| self.text()).collect::<Result<_, _>>().map(Value::Texts)
        } else {
            (0..count).map(|_| self.number(kind)).collect::<Result<_, _>>().map(Value::Numbers)
        }
    }

    fn tensor(&mut self) -> Result<(String, Info), String> {
        let name = self.text()?;
        let dimensions = self.u32()?;
        if !(1..=2).contains(&dimensions) {
            return Err(format!("`{name}`: expected one or two dimensions, found {dimensions}"));
        }
        let inputs = self.u64()? as usize;
        let outputs = if dimensions == 2 { self.u64()? as usize } else { 1 };
        let kind = self.u32()?;
        let offset = self.u64()? as usize;
        Ok((name, Info { inputs, outputs, kind, offset }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::weights::{self, CHAT};

    #[test]
    fn a_file_that_is_cut_or_garbled_anywhere_is_an_error_and_no_panic() {
        let good = std::fs::read(CHAT.path(&weights::folder(), "model.gguf").unwrap()).unwrap();
        // The head of the file is read on; a few thousand places of it are enough.
        let head = &good[..1_800_000];
        let read = |bytes: &[u8]| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            Gguf::read(file.path()).and_then(|gguf| gguf.tensor("blk.0.ffn_up.weight").map(|_| ()))
        };
        for length in [0, 3, 4, 20, 24, 1000, 100_000, 1_700_000, head.len()] {
            assert!(read(&head[..length]).is_err(), "{length}");
        }
        for at in (4..2_000).step_by(13) {
            let mut bad = head[..200_000].to_vec();
            bad[at] ^= 0xff;
            assert!(read(&bad).is_err(), "{at}");
        }
    }
}
