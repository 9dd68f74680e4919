//! `handler`, the custom handler of the Functions app: reads the settings, listens where the Functions host says, serves, stops.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use http_server::Grace;
use jiff::Timestamp;
use serverless_chat::access_token::TokenService;
use serverless_chat::app::{self, unconfigured};
use serverless_chat::auth::Trust;
use serverless_chat::communication;
use serverless_chat::config::{Config, ConfigError, ConfigErrors, Env, HOST_PORT};
use serverless_chat::exit::{ExitError, stop_code};
use serverless_chat::history::{self, History};
use serverless_chat::identities::IdentityStore;
use serverless_chat::memory;
use serverless_chat::shutdown::{self, StopReason};
use serverless_chat::telemetry::{self, Export};
use tokio::net::TcpListener;
use tracing::{error, info};

/// What a person reads who starts the program by hand.
const NOT_BEHIND_A_HOST: &str = "FUNCTIONS_CUSTOMHANDLER_PORT is not set: the Azure Functions host starts this program; to run the chat on this machine, \
     run `cargo run --bin chat`";

/// For the body of a request, which has at most 64 KiB. While it is awaited it counts as a call, so that with this and the rates of messages
/// guests with slow bodies cannot use up the calls at a time for long.
const BODY_TIMEOUT: Duration = Duration::from_secs(8);

fn main() -> ExitCode {
    match start() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print("handler");
            ExitCode::from(error.code())
        }
    }
}

fn start() -> Result<u8, ExitError> {
    let env = Env::of_process();
    if !env.is_behind_host() {
        return Err(ExitError::Usage(NOT_BEHIND_A_HOST.to_owned()));
    }
    if std::env::args_os().len() > 1 {
        return Err(ExitError::Usage(format!("takes no arguments behind a Functions host ({HOST_PORT} is set)")));
    }
    let _flush = telemetry::start(env.log_filter(), env.log_format());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ExitError::other)?;
    let config = Config::read(&env);
    let otlp = config.as_ref().ok().and_then(|config| config.otlp.as_ref());
    let export = Export::start(otlp, runtime.handle());
    let outcome = runtime.block_on(run(config, &export));
    export.end(shutdown::EXPORT_FLUSH_TIMEOUT);
    // A name lookup under way must not delay the exit.
    runtime.shutdown_background();
    outcome.map(|reason| stop_code(reason, env.is_watched_by_host()))
}

async fn run(config: Result<Config, ConfigErrors>, export: &Export) -> Result<StopReason, ExitError> {
    match config {
        Ok(config) => {
            let port = config.host_port.expect("`start` has seen the variable, and `read` its value");
            let app = match history::open(config.history.as_ref()).await {
                Ok(history) => configured(&config, history, export)?,
                Err(problem) => unusable(&[problem], &config.route_prefix),
            };
            serve(port, app).await
        }
        Err(ConfigErrors { host_port: Some(port), route_prefix, problems }) => {
            serve(port, unusable(&problems, &route_prefix)).await
        }
        Err(unusable) => Err(unusable.into()),
    }
}

/// The app while there are problems with the settings.
///
/// The host gives up on a process that exits a few times, and the reason is lost. So it stays, and every response names them.
fn unusable(problems: &[ConfigError], route_prefix: &str) -> Router {
    for problem in problems {
        error!("{problem}");
    }
    unconfigured(problems.iter().map(|problem| problem.name), route_prefix)
}

fn configured(config: &Config, history: Option<History>, export: &Export) -> Result<Router, ExitError> {
    let signalr = config.signalr.as_ref().expect("behind a host a config has one");
    let trust = if config.easy_auth { Trust::EasyAuth } else { Trust::Untrusted };
    let tokens = match (&config.communication, &config.tokens.container) {
        (Some(resource), Some(container)) => {
            let identities = IdentityStore::in_container(container, resource.endpoint()).map_err(ExitError::other)?;
            let service = communication::client(resource).map_err(ExitError::Other)?;
            Some(TokenService::new(service, identities, config.tokens.max_grant.clone(), Timestamp::now))
        }
        _ => None,
    };
    app::from_config(config, signalr, tokens, history, trust, export).map_err(ExitError::Other)
}

/// Serves `app` on `port` until the process is signaled to stop or its parent exits; requests under way then get the time of that reason.
async fn serve(port: u16, app: Router) -> Result<StopReason, ExitError> {
    let (signaled, orphaned) = (shutdown::signal(), shutdown::parent_exited());
    let mut orphaned = std::pin::pin!(orphaned);
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let socket = socket.map_err(|error| ExitError::bind(port, HOST_PORT, error))?;
    info!("listening on 127.0.0.1:{port}");
    let mut stopped = None;
    let stop = async {
        let reason = tokio::select! {
            reason = signaled => reason,
            reason = &mut orphaned => reason,
        };
        info!("{}", if reason == StopReason::ParentExited { "the host is gone; stopping" } else { "told to stop" });
        stopped = Some(reason);
        Grace(shutdown::grace_ended(reason, orphaned))
    };
    let limits = http_server::Limits { body_timeout: BODY_TIMEOUT, ..Default::default() };
    let serving = http_server::serve(vec![socket], move |_| app.clone(), limits, stop);
    tokio::select! {
        ended = serving => ended.map_err(ExitError::other)?,
        never = memory::give_back_regularly() => match never {},
    }
    Ok(stopped.expect("the server ends by `stop` alone"))
}
