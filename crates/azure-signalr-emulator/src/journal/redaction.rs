//! What of a query may be remembered.
//!
//! Values are kept by a list of what is harmless, not thrown away by a list of what is not: applications add parameters of
//! their own to a client's address, and nobody knows what stands in them.

use url::form_urlencoded;

/// Parameters of the service whose values open nothing.
const HARMLESS: [&str; 16] = [
    "api-version",
    "application",
    "completed",
    "continuationtoken",
    "excluded",
    "filter",
    "hub",
    "maxpagesize",
    "minutestoexpire",
    "negotiateversion",
    "reason",
    "top",
    "ttl",
    "userid",
    "usestatefulreconnect",
    "_",
];

/// Parameters that are not even named: the first is there or not, the second opens a client's connection.
const SECRET: [&str; 2] = ["access_token", "id"];

/// A query without tokens. The values of parameters nobody knows are replaced by `***`.
pub(crate) fn harmless_query(query: &str) -> String {
    let mut kept = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let known = name.to_ascii_lowercase();
        if SECRET.contains(&known.as_str()) {
            continue;
        }
        let is_harmless = HARMLESS.contains(&known.as_str());
        kept.append_pair(&name, if is_harmless { &value } else { "***" });
    }
    kept.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_loses_its_tokens_however_they_are_spelled() {
        let query = "hub=chat&access_token=T&Access%5FToken=T&id=S&negotiateVersion=1";
        assert_eq!(harmless_query(query), "hub=chat&negotiateVersion=1");
    }

    #[test]
    fn of_what_nobody_knows_only_the_name_is_kept() {
        assert_eq!(harmless_query("hub=chat&jwt=secret&x"), "hub=chat&jwt=***&x=***");
    }
}
