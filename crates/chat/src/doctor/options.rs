//! Command-line options of `chat doctor`, and the type of the site addresses among them.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use reqwest::Url;
use serverless_chat::exit::ExitError;

#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// The folder with host.json: the project, or an unpacked package
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Settings in the form of local.settings.json [default: that file in the folder]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Settings in the form of an .env file: NAME=value in each line
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The address of the functions, like `https://APP.azurewebsites.net`
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// The address of the page, like `https://ACCOUNT.z6.web.core.windows.net`
    #[arg(long, value_name = "URL")]
    page: Option<String>,
    /// The identity provider, as in /.auth/login/PROVIDER [default: that of the page, else aad]
    #[arg(long)]
    provider: Option<String>,
}

/// What the doctor checks.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// The folder with `host.json`.
    pub(super) folder: PathBuf,
    /// A settings file; `None` is `local.settings.json` in the folder, if it exists.
    pub(super) settings: Option<PathBuf>,
    pub(super) env_file: Option<PathBuf>,
    /// The deployed functions; `None` skips them.
    pub(super) api: Option<Site>,
    /// The deployed page; `None` skips it.
    pub(super) page: Option<Site>,
    /// The identity provider; `None` is the one that the page names.
    pub(super) provider: Option<String>,
}

impl TryFrom<DoctorArgs> for Options {
    type Error = ExitError;

    fn try_from(arguments: DoctorArgs) -> Result<Self, ExitError> {
        Ok(Self {
            api: parse_site("--api", arguments.api)?,
            page: parse_site("--page", arguments.page)?,
            folder: arguments.folder,
            settings: arguments.settings,
            env_file: arguments.env_file,
            provider: arguments.provider,
        })
    }
}

/// Parses an address. It may hold a password, so the error does not repeat it.
fn parse_site(option: &str, text: Option<String>) -> Result<Option<Site>, ExitError> {
    let Some(text) = text else { return Ok(None) };
    let error = || ExitError::Usage(format!("{option} takes a web address, like https://chat.example"));
    Site::parse(&text).map(Some).ok_or_else(error)
}

/// A web address without user name, password, query and fragment, any of which may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site(Url);

impl Site {
    /// Parses `text` and removes the parts that may be secret.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut url = Url::parse(text.trim()).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        is_web.then_some(())?;
        // Both fail only for addresses without a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Some(Self(url))
    }

    /// The address with path `segments` appended. An empty last segment makes a trailing slash.
    pub(super) fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut().expect("web addresses have paths").pop_if_empty().extend(segments);
        url
    }

    /// The origin, as browsers send it in `Origin`.
    pub(super) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether it is on this machine.
    pub(super) fn is_local(&self) -> bool {
        azure_http::is_loopback(&self.0)
    }

    /// Whether requests leave this machine without TLS.
    pub(super) fn is_unencrypted(&self) -> bool {
        self.0.scheme() == "http" && !self.is_local()
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_parts_of_an_address_are_removed() {
        let site = Site::parse(" https://hush:hush@chat.example:8443/p/?code=hush#token=hush").unwrap();
        assert_eq!(site.to_string(), "https://chat.example:8443/p");
        assert_eq!(site.origin(), "https://chat.example:8443");
        assert_eq!(site.join(&["api", "negotiate"]).as_str(), "https://chat.example:8443/p/api/negotiate");
        assert!(!format!("{site:?}").contains("hush"));
    }

    #[test]
    fn a_trailing_slash_does_not_matter() {
        assert_eq!(Site::parse("http://localhost:5500/"), Site::parse("http://localhost:5500"));
        assert_eq!(Site::parse("http://localhost:5500/").unwrap().to_string(), "http://localhost:5500");
    }

    #[test]
    fn other_text_is_not_an_address() {
        for text in ["", "chat.example", "ftp://chat.example", "file:///etc/passwd", "https://"] {
            assert_eq!(Site::parse(text), None, "{text}");
        }
    }

    #[test]
    fn http_is_unencrypted_only_beyond_this_machine() {
        let unencrypted = ["http://localhost:1", "http://[::1]:1", "https://chat.example", "http://chat.example"];
        assert_eq!(unencrypted.map(|text| Site::parse(text).unwrap().is_unencrypted()), [false, false, false, true]);
    }
}
