//! JSON files as the host's .NET reads them: a byte order mark is nothing, and names match in any letter case.
//!
//! Comments are an error here, though some readers of these files forgive them: others, VS Code's among them, do not all.

use serde_json::Value;

/// The value in `text`.
///
/// # Errors
/// Where it ends to be JSON, in words that repeat nothing of it.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text)
        .map_err(|error| format!("is not JSON: {error} (comments and trailing commas are not JSON)"))
}

/// The member of `value` at the end of `path`.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| {
        let mut members = value.as_object()?.iter();
        members.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, member)| member)
    })
}

/// A switch, also one that is written as text, which .NET takes.
pub(super) fn is_on(value: Option<&Value>) -> bool {
    value.is_some_and(|value| match value {
        Value::Bool(on) => *on,
        Value::String(text) => text.trim().eq_ignore_ascii_case("true"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_letter_case_and_a_byte_order_mark_is_nothing() {
        let value = parse("\u{feff}{\"A\":{\"bC\":1}}").unwrap();
        assert_eq!(at(&value, &["a", "BC"]), Some(&Value::from(1)));
        assert_eq!(at(&value, &["a", "bc", "d"]), None);
    }

    #[test]
    fn what_is_no_json_is_told_without_its_text() {
        let told = parse("{\"hush\": hush}").unwrap_err();
        assert!(told.contains("line 1") && !told.contains("hush"), "{told}");
    }
}
