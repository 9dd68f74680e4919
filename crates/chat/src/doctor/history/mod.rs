//! Checks the place of the history: a container that is private and forgets what is deleted, or a folder that can be written.

mod container;
mod folder;
mod sas;

use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use reqwest::Url;
use serverless_chat::config::{Container, ContainerAccess, HISTORY, HistoryPlace};

use self::container::ContainerCheck;
pub(super) use self::sas::Sas;
use super::report::Finding;
use super::settings::Settings;

/// The subject of findings about the place as a whole.
const HISTORY_SUBJECT: &str = "history";

/// Checks the place that the settings name. Relative folders are in `project`.
pub(super) async fn check(settings: &Settings, project: &Path, now: SystemTime) -> Vec<Finding> {
    let Some(config) = &settings.config else {
        return vec![Finding::skipped(HISTORY_SUBJECT, "fix the settings first")];
    };
    match config.history.as_ref().map(|history| &history.place) {
        None => vec![Finding::skipped(HISTORY_SUBJECT, format!("no message is kept; {HISTORY} would say where"))],
        Some(HistoryPlace::Folder(path)) => vec![folder::check(&project.join(path))],
        Some(HistoryPlace::Container(container)) => {
            let source = settings.source_of(HISTORY).unwrap_or("the settings");
            let mut findings = Vec::from_iter(check_sas(container, source, now));
            findings.extend(match ContainerCheck::new(container) {
                Ok(check) => check.run().await,
                Err(error) => vec![Finding::problem(HISTORY_SUBJECT, error.to_string(), "run it again")],
            });
            findings
        }
    }
}

fn check_sas(container: &Container, source: &str, now: SystemTime) -> Option<Finding> {
    let ContainerAccess::Sas(query) = &container.access else { return None };
    let now = Timestamp::try_from(now).ok()?;
    let sas = Sas::parse(query.expose());
    Some(match sas.problem(now) {
        Some(problem) => Finding::problem(HISTORY, problem, sas::renew(&container.url, now, source)),
        None => Finding::ok(HISTORY, "its SAS allows all that the history needs"),
    })
}

/// The problem of a SAS in the value of a setting that cannot be used, and its fix; `None` if it shows none.
pub(super) fn sas_problem(address: &str, source: &str, now: SystemTime) -> Option<(String, String)> {
    let (url, now) = (address.parse::<Url>().ok()?, Timestamp::try_from(now).ok()?);
    let problem = Sas::parse(url.query()?).problem(now)?;
    Some((problem, sas::renew(&url, now, source)))
}

/// The account and the container in the address of a container in Azure, else what stands for them in commands.
fn names(url: &Url) -> (&str, &str) {
    let account = url.host_str().and_then(|host| host.strip_suffix(".blob.core.windows.net"));
    let container = url.path().trim_matches('/');
    let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match (account.filter(is_name), Some(container).filter(is_name)) {
        (Some(account), Some(container)) => (account, container),
        _ => ("ACCOUNT", "CONTAINER"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_an_account_in_azure() {
        let names = |text: &str| {
            let url = text.parse().unwrap();
            let (account, container) = names(&url);
            format!("{account}/{container}")
        };
        assert_eq!(names("https://chat.blob.core.windows.net/chat-history"), "chat/chat-history");
        assert_eq!(names("https://chat.blob.core.windows.net/chat-history/"), "chat/chat-history");
        for other in ["https://hush.example/chat", "http://127.0.0.1:1/hush/chat", "https://h.blob.core.windows.net/"] {
            assert_eq!(names(other), "ACCOUNT/CONTAINER", "{other}");
        }
    }
}
