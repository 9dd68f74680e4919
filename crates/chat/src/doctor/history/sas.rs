//! What a shared access signature shows of itself: permissions and times.
//!
//! Contract: <https://learn.microsoft.com/rest/api/storageservices/create-service-sas>. Nothing here contains the signature.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use reqwest::Url;
use serverless_chat::config::HISTORY;
use url::form_urlencoded;

use super::names;

/// What the history does with blobs.
const PERMISSIONS: [(char, &str); 6] =
    [('r', "read"), ('a', "add"), ('c', "create"), ('w', "write"), ('d', "delete"), ('l', "list")];

/// A SAS that ends earlier is a problem already.
const MIN_DAYS_LEFT: i64 = 14;
const SECONDS_PER_DAY: i64 = 86_400;
/// The lifetime of a SAS in the command that creates one.
const LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// The query of a SAS URL, without the signature.
pub(in crate::doctor) struct Sas {
    permissions: Option<String>,
    start: Option<Timestamp>,
    expiry: Option<Timestamp>,
    /// Permissions and times that are missing are in a stored access policy, which does not show.
    has_policy: bool,
}

impl Sas {
    pub(in crate::doctor) fn parse(query: &str) -> Self {
        let part = |name: &str| {
            let mut parts = form_urlencoded::parse(query.as_bytes());
            parts.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
        };
        let time = |name: &str| part(name).and_then(|text| parse_time(&text));
        Self { permissions: part("sp"), start: time("st"), expiry: time("se"), has_policy: part("si").is_some() }
    }

    /// What is wrong with it, or soon will be.
    pub(in crate::doctor) fn problem(&self, now: Timestamp) -> Option<String> {
        if self.expiry.is_some_and(|expiry| expiry <= now) {
            return Some("its SAS has expired: no message can be kept or read".to_owned());
        }
        if self.start.is_some_and(|start| start > now) {
            return Some("its SAS is not valid yet".to_owned());
        }
        let missing = self.missing_permissions();
        if !missing.is_empty() {
            return Some(format!("its SAS does not allow to {}", missing.join(", ")));
        }
        let left = (self.expiry?.as_second() - now.as_second()) / SECONDS_PER_DAY;
        (left < MIN_DAYS_LEFT).then(|| match left {
            0 => "its SAS expires within a day".to_owned(),
            1 => "its SAS expires in 1 day".to_owned(),
            days => format!("its SAS expires in {days} days"),
        })
    }

    /// In words, each with its letter.
    fn missing_permissions(&self) -> Vec<String> {
        let granted = match &self.permissions {
            None if self.has_policy => return Vec::new(),
            granted => granted.as_deref().unwrap_or_default(),
        };
        let missing = PERMISSIONS.iter().filter(|(letter, _)| !granted.contains(*letter));
        missing.map(|(letter, name)| format!("{name} ({letter})")).collect()
    }
}

/// A date, or a time of day in UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    let date = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    text.parse().ok().or_else(date)
}

/// How to replace the SAS in `source`.
pub(super) fn renew(url: &Url, now: Timestamp, source: &str) -> String {
    let (account, container) = names(url);
    let letters: String = PERMISSIONS.iter().map(|(letter, _)| *letter).collect();
    let expiry = now.checked_add(LIFETIME).unwrap_or(now).to_zoned(TimeZone::UTC).date();
    format!(
        "az storage container generate-sas --account-name {account} --name {container} --permissions {letters} --https-only \
         --expiry {expiry} --auth-mode key --output tsv, and put its output behind the ? of {HISTORY} in {source}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(query: &str) -> Option<String> {
        Sas::parse(query).problem("2026-11-26T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn each_missing_permission_is_named() {
        assert_eq!(problem("sv=1&sp=racwdl&se=2999-01-01&sig=hush"), None);
        assert_eq!(problem("sv=1&sp=ldwcarx&se=2999-01-01&sig=hush"), None);
        assert_eq!(problem("sv=1&si=policy&sig=hush"), None);
        for (letter, name) in PERMISSIONS {
            let rest = "racwdl".replace(letter, "");
            let expected = format!("its SAS does not allow to {name} ({letter})");
            assert_eq!(problem(&format!("sv=1&sp={rest}&se=2999-01-01&sig=hush")), Some(expected));
        }
        let two = problem("sv=1&sp=rcwl&se=2999-01-01&sig=hush").unwrap();
        assert_eq!(two, "its SAS does not allow to add (a), delete (d)");
        assert!(problem("sv=1&se=2999-01-01&sig=hush").unwrap().ends_with("write (w), delete (d), list (l)"));
    }

    #[test]
    fn a_sas_that_has_expired_or_soon_will_is_a_problem() {
        for (times, expected) in [
            ("se=2026-11-26T12:00:00Z", Some("has expired")),
            ("se=2026-11-26", Some("has expired")),
            ("se=2026-11-26T13:00Z", Some("within a day")),
            ("se=2026-11-28", Some("in 1 day")),
            ("se=2026-12-10T11%3A00%3A00Z", Some("in 13 days")),
            ("se=2026-12-10T12%3A00%3A00Z", None),
            ("st=2026-11-27&se=2999-01-01", Some("not valid yet")),
            ("st=2026-11-26&se=2999-01-01", None),
        ] {
            let problem = problem(&format!("sv=1&sp=racwdl&{times}&sig=hush"));
            assert_eq!(problem.is_some(), expected.is_some(), "{times}");
            assert!(problem.unwrap_or_default().contains(expected.unwrap_or_default()), "{times}");
        }
    }

    #[test]
    fn a_new_one_is_made_by_one_command_and_no_signature_is_repeated() {
        let url = "https://chat.blob.core.windows.net/chat-history?sig=hush".parse().unwrap();
        let fix = renew(&url, "2026-11-26T12:00:00Z".parse().unwrap(), ".env");
        assert!(fix.contains("--account-name chat --name chat-history --permissions racwdl"), "{fix}");
        assert!(fix.contains("--expiry 2027-11-26") && fix.ends_with("in .env") && !fix.contains("hush"), "{fix}");
    }
}
