//! Reads the files of a project: text, JSON, `.env` files, and whether git tracks a file.
//!
//! No error repeats text of a file, which may be a key. The usual crate for `.env` files quotes the line it cannot read and expands `$`
//! from the environment, so these files are parsed here.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Reads a file as text. Bytes that are not UTF-8 are replaced.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// Whether git tracks `file`. False without git and outside a repository.
pub(super) fn is_in_git(file: &Path) -> bool {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return false };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut git = Command::new("git");
    // The repository's configuration may name a file-watching program, which must not be started.
    git.args(["-c", "core.fsmonitor=false", "ls-files", "--error-unmatch", "--"]).arg(name).current_dir(folder);
    git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    git.status().is_ok_and(|status| status.success())
}

/// Parses JSON as .NET does: a byte order mark is skipped. Comments are an error, because not every reader of these files accepts them.
pub(super) fn parse_json(text: &str) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text)
        .map_err(|error| format!("is not JSON: {error} (comments and trailing commas are not JSON)"))
}

/// The value at `path`. Names match in any letter case, as in .NET.
pub(super) fn json_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| {
        let mut members = value.as_object()?.iter();
        members.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, member)| member)
    })
}

/// Whether a value is `true`, or the text "true", which .NET accepts too.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| match value {
        Value::Bool(on) => *on,
        Value::String(text) => text.trim().eq_ignore_ascii_case("true"),
        _ => false,
    })
}

/// Parses a `.env` file: `NAME=value` in each line. The error is the number of the first invalid line, from 1.
pub(super) fn parse_env_file(text: &str) -> Result<Vec<(String, String)>, usize> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(index, line)| parse_env_line(line).ok_or(index + 1)).collect()
}

fn parse_env_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte));
    is_name.then_some(())?;
    Some((name.to_owned(), unquote(value.trim())?))
}

/// The text between quotes, or an unquoted value without its trailing comment.
fn unquote(value: &str) -> Option<String> {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let Some(quote) = quote else {
        return Some(value.split(" #").next().unwrap_or_default().trim_end().to_owned());
    };
    let (inside, after) = value[1..].split_once(quote)?;
    let after = after.trim_start();
    (after.is_empty() || after.starts_with('#')).then(|| inside.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_match_in_any_letter_case_and_a_byte_order_mark_is_skipped() {
        let value = parse_json("\u{feff}{\"A\":{\"bC\":1}}").unwrap();
        assert_eq!(json_at(&value, &["a", "BC"]), Some(&Value::from(1)));
        assert_eq!(json_at(&value, &["a", "bc", "d"]), None);
    }

    #[test]
    fn a_json_error_does_not_repeat_the_text() {
        let error = parse_json("{\"hush\": hush}").unwrap_err();
        assert!(error.contains("line 1") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn values_of_an_env_file_are_read_as_written() {
        let text =
            "# ours\n\nA=Endpoint=http://h;AccessKey=k==; \nexport B='a # \"b\"' # c\nC = \"$HOME\"\nD=x # y\nE=";
        let read = parse_env_file(text).unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            read,
            [("A", "Endpoint=http://h;AccessKey=k==;"), ("B", "a # \"b\""), ("C", "$HOME"), ("D", "x"), ("E", "")]
        );
    }

    #[test]
    fn an_invalid_line_is_reported_by_its_number() {
        for line in ["hush", "=hush", "a b=hush", "A='hush", "A=\"hush\" more"] {
            assert_eq!(parse_env_file(&format!("# first\nA=1\n{line}\n")), Err(3), "{line}");
        }
    }
}
