//! Files of settings in the form of `.env`: `NAME=value` in each line.
//!
//! The usual crate for these quotes a line it cannot read in its error, and that line may be a key; and it puts the process's own
//! environment into values with a `$`. So they are read here, without that.

/// The settings in `text`.
///
/// # Errors
/// The number of the first line that is none, from 1.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(index, line)| setting(line).ok_or(index + 1)).collect()
}

fn setting(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let name = name.trim();
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte));
    is_name.then_some(())?;
    Some((name.to_owned(), unquoted(value.trim())?))
}

/// A quoted value as it stands between its quotes; another one up to a comment.
fn unquoted(value: &str) -> Option<String> {
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
    fn values_are_kept_as_they_are_written() {
        let text = "# ours\n\nA=Endpoint=http://h;AccessKey=k==; \nexport B='a # \"b\"' # c\nC = \"$HOME\"\nD=x # y\nE=";
        let read = parse(text).unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            read,
            [
                ("A", "Endpoint=http://h;AccessKey=k==;"),
                ("B", "a # \"b\""),
                ("C", "$HOME"),
                ("D", "x"),
                ("E", "")
            ]
        );
    }

    #[test]
    fn a_line_that_is_none_is_told_by_its_number() {
        for line in ["hush", "=hush", "a b=hush", "A='hush", "A=\"hush\" more"] {
            assert_eq!(parse(&format!("# first\nA=1\n{line}\n")), Err(3), "{line}");
        }
    }
}
