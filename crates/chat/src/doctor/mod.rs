//! `chat doctor`: checks a project, its settings and what it connects to, and prints each problem with a fix.
//!
//! It changes nothing and sends no message to a person; in the folder of the history it creates a file and removes it at once. Most checks
//! are in two parts: one fetches, one evaluates what was fetched without I/O. No value of a setting, no token and no text of a response goes into a finding.
//!
//! ```text
//! project    host.json, function folders, the handler's file
//! settings   environment, .env file, local.settings.json ─▶ Config
//! service    health and clock ─▶ key or identity ─▶ connecting as a page does; CORS
//! page       index.html, config.json ─▶ the provider
//! history    SAS ─▶ privacy, existence and rights, what is kept of deleted messages; or a folder that can be written
//! functions  negotiate ─▶ CORS, /.auth/me, sign-in, user ids, a forged name
//! ```

mod connection;
mod deployed_api;
mod deployed_page;
mod executable;
mod files;
mod function_folders;
mod history;
mod host_json;
mod http;
mod local_settings;
mod options;
mod report;
mod service;
mod settings;
mod sign_in;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use azure_http::HttpError;
use serverless_chat::config::{Env, ROUTE_PREFIX};
use serverless_chat::exit::ExitError;

pub(crate) use self::options::DoctorArgs;
use self::options::Options;
use self::report::{Finding, Report, Section};

/// The exit code of `sysexits.h` for a wrong configuration.
const PROBLEM_FOUND: u8 = 78;

/// The provider where neither the options nor the page name one.
const DEFAULT_PROVIDER: &str = "aad";

/// Runs all checks, prints the report and returns the exit code: 0 without problems, else 78.
pub(crate) async fn run(arguments: DoctorArgs, env: Env) -> Result<ExitCode, ExitError> {
    let options = Options::try_from(arguments)?;
    let report = check(&options, env, SystemTime::now).await.map_err(ExitError::other)?;
    // Output that cannot be written is ignored: the exit code remains.
    let _ = writeln!(io::stdout(), "{report}");
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(PROBLEM_FOUND) })
}

/// Runs all checks, with `process` as the environment and `now` as this machine's clock.
async fn check(options: &Options, process: Env, now: fn() -> SystemTime) -> Result<Report, HttpError> {
    let settings = settings::read(options, process);
    let project = check_project(&options.folder, &settings.env).await;
    let http = http::client(settings.config.as_ref().and_then(|config| config.signalr.as_ref()))?;
    let deployed = async {
        let page = deployed_page::check(&http, options).await;
        let provider = options.provider.as_deref().or(page.provider.as_deref()).unwrap_or(DEFAULT_PROVIDER);
        (deployed_api::check(&http, options, provider, &settings.env).await, page.findings)
    };
    let (service, history, (functions, page)) = tokio::join!(
        service::check(&http, &settings, options.page.as_ref(), now),
        history::check(&settings, &options.folder, now()),
        deployed
    );
    let section = |title, findings: Vec<Finding>| Section { title, findings };
    let sections = vec![
        section("project", project),
        section("settings", settings.findings),
        section("service", service),
        section("history", history),
        section("functions", functions),
        section("page", page),
    ];
    Ok(Report { sections })
}

/// Checks the function app in `folder`: `host.json`, the function folders and the handler's file.
async fn check_project(folder: &Path, env: &Env) -> Vec<Finding> {
    let Ok(host) = files::read_text(&folder.join(host_json::FILE)) else {
        return vec![host_json::missing(&folder.display().to_string())];
    };
    let mut findings = host_json::check(&host, env.get(ROUTE_PREFIX));
    findings.extend(function_folders::check(&function_folders::read(folder)).await);
    let name = env.get(host_json::EXECUTABLE_SETTING).map(str::to_owned);
    let name = name.or_else(|| host_json::executable_path(&host));
    findings.extend(name.map(|name| executable::check(folder, &name)));
    findings
}
