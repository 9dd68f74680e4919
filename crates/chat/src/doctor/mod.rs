//! `chat doctor`: looks at a project, its settings and what it can reach, and says what is wrong and what mends it.
//!
//! It changes nothing: no file is written, nobody gets a message. Every check is two halves, one that fetches and one that
//! judges what was fetched; the judges are pure. No value of a setting, no token and no text of an answer goes into a finding.
//!
//! ```text
//! project    host.json, function folders, the handler's file
//! settings   environment, .env file, local.settings.json ─▶ Config
//! service    health and clock ─▶ key or identity ─▶ connecting as a page does; CORS
//! page       index.html, config.json ─▶ the provider
//! functions  negotiate ─▶ CORS, /.auth/me, sign-in, a forged name
//! ```

mod api;
mod clock;
mod connection;
mod cors;
mod env_file;
mod executable;
mod finding;
mod functions;
mod host_json;
mod http;
mod json;
mod local_settings;
mod negotiation;
mod page;
mod project;
mod service;
mod settings;
mod sign_in;
mod site;

use std::path::PathBuf;
use std::time::SystemTime;

use self::finding::{Finding, Section};
use serverless_chat::config::Env;

pub(crate) use self::finding::Report;
pub(crate) use self::site::Site;

/// The provider of the tutorial, where nobody names another.
const DEFAULT_PROVIDER: &str = "aad";

/// What to look at.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The folder with `host.json`.
    pub(crate) folder: PathBuf,
    /// A file in the form of `local.settings.json`; `None` is that one in the folder, if it is there.
    pub(crate) settings: Option<PathBuf>,
    /// A file in the form of `.env`.
    pub(crate) env_file: Option<PathBuf>,
    /// Where the functions are; `None` leaves them out.
    pub(crate) api: Option<Site>,
    /// Where the page is; `None` leaves it out.
    pub(crate) page: Option<Site>,
    /// Who signs people in, as in `/.auth/login/{provider}`; `None` is whoever the page names.
    pub(crate) provider: Option<String>,
}

/// Looks at everything `options` name, with `process` as the environment; `now` is this machine's clock.
///
/// # Errors
/// When no HTTP client can be built here.
pub(crate) async fn examine(
    options: &Options,
    process: Env,
    now: fn() -> SystemTime,
) -> Result<Report, azure_http::HttpError> {
    let settings = settings::look(options, process);
    let project = project::look(&options.folder, &settings.env).await;
    let http = http::client(settings.config.as_ref().and_then(|config| config.signalr.as_ref()))?;
    let deployed = async {
        let page = page::look(&http, options).await;
        let provider = options.provider.as_deref().or(page.provider.as_deref()).unwrap_or(DEFAULT_PROVIDER);
        (api::look(&http, options, provider).await, page.findings)
    };
    let (service, (functions, page)) =
        tokio::join!(service::look(&http, &settings, options.page.as_ref(), now), deployed);
    let section = |title, findings: Vec<Finding>| Section { title, findings };
    let sections = vec![
        section("project", project),
        section("settings", settings.findings),
        section("service", service),
        section("functions", functions),
        section("page", page),
    ];
    Ok(Report { sections })
}
