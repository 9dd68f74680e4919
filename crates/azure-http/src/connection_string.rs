//! The `Name=Value;` form of the connection strings of Azure services.

/// The properties of a connection string, by name in any case.
///
/// Parts without `=` and empty parts are skipped, spaces around names and values are cut off, and only the first `=` of a part splits it,
/// since keys end in `=`: as the official SDKs read them.
///
/// ```
/// let properties = azure_http::ConnectionProperties::parse("Endpoint=https://h;AccessKey=a==;")?;
/// assert_eq!(properties.get("accesskey"), Some("a=="));
/// # Ok::<(), azure_http::DuplicateProperty>(())
/// ```
pub struct ConnectionProperties<'a>(Vec<(&'a str, &'a str)>);

impl<'a> ConnectionProperties<'a> {
    /// Splits `text` into its properties.
    ///
    /// # Errors
    ///
    /// When a name occurs twice, whichever its case and its values.
    pub fn parse(text: &'a str) -> Result<Self, DuplicateProperty> {
        let mut properties: Vec<(&str, &str)> = Vec::new();
        for (name, value) in text.split(';').filter_map(|part| part.split_once('=')) {
            let name = name.trim();
            if properties.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                return Err(DuplicateProperty);
            }
            properties.push((name, value.trim()));
        }
        Ok(Self(properties))
    }

    /// The value of a property. One without a value counts as absent.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value).filter(|value| !value.is_empty())
    }
}

/// A connection string has a property twice. The property is not named: a mangled string may have its key there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a property occurs twice in the connection string")]
pub struct DuplicateProperty;

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str) -> Result<Option<&str>, DuplicateProperty> {
        ConnectionProperties::parse(text).map(|properties| properties.get("key"))
    }

    #[test]
    fn a_property_is_found_however_it_is_written() {
        for (text, expected) in [
            ("Key=a", Ok(Some("a"))),
            ("KEY=a==;", Ok(Some("a=="))),
            (";;Other=b;; key = a b ;nonsense", Ok(Some("a b"))),
            ("key==a", Ok(Some("=a"))),
            ("key=", Ok(None)),
            ("key", Ok(None)),
            ("", Ok(None)),
            ("=a", Ok(None)),
            ("key=a;KEY=a", Err(DuplicateProperty)),
            ("key=;Key=a", Err(DuplicateProperty)),
        ] {
            assert_eq!(get(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(key|[ -~]{0,5}|=|;|é){0,12}") {
            let _ = get(&text);
        }
    }
}
