//! [`read_content`]: reads a small text file.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

/// Largest file, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 20;

/// The content of a file. No `Debug`: it may be secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum FileContent {
    Missing,
    Text(String),
    /// With the reason.
    Unreadable(String),
}

/// Reads a file, which blocks.
pub(crate) fn read_content(file: &Path) -> FileContent {
    match read(file) {
        Ok(text) => FileContent::Text(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => FileContent::Missing,
        Err(error) => FileContent::Unreadable(error.to_string()),
    }
}

fn read(file: &Path) -> io::Result<String> {
    // Opening a named pipe would block.
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut content = Vec::new();
    fs::File::open(file)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    decode(content).ok_or_else(|| io::Error::other("it is neither UTF-8 nor UTF-16 with a byte order mark"))
}

/// Decodes UTF-8, or UTF-16 with a byte order mark, as Windows PowerShell writes it and .NET reads it.
fn decode(content: Vec<u8>) -> Option<String> {
    let (units, to_unit): (_, fn([u8; 2]) -> u16) = match content.as_slice() {
        [0xFF, 0xFE, units @ ..] => (units, u16::from_le_bytes),
        [0xFE, 0xFF, units @ ..] => (units, u16::from_be_bytes),
        _ => return String::from_utf8(content).ok(),
    };
    let (units, []) = units.as_chunks() else { return None };
    char::decode_utf16(units.iter().copied().map(to_unit)).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_has_a_reason() {
        let folder = std::env::temp_dir();
        assert!(matches!(read_content(&folder), FileContent::Unreadable(reason) if reason == "it is not a file"));
        assert!(read_content(&folder.join(crate::access_key::random_id())) == FileContent::Missing);
    }
}
