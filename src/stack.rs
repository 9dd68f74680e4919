//! Where there is no host: the whole chat on this machine, the SignalR service alone, or the doctor.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use azure_signalr::ConnectionString;
use clap::{Args, Parser, Subcommand};
use serverless_chat::communication;
use serverless_chat::config::{Communication, Config, Env, HOST_PORT, Unusable};
use serverless_chat::doctor::{self, Site};
use serverless_chat::identities::IdentityStore;
use serverless_chat::local::{self, Service};
use serverless_chat::principal::Trust;
use serverless_chat::shutdown;
use serverless_chat::trace::Export;

use crate::{Failure, chat, desk};

mod emulator;
mod tutorial;

/// A real-time chat with no server of its own.
///
/// Behind the Azure Functions host, which sets FUNCTIONS_CUSTOMHANDLER_PORT, this serves /api/negotiate and /api/messages. Without a
/// host it shows the whole chat on this machine.
#[derive(Parser)]
#[command(name = "handler", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    ports: Ports,
    /// Give tokens for calls to anybody who asks with GET, as the tutorial does: each time to a new identity
    ///
    /// To try the tutorial's own clients on this machine. There is no such thing on Azure.
    #[arg(long)]
    anonymous_tokens: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the SignalR service alone, for `func start` or for a project in any language
    ///
    /// It speaks to clients and to REST callers as Azure does, is as strict, and says why it refuses.
    Emulator(emulator::Alone),
    /// Look at project, settings and what is deployed; say what is wrong and what mends it
    ///
    /// Settings come from the environment, over --env-file, over local.settings.json. It changes nothing, and prints no value of a
    /// setting. Exit code 0: all is well; 78: something is wrong.
    Doctor(Patient),
}

#[derive(Args)]
struct Patient {
    /// The folder with host.json: the project, or a package unpacked
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Settings in the form of local.settings.json [default: that file in the folder]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Settings in the form of an .env file: NAME=value in each line
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Where the functions are, like `https://APP.azurewebsites.net`
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// Where the page is, like `https://ACCOUNT.z6.web.core.windows.net`
    #[arg(long, value_name = "URL")]
    page: Option<String>,
    /// Who signs people in, as in /.auth/login/PROVIDER [default: whom the page names, else aad]
    #[arg(long)]
    provider: Option<String>,
}

#[derive(Args)]
struct Ports {
    /// Where the page is; 0 is any free port [default: 5500]
    #[arg(long, value_name = "PORT")]
    page_port: Option<u16>,
    /// Where the functions and sign-in are; 0 is any free port [default: 7071]
    #[arg(long, value_name = "PORT")]
    api_port: Option<u16>,
    /// Where the SignalR service is; 0 is any free port [default: 8888]
    #[arg(long, value_name = "PORT")]
    signalr_port: Option<u16>,
    /// Where the identities for calls are; 0 is any free port [default: 8889]
    #[arg(long, value_name = "PORT")]
    communication_port: Option<u16>,
}

impl Arguments {
    /// Whether log lines belong on standard output. The doctor's report stands there alone.
    pub(crate) fn logs(&self) -> bool {
        !matches!(self.command, Some(Command::Doctor(_)))
    }

    /// Behind a host nothing of this is there, even though it is compiled in.
    pub(crate) fn none(&self) -> Result<(), Failure> {
        let Ports { page_port, api_port, signalr_port, communication_port } = self.ports;
        let ports = [page_port, api_port, signalr_port, communication_port];
        if self.command.is_some() || self.anonymous_tokens || ports.iter().any(Option::is_some) {
            let words =
                format!("there are no commands or options behind a Functions host ({HOST_PORT} is set)\n");
            return Err(Failure::Arguments(clap::Error::raw(
                clap::error::ErrorKind::ArgumentConflict,
                words,
            )));
        }
        Ok(())
    }
}

/// Runs what was asked for until told to stop. Only the doctor has a use for settings that cannot be used.
pub(crate) async fn run(
    arguments: Arguments,
    env: Env,
    config: Result<Config, Unusable>,
    export: &Export,
) -> Result<ExitCode, Failure> {
    match arguments.command {
        Some(Command::Doctor(patient)) => return examine(patient, env).await,
        Some(Command::Emulator(alone)) => emulator::run(alone, config?.signalr.as_ref()).await?,
        None => everything(arguments.ports, arguments.anonymous_tokens, &config?, export).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What `sysexits.h` says of a configuration that is wrong, for what the doctor finds.
const UNWELL: u8 = 78;

/// Prints what the doctor finds.
async fn examine(patient: Patient, env: Env) -> Result<ExitCode, Failure> {
    let options = doctor::Options {
        api: site("--api", patient.api)?,
        page: site("--page", patient.page)?,
        folder: patient.folder,
        settings: patient.settings,
        env_file: patient.env_file,
        provider: patient.provider,
    };
    let report = doctor::examine(&options, env, SystemTime::now).await.map_err(Failure::other)?;
    // Nobody may be listening to us; then the exit code says it.
    let _ = writeln!(io::stdout(), "{report}");
    Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::from(UNWELL) })
}

/// An address from the command line. It may hold a password, so a wrong one is not repeated.
fn site(option: &str, text: Option<String>) -> Result<Option<Site>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let words = format!("{option} takes a web address, like https://chat.example\n");
    let error = || Failure::Arguments(clap::Error::raw(clap::error::ErrorKind::ValueValidation, words));
    Site::parse(&text).map(Some).ok_or_else(error)
}

/// The whole chat. The app meets the embedded services as it would meet any other: by connection strings.
async fn everything(
    ports: Ports,
    anonymous_tokens: bool,
    config: &Config,
    export: &Export,
) -> Result<(), Failure> {
    let mut options = local::Options::default();
    options.page_port = ports.page_port.unwrap_or(options.page_port);
    options.api_port = ports.api_port.unwrap_or(options.api_port);
    match (&config.signalr, ports.signalr_port) {
        (Some(_), _) => options.service = Service::Elsewhere,
        (None, Some(port)) => options.service = Service::Embedded { port },
        (None, None) => {}
    }
    match (&config.communication, ports.communication_port) {
        (Some(_), _) => options.communication = Service::Elsewhere,
        (None, Some(port)) => options.communication = Service::Embedded { port },
        (None, None) => {}
    }
    if anonymous_tokens {
        tutorial::forward(&mut options.functions);
    }
    let stack = local::bind(options).await?;
    let embedded = stack.connection_string().map(str::parse::<ConnectionString>).transpose();
    let embedded = embedded.map_err(Failure::other)?;
    let signalr = embedded.as_ref().or(config.signalr.as_ref());
    let signalr = signalr.expect("the service is embedded where none is configured");
    let embedded = stack.communication_string().map(str::parse).transpose();
    let embedded = embedded.map_err(Failure::other)?.map(Communication::Key);
    let resource = embedded.as_ref().or(config.communication.as_ref());
    let resource = resource.expect("identities are embedded where none are configured");
    let service = communication::client(resource).map_err(Failure::Other)?;
    let desk = desk(config, service.clone(), identities(config, resource)?);
    // The stand-in for Easy Auth takes the callers' own headers off before it sets its own.
    let mut app = chat(config, signalr, Some(desk), Trust::EasyAuth, export)?;
    if anonymous_tokens {
        app = tutorial::in_front_of(app, config, service);
    }
    let asked = shutdown::asked();
    announce(&stack, &format!("open {} in two tabs", stack.addresses().page));
    stack.serve(app, asked).await.map_err(Failure::other)
}

/// Where identities are kept where nobody said so.
const IDENTITIES: &str = ".chat/identities";

fn identities(config: &Config, resource: &Communication) -> Result<IdentityStore, Failure> {
    let resource = resource.endpoint();
    match &config.tokens.container {
        Some(container) => IdentityStore::in_container(container, resource).map_err(Failure::other),
        None => {
            let folder = std::path::absolute(IDENTITIES).map_err(Failure::other)?;
            Ok(IdentityStore::in_folder(&folder, resource))
        }
    }
}

/// Says where everything is, then, for people and for programs that wait for this line, that it is there. What listens but is not
/// served yet keeps its callers waiting for a moment, no more.
fn announce(addresses: &dyn Display, next: &str) {
    // Nobody may be listening to us, and that is no reason not to run.
    let _ = writeln!(io::stdout(), "\n{addresses}\n\nready: {next}, Ctrl-C to stop");
}

impl From<local::Error> for Failure {
    fn from(error: local::Error) -> Self {
        if error.is_port() { Self::PortTaken(error.to_string()) } else { Self::other(error) }
    }
}
