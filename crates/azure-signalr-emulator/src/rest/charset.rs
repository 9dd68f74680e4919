//! [`Charset`]: the encoding of a JSON body, one of those that ASP.NET Core reads.

use axum::body::Bytes;
use axum::http::StatusCode;

use crate::api_error::ApiError;

/// How many characters of an unknown charset an error repeats.
const MAX_QUOTED_CHARS: usize = 40;

/// In UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The encoding of a body. A byte-order mark at its start is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    /// Little-endian: ASP.NET Core reads no other UTF-16.
    Utf16,
}

impl Charset {
    /// The charset that the parameters of a content type name; UTF-8 without one.
    pub(super) fn of_content_type(content_type: &str) -> Result<Self, ApiError> {
        let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
        let charset = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        let charset = charset.map_or("utf-8", |(_, value)| value.trim().trim_matches('"'));
        match charset.to_ascii_lowercase().as_str() {
            "utf-8" => Ok(Self::Utf8),
            "utf-16" | "utf-16le" => Ok(Self::Utf16),
            _ => {
                let short: String = charset.chars().take(MAX_QUOTED_CHARS).collect();
                let message = format!(
                    "the charset {short:?} of the body is not read: send it in \"utf-8\", or in \"utf-16\" (little-endian)"
                );
                Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message))
            }
        }
    }

    /// The body in UTF-8, without byte-order mark. UTF-8 is not validated.
    pub(super) fn decode(self, body: Bytes) -> Result<Bytes, ApiError> {
        let body = match self {
            Self::Utf8 => body,
            Self::Utf16 => decode_utf16(&body).ok_or_else(|| {
                ApiError::invalid("payload", "the body is not little-endian UTF-16, as the charset of its type says")
            })?,
        };
        let start = if body.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Ok(body.slice(start..))
    }
}

fn decode_utf16(body: &[u8]) -> Option<Bytes> {
    let (units, rest) = body.as_chunks::<2>();
    let characters = char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)));
    let text: String = characters.collect::<Result<_, _>>().ok()?;
    rest.is_empty().then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_is_found_in_any_spelling_and_an_unknown_one_is_named() {
        for (content_type, expected) in [
            ("application/json", Ok(Charset::Utf8)),
            ("application/json; charset=utf-8", Ok(Charset::Utf8)),
            ("application/json;x=y ; Charset = \"UTF-8\"", Ok(Charset::Utf8)),
            ("application/json; charset=utf-16", Ok(Charset::Utf16)),
            ("application/json; charset=UTF-16LE", Ok(Charset::Utf16)),
            ("application/json; charset=utf-16be", Err("\"utf-16be\"")),
            ("application/json; charset=iso-8859-1", Err("\"iso-8859-1\"")),
            ("application/json; charset=latin\n", Err("\"latin\"")),
            ("application/json; charset=utf8; charset=utf-8", Err("\"utf8\"")),
        ] {
            let found = Charset::of_content_type(content_type);
            match expected {
                Ok(charset) => assert_eq!(found.unwrap(), charset, "{content_type}"),
                Err(name) => assert!(found.unwrap_err().message().contains(name), "{content_type}"),
            }
        }
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn a_body_becomes_utf_8_without_byte_order_mark() {
        for (charset, body, expected) in [
            (Charset::Utf8, b"".to_vec(), Some("")),
            (Charset::Utf8, "{é}".into(), Some("{é}")),
            (Charset::Utf8, "\u{feff}{é}".into(), Some("{é}")),
            (Charset::Utf8, "\u{feff}\u{feff}".into(), Some("\u{feff}")),
            (Charset::Utf16, utf16(""), Some("")),
            (Charset::Utf16, utf16("{é😀}"), Some("{é😀}")),
            (Charset::Utf16, utf16("\u{feff}{é😀}"), Some("{é😀}")),
            (Charset::Utf16, b"{\0}".to_vec(), None),
            (Charset::Utf16, 0xd83d_u16.to_le_bytes().to_vec(), None),
        ] {
            let decoded = charset.decode(body.clone().into()).ok();
            assert_eq!(decoded.as_deref(), expected.map(str::as_bytes), "{charset:?} {body:?}");
        }
    }
}
