//! `chat` without a command: starts the local stack around the handler's app.

use std::path::Path;
use std::process::ExitCode;

use axum::http::uri::Authority;
use azure_signalr::ConnectionString;
use clap::{Args, value_parser};
use jiff::Timestamp;
use serverless_chat::access_token::TokenService;
use serverless_chat::app;
use serverless_chat::auth::Trust;
use serverless_chat::communication;
use serverless_chat::config::{Communication, Config};
use serverless_chat::exit::ExitError;
use serverless_chat::history;
use serverless_chat::identities::IdentityStore;
use serverless_chat::shutdown;
use serverless_chat::telemetry::Export;
use url::{Position, Url};

use crate::anonymous_tokens;
use crate::easy_auth::SESSION_LIFETIME_SECONDS;
use crate::functions_host::Function;
use crate::local_stack::{self, Service, announce};

/// The folder of identities if no container is configured.
const IDENTITIES_FOLDER: &str = ".chat/identities";

/// The folder of the built page, relative to the project.
const PAGE_FOLDER: &str = "content/dist";

#[derive(Args)]
pub(crate) struct LocalArgs {
    /// Port of the page; 0 is any free port
    #[arg(long, value_name = "PORT", default_value_t = 5500)]
    page_port: u16,
    /// Port of the functions and of sign-in; 0 is any free port
    #[arg(long, value_name = "PORT", default_value_t = 7071)]
    api_port: u16,
    /// Port of the SignalR service; 0 is any free port
    #[arg(long, value_name = "PORT", default_value_t = 8888)]
    signalr_port: u16,
    /// Port of Communication Services, with identities and tokens for calls; 0 is any free port
    #[arg(long, value_name = "PORT", default_value_t = 8889)]
    communication_port: u16,
    /// Origin of another development server whose pages may call the functions, like http://localhost:3000; repeatable
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    allow_origin: Vec<String>,
    /// Address of a page to return to after sign-in, like http://localhost:3000/chat/, for a page in a folder; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = parse_redirect)]
    allow_redirect: Vec<String>,
    /// Allowed host name beside localhost, for a tunnel or a dev container; repeatable
    #[arg(long, value_name = "NAME", value_parser = parse_host)]
    host: Vec<String>,
    /// How long a sign-in lasts before the page has to renew it, in seconds
    ///
    /// To try the renewal. App Service has the default, eight hours; an expired session can be renewed for 72 hours.
    #[arg(long, value_name = "SECONDS", default_value_t = SESSION_LIFETIME_SECONDS,
        value_parser = value_parser!(u64).range(1..=SESSION_LIFETIME_SECONDS))]
    session_seconds: u64,
    /// Answer every GET request for an access token for calls without sign-in: each time for a new identity
    ///
    /// To try the tutorial's clients on this machine. Azure has no such option.
    #[arg(long)]
    anonymous_tokens: bool,
}

/// Serves the local stack until a stop signal. The app uses embedded services by connection strings, like any other.
pub(crate) async fn run_local(arguments: LocalArgs, config: &Config, export: &Export) -> Result<ExitCode, ExitError> {
    let embedded = |is_external, port| if is_external { Service::External } else { Service::Embedded { port } };
    let mut functions = Function::of_repository();
    if arguments.anonymous_tokens {
        anonymous_tokens::allow_get(&mut functions);
    }
    let stack = local_stack::bind(local_stack::Options {
        page_port: arguments.page_port,
        api_port: arguments.api_port,
        signalr: embedded(config.signalr.is_some(), arguments.signalr_port),
        communication: embedded(config.communication.is_some(), arguments.communication_port),
        allowed_origins: arguments.allow_origin,
        allowed_redirects: arguments.allow_redirect,
        allowed_hosts: arguments.host,
        session_seconds: arguments.session_seconds,
        page_folder: PAGE_FOLDER.into(),
        functions,
    })
    .await?;

    let embedded = stack.connection_string().map(str::parse::<ConnectionString>).transpose();
    let embedded = embedded.map_err(ExitError::other)?;
    let signalr = embedded.as_ref().or(config.signalr.as_ref());
    let signalr = signalr.expect("a service is embedded or configured");
    let embedded = stack.communication_connection_string().map(str::parse).transpose();
    let embedded = embedded.map_err(ExitError::other)?.map(Communication::Key);
    let resource = embedded.as_ref().or(config.communication.as_ref());
    let resource = resource.expect("Communication Services are embedded or configured");

    let service = communication::client(resource).map_err(ExitError::Other)?;
    let identities = identities(config, resource)?;
    let tokens = TokenService::new(service.clone(), identities, config.tokens.max_grant.clone(), Timestamp::now);
    // Easy Auth removes the caller's own principal headers before it sets its own.
    let history = history::open(config.history.as_ref()).await?;
    let app = app::from_config(config, signalr, Some(tokens), history, Trust::EasyAuth, export);
    let mut app = app.map_err(ExitError::Other)?;
    if arguments.anonymous_tokens {
        app = anonymous_tokens::with_anonymous_tokens(app, config, service);
    }
    let stop = shutdown::signal();
    announce(&stack, &format!("open {} in two tabs", stack.page()));
    stack.serve(app, async { _ = stop.await }).await.map_err(ExitError::other)?;
    Ok(ExitCode::SUCCESS)
}

fn identities(config: &Config, resource: &Communication) -> Result<IdentityStore, ExitError> {
    let resource = resource.endpoint();
    match &config.tokens.container {
        Some(container) => IdentityStore::in_container(container, resource).map_err(ExitError::other),
        None => {
            let folder = std::path::absolute(Path::new(IDENTITIES_FOLDER)).map_err(ExitError::other)?;
            Ok(IdentityStore::in_folder(&folder, resource))
        }
    }
}

/// Parses an origin, normalized as browsers send it.
fn parse_origin(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let origin = url.map(|url| (url.origin().ascii_serialization(), url));
    origin
        .filter(|(origin, url)| url.as_str().strip_suffix('/') == Some(origin))
        .map(|(origin, _)| origin)
        .ok_or_else(|| "must be an origin, like http://localhost:3000, without a path".to_owned())
}

/// Checks a redirect address, which is compared as it is written: without user, query and fragment.
fn parse_redirect(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.filter(|url| url.as_str() == text && url[Position::BeforeUsername..Position::BeforeHost].is_empty())
        .filter(|url| url.query().is_none() && url.fragment().is_none())
        .map(|_| text.to_owned())
        .ok_or_else(|| {
            "must be the address of a page, like http://localhost:3000/chat/, without query and #".to_owned()
        })
}

/// Parses a host name without a port, in lower case.
fn parse_host(text: &str) -> Result<String, String> {
    let name = text.parse::<Authority>().ok().filter(|name| name.host() == text && !text.contains('*'));
    name.map(|_| text.to_ascii_lowercase())
        .ok_or_else(|| "must be a host name, like chat.example, without a port".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowed_origin_is_a_scheme_a_host_and_a_port() {
        for (text, origin) in [
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://localhost:3000/", "http://localhost:3000"),
            ("HTTPS://Dev.Example:443", "https://dev.example"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(parse_origin(text).as_deref(), Ok(origin), "{text}");
        }
        for text in [
            "", "*", "null", "localhost:3000", "http://localhost:3000/app", "http://a?b", "http://a#b", "http://u@a",
            "ftp://a", "blob:http://a",
        ] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_allowed_redirect_is_an_address_as_browsers_write_it() {
        for text in ["http://localhost:3000/chat/", "http://localhost:3000/", "https://dev.example/a/b"] {
            assert_eq!(parse_redirect(text).as_deref(), Ok(text));
        }
        for text in [
            "", "*", "/chat/", "localhost:3000/chat/", "http://localhost:3000", "http://a/?b", "http://a/#b",
            "http://u@a/", "http://u:p@a/", "http://A/", "http://a/b/../", "ftp://a/", "javascript:alert(1)",
            "http://localhost:3000/chat ",
        ] {
            assert!(parse_redirect(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_allowed_host_is_a_name_without_a_port() {
        for (text, host) in [("Chat.Example", "chat.example"), ("10.0.0.1", "10.0.0.1"), ("[fe80::1]", "[fe80::1]")] {
            assert_eq!(parse_host(text).as_deref(), Ok(host), "{text}");
        }
        for text in ["", "*", "*.example", "chat.example:5500", "http://chat.example", "a@b", "a/b", "a b"] {
            assert!(parse_host(text).is_err(), "{text}");
        }
    }
}
