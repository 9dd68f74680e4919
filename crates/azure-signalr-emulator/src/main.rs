//! The binary `azure-signalr-emulator`: Azure SignalR Service in serverless mode on this machine, until Ctrl-C.

use std::env;
use std::process::ExitCode;

use azure_signalr_emulator::AccessKey;
use azure_signalr_emulator::cli::{self, EmulatorArgs};
use clap::Parser;
use log_writer::FlushOnDrop;
use tracing::{Level, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The setting from which the access key is taken, as the Azure Functions bindings name it.
const CONNECTION_STRING: &str = "AzureSignalRConnectionString";

/// The values of `AuthType` that mean an identity of Microsoft Entra ID instead of a key.
const IDENTITIES: [&str; 4] = ["azure", "azure.msi", "azure.app", "aad"];

/// `EX_CONFIG` of `sysexits.h`: a setting cannot be used.
const EXIT_CONFIG: u8 = 78;

/// `EX_SOFTWARE` of `sysexits.h`: the runtime cannot be started.
const EXIT_SOFTWARE: u8 = 70;

/// Azure SignalR Service in serverless mode, on this machine.
///
/// It serves clients and REST callers as Azure does, is as strict, and says why it refuses. Ctrl-C stops it.
#[derive(Parser)]
#[command(name = "azure-signalr-emulator", version)]
struct Arguments {
    #[command(flatten)]
    emulator: EmulatorArgs,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    let _flush = start_log(env::var("RUST_LOG").unwrap_or_default().trim());
    let key = match access_key(env::var(CONNECTION_STRING).unwrap_or_default().trim()) {
        Ok(key) => key,
        Err(reason) => return fail(EXIT_CONFIG, &format!("{CONNECTION_STRING} {reason}")),
    };
    let runtime = match cli::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_SOFTWARE, &error.to_string()),
    };
    let outcome = runtime.block_on(async { cli::run(arguments.emulator, key, shutdown_signal()).await });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.exit_code(), &error.to_string()),
    }
}

/// Says why the process ends, on standard error.
fn fail(code: u8, message: &str) -> ExitCode {
    log_writer::stderr().write_line(&format!("azure-signalr-emulator: {message}"));
    ExitCode::from(code)
}

/// Logs what passes `filter`, in the form of `RUST_LOG`; `info` and above where it is empty or cannot be read. Nothing waits for the output;
/// the returned value writes the last lines.
fn start_log(filter: &str) -> FlushOnDrop {
    log_writer::write_panics_to_stderr();
    let info = Targets::new().with_default(Level::INFO);
    let (targets, error) = match filter.parse::<Targets>() {
        Ok(targets) if !filter.is_empty() => (targets, None),
        Ok(_) => (info, None),
        Err(error) => (info, Some(error)),
    };
    let lines = layer().with_ansi(false).with_target(false).with_writer(log_writer::stdout);
    registry().with(lines).with(targets).init();
    if let Some(error) = error {
        warn!("RUST_LOG cannot be read ({error}); logging `info` and above");
    }
    FlushOnDrop
}

/// The access key of a connection string, `None` where there is no string. Errors never repeat the string.
fn access_key(connection_string: &str) -> Result<Option<AccessKey>, &'static str> {
    if connection_string.is_empty() {
        return Ok(None);
    }
    let values = |name: &str| {
        let properties = connection_string.split(';').filter_map(|property| property.split_once('='));
        let named =
            properties.filter(|(other, value)| other.trim().eq_ignore_ascii_case(name) && !value.trim().is_empty());
        named.map(|(_, value)| value.trim()).collect::<Vec<_>>()
    };
    if values("AuthType").iter().any(|value| IDENTITIES.iter().any(|name| name.eq_ignore_ascii_case(value))) {
        return Err("names an identity, and the emulator needs a key: unset it, or give it an AccessKey only");
    }
    let key = match values("AccessKey")[..] {
        [key] => key,
        [] => return Err("has no AccessKey, and the emulator needs one: unset it, or add AccessKey=…;"),
        _ => return Err("has more than one AccessKey: keep one"),
    };
    AccessKey::new(key).map(Some).map_err(|_| "has an AccessKey that cannot be used: copy it again")
}

/// Completes on Ctrl-C or SIGTERM. On Unix both are caught from this call on, which needs a runtime.
fn shutdown_signal() -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    };
    async move {
        #[cfg(unix)]
        {
            let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
                return std::future::pending().await;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_access_key_is_found_in_any_letter_case() {
        assert_eq!(access_key("").unwrap(), None);
        for text in ["Endpoint=http://localhost;Port=8888;AccessKey=a==;Version=1.0;", "accesskey=a==;endpoint=x"] {
            assert_eq!(access_key(text).unwrap(), Some(AccessKey::new("a==").unwrap()), "{text}");
        }
    }

    #[test]
    fn a_string_without_exactly_one_key_is_refused() {
        let identity = "Endpoint=https://h;AuthType=azure;Version=1.0;";
        let both = "Endpoint=https://h;AuthType=azure.msi;AccessKey=hush;";
        for text in [identity, both, "hush", "Endpoint=https://h;AccessKey=;", "AccessKey=hush;AccessKey=hush"] {
            let reason = access_key(text).unwrap_err();
            assert!(reason.contains("AccessKey") && !reason.contains("hush"), "{reason}");
        }
    }
}
