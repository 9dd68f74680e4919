//! The composition root: reads the environment, finds out where we stand, and starts what belongs there.
//!
//! Behind the Functions host (it sets the port) that is the app alone, even if more is compiled in. Without a host it is what
//! `stack` says. Exit code 0 means that we were told to stop: the host takes it for "all is well" and never starts us again.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use azure_signalr::{ConnectionString, Hub};
use clap::Parser as _;
use jiff::Timestamp;
use serverless_chat::access_token::Desk;
use serverless_chat::app::{app, unconfigured};
use serverless_chat::bearer;
use serverless_chat::communication;
use serverless_chat::config::{self, Config, Env, Problem, Unusable};
use serverless_chat::identities::IdentityStore;
use serverless_chat::principal::{Policy, Trust};
use serverless_chat::shutdown;
use serverless_chat::trace::{self, Export};
use stack::Arguments;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing::{error, info};

#[cfg_attr(not(feature = "local"), path = "no_stack.rs")]
mod stack;

fn main() -> ExitCode {
    match Arguments::try_parse().map_err(Failure::Arguments).and_then(start) {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code())
        }
    }
}

fn start(arguments: Arguments) -> Result<ExitCode, Failure> {
    let env = Env::of_process();
    if arguments.logs() {
        trace::start(env.log_filter(), env.log_format());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::other)?;
    let config = Config::read(&env);
    let otlp = config.as_ref().ok().and_then(|config| config.otlp.as_ref());
    let export = Export::start(otlp, runtime.handle());
    let outcome = runtime.block_on(run(arguments, env, config, &export));
    export.end(shutdown::FAREWELL);
    // Whatever still waits for a name server has nobody to tell.
    runtime.shutdown_background();
    outcome
}

async fn run(
    arguments: Arguments,
    env: Env,
    config: Result<Config, Unusable>,
    export: &Export,
) -> Result<ExitCode, Failure> {
    match config {
        Ok(config) => match (config.host_port, &config.signalr) {
            (Some(port), Some(signalr)) => {
                arguments.none()?;
                let trust = if config.easy_auth { Trust::EasyAuth } else { Trust::Nobody };
                let desk = match (&config.communication, &config.tokens.container) {
                    (Some(resource), Some(container)) => {
                        let identities = IdentityStore::in_container(container, resource.endpoint());
                        let service = communication::client(resource).map_err(Failure::Other)?;
                        Some(desk(&config, service, identities.map_err(Failure::other)?))
                    }
                    _ => None,
                };
                let app = chat(&config, signalr, desk, trust, export)?;
                let grace =
                    if export.is_on() { shutdown::GRACE - shutdown::FAREWELL } else { shutdown::GRACE };
                behind_host(port, app, grace).await
            }
            _ => stack::run(arguments, env, Ok(config), export).await,
        },
        // The host starts a child that dies a few times, then gives up: the reason would be lost. So we stay, and say it.
        Err(Unusable { host_port: Some(port), route_prefix, problems }) => {
            for problem in &problems {
                error!("{problem}");
            }
            let app = unconfigured(problems.iter().map(|problem| problem.name), &route_prefix);
            behind_host(port, app, shutdown::GRACE).await
        }
        Err(unusable) => stack::run(arguments, env, Err(unusable), export).await,
    }
}

/// The app over the service at `signalr`. What an identity needs is asked for at once, but nobody waits for it here: the host wants
/// to see us listen.
fn chat(
    config: &Config,
    signalr: &ConnectionString,
    desk: Option<Desk>,
    trust: Trust,
    export: &Export,
) -> Result<Router, Failure> {
    let hub = Hub::new(signalr, &config.hub).map_err(Failure::other)?;
    hub.warm_up();
    let tokens = config.bearer.as_ref().map(bearer::validator).transpose().map_err(Failure::other)?;
    let policy = Policy { trust, tokens, allow_anonymous: config.allow_anonymous };
    Ok(app(hub, desk, policy, &config.route_prefix, export.clone()))
}

/// The desk for tokens of `service`, where identities are kept in `identities`.
fn desk(config: &Config, service: azure_communication::Client, identities: IdentityStore) -> Desk {
    Desk::new(service, identities, config.tokens.most.clone(), Timestamp::now)
}

/// Serves `app` where the host looks for it, until told to stop or left alone; calls under way then get `grace`.
async fn behind_host(port: u16, app: Router, grace: Duration) -> Result<ExitCode, Failure> {
    let (asked, orphaned) = (shutdown::asked(), shutdown::orphaned());
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let socket = socket.map_err(|error| Failure::bind(port, config::HOST_PORT, error))?;
    // Answers are small and final: waiting to fill a packet only delays them.
    let socket = socket.tap_io(|connection| drop(connection.set_nodelay(true)));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(socket, app).with_graceful_shutdown(async { drop(stopped.await) });
    let mut serving = std::pin::pin!(serving.into_future());
    info!("listening on 127.0.0.1:{port}");
    tokio::select! {
        ended = &mut serving => {
            return ended.and(Err(io::Error::other("the server ended by itself"))).map_err(Failure::other);
        }
        () = asked => info!("told to stop"),
        () = orphaned => info!("the host is gone; stopping"),
    }
    drop(stop);
    // What is not done by then has been given up by the host as well.
    let _ = tokio::time::timeout(grace, serving).await;
    Ok(ExitCode::SUCCESS)
}

/// Why we leave without being told to.
enum Failure {
    /// The command line is wrong, or asked for help only.
    Arguments(clap::Error),
    /// The environment cannot be used.
    Unusable(Vec<Problem>),
    /// Somebody else listens where we should: in words.
    PortTaken(String),
    /// All else.
    Other(Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// A port that cannot be had; `setting` is what changes it.
    fn bind(port: u16, setting: &str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                Self::PortTaken(format!("port {port} is taken; stop what listens there or change {setting}"))
            }
            _ => Self::other(error),
        }
    }

    fn other(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Other(error.into())
    }

    /// By the numbers of `sysexits.h`.
    fn code(&self) -> u8 {
        match self {
            Self::Arguments(told) if !told.use_stderr() => 0,
            Self::Arguments(_) => 64,
            Self::PortTaken(_) => 69,
            Self::Other(_) => 70,
            Self::Unusable(_) => 78,
        }
    }

    fn print(&self) {
        if let Self::Arguments(told) = self {
            // Where nobody can be told, nothing is lost.
            let _ = told.print();
        } else {
            #[expect(clippy::print_stderr, reason = "the last words of the process")]
            {
                eprintln!("handler: {self}");
            }
        }
    }
}

impl From<Unusable> for Failure {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable.problems)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(told) => told.fmt(f),
            Self::Unusable(problems) => {
                f.write_str("the settings cannot be used")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
            Self::PortTaken(words) => f.write_str(words),
            Self::Other(error) => {
                error.fmt(f)?;
                let mut cause = error.source();
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_15_whatever_ends_us_unasked_is_not_taken_for_a_wish() {
        let failures = [
            Failure::Unusable(Vec::new()),
            Failure::bind(7071, "--api-port", io::ErrorKind::AddrInUse.into()),
            Failure::bind(7071, "--api-port", io::ErrorKind::PermissionDenied.into()),
            Failure::other(io::Error::other("the server ended by itself")),
            Failure::Arguments(clap::Error::new(clap::error::ErrorKind::UnknownArgument)),
        ];
        assert_eq!(failures.map(|failure| failure.code()), [78, 69, 70, 70, 64]);
    }
}
