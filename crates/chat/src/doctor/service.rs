//! Checks the SignalR service: reachable, clocks agree, key or identity accepted, serverless mode, CORS open to the page.
//!
//! A message to a user id that nothing uses shows that messages are accepted: it is sent as the handler sends one, and reaches no client.

use std::time::{Duration, SystemTime};

use azure_signalr::{ClientIdentity, ConnectionString, CredentialSource, Error, Hub, Message, Recipient};
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::{Client, Url};
use serverless_chat::config::{Config, ROOTS};
use uuid::Uuid;

use super::connection::{self, ConnectError};
use super::http::{CorsAccess, RequestError, cors_access, preflight, send};
use super::options::Site;
use super::report::Finding;
use super::settings::Settings;

/// Supported by every service since 2022.
const API_VERSION: &str = "2022-06-01";

/// The clock difference that services accept.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// Checks the service that the settings name.
pub(super) async fn check(
    http: &Client,
    settings: &Settings,
    page: Option<&Site>,
    now: fn() -> SystemTime,
) -> Vec<Finding> {
    let Some(config) = &settings.config else {
        return vec![Finding::skipped("service", "fix the settings first")];
    };
    let Some(signalr) = &config.signalr else {
        return vec![Finding::skipped("service", "no setting names one")];
    };
    let check = ServiceCheck { signalr, config, http, now };
    let health = match send(http.head(health_url(signalr))).await {
        Ok(health) => health,
        Err(error) => return vec![check.unreachable(error)],
    };
    let mut findings = vec![check.health(health.status)];
    if findings[0].is_problem() {
        return findings;
    }
    findings.extend(health.header("date").and_then(|date| check_clock(date, now())));
    let only_on_azure =
        signalr.identity().is_some_and(CredentialSource::is_managed_identity) && !settings.env.is_azure();
    let (access, cors) = tokio::join!(check.access(only_on_azure), check.cors(page));
    findings.extend(access);
    findings.push(cors);
    findings
}

fn join(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("connection strings hold web addresses").pop_if_empty().extend(segments);
    url
}

fn health_url(signalr: &ConnectionString) -> Url {
    let mut url = join(signalr.server_endpoint(), &["api", "health"]);
    url.query_pairs_mut().append_pair("api-version", API_VERSION);
    url
}

/// Compares this machine's clock with the `Date` header of a new response. A wrong clock makes every token invalid.
fn check_clock(date: &str, now: SystemTime) -> Option<Finding> {
    let server = SystemTime::from(DateTimeParser::new().parse_timestamp(date).ok()?);
    let (skew, direction) = match now.duration_since(server) {
        Ok(ahead) => (ahead, "ahead"),
        Err(behind) => (behind.duration(), "behind"),
    };
    Some(if skew > MAX_CLOCK_SKEW {
        let minutes = skew.as_secs() / 60;
        let problem = format!("this machine is {minutes} minutes {direction}: tokens made here are rejected");
        Finding::problem("clock", problem, "timedatectl set-ntp true")
    } else {
        Finding::ok("clock", "agrees with the server's")
    })
}

struct ServiceCheck<'a> {
    signalr: &'a ConnectionString,
    config: &'a Config,
    http: &'a Client,
    now: fn() -> SystemTime,
}

impl ServiceCheck<'_> {
    fn is_local(&self) -> bool {
        azure_http::is_loopback(self.signalr.server_endpoint())
    }

    /// The origin, which unlike the endpoint holds no user name or password.
    fn origin(&self) -> String {
        self.signalr.server_endpoint().origin().ascii_serialization()
    }

    /// The resource's name in Azure if the address contains it, else the variable of the guide.
    fn name(&self) -> &str {
        let host = self.signalr.endpoint().host_str().unwrap_or_default();
        host.strip_suffix(".service.signalr.net").filter(|name| !name.contains('.')).unwrap_or("$signalr")
    }

    fn unreachable(&self, error: RequestError) -> Finding {
        let problem = format!("{} cannot be reached: {error}", self.origin());
        let fix = match error {
            RequestError::CertificateNotTrusted => {
                format!("set {ROOTS} to the certificate of the authority that signed it, as PEM")
            }
            _ => self.start_command(),
        };
        Finding::problem("service", problem, fix)
    }

    /// The command that starts a local service, or prints the address of one in Azure.
    fn start_command(&self) -> String {
        match self.signalr.server_endpoint().port_or_known_default() {
            Some(port) if self.is_local() => format!("cargo run --bin chat -- emulator --port {port}"),
            _ => format!(
                "compare with: az signalr show --name {} --resource-group $group --query hostName --output tsv",
                self.name()
            ),
        }
    }

    fn health(&self, status: u16) -> Finding {
        match status {
            // Older emulators require a token here too.
            200..=299 | 401 => Finding::ok("service", format!("{} responds", self.origin())),
            500.. => {
                let problem = format!("{} is unhealthy: it answers {status}", self.origin());
                Finding::problem("service", problem, "wait, and look at https://azure.status.microsoft")
            }
            _ => {
                let problem =
                    format!("the server at {} is not a SignalR service: {status} for /api/health", self.origin());
                Finding::problem("service", problem, self.start_command())
            }
        }
    }

    /// Checks that messages are accepted and clients can connect.
    async fn access(&self, only_on_azure: bool) -> Vec<Finding> {
        if only_on_azure {
            let reason = "the settings name a managed identity, which exists on Azure only; here, omit `credential` and use `az login`";
            return vec![Finding::skipped("identity", reason)];
        }
        let subject = if self.signalr.identity().is_some() { "identity" } else { "key" };
        let access = async {
            let hub = Hub::new(self.signalr, &self.config.hub)?;
            let unused_id =
                format!("doctor-{}", Uuid::new_v4()).parse().expect("letters, digits and dashes are a user id");
            let message = Message::new::<()>("doctor", &[])?;
            hub.send(Recipient::User(&unused_id), &message, (self.now)()).await?;
            hub.client_access(&ClientIdentity::anonymous(), (self.now)()).await
        };
        let access = match access.await {
            Ok(access) => access,
            Err(error) => return vec![self.access_denied(subject, &error)],
        };
        let connected = connection::connect(self.http, &access).await;
        vec![Finding::ok(subject, "the service accepts messages with it"), self.mode(&connected)]
    }

    fn access_denied(&self, subject: &str, error: &Error) -> Finding {
        let name = self.name();
        let has_key = self.signalr.identity().is_none();
        let (problem, fix) = match error.status() {
            Some(status @ (401 | 403)) if has_key => (
                format!(
                    "the service rejects the key ({status}): it is another service's, or an old one, or keys are disabled there"
                ),
                if self.is_local() {
                    "use the connection string that the emulator prints when it starts".to_owned()
                } else {
                    format!(
                        "az signalr key list --name {name} --resource-group $group --query primaryConnectionString --output tsv"
                    )
                },
            ),
            Some(401 | 403) => (
                error.to_string(),
                format!(
                    "az role assignment create --role \"SignalR Service Owner\" --assignee \"$(az ad signed-in-user show --query id --output tsv)\" \
                     --scope \"$(az signalr show --name {name} --resource-group $group --query id --output tsv)\""
                ),
            ),
            Some(429) => (
                error.to_string(),
                format!("az signalr update --name {name} --resource-group $group --sku Standard_S1"),
            ),
            None if !has_key => (error.to_string(), "az login".to_owned()),
            _ => (error.to_string(), self.start_command()),
        };
        Finding::problem(subject, problem, fix)
    }

    fn mode(&self, result: &Result<(), ConnectError>) -> Finding {
        let update = |what: &str| format!("az signalr update --name {} --resource-group $group --{what}", self.name());
        let (problem, fix) = match result {
            Ok(()) => return Finding::ok("mode", "clients can connect without an app server"),
            Err(ConnectError::Handshake(error)) if is_about_mode(error) => (
                "is Default: the service waits for an app server, and rejects every browser".to_owned(),
                update("service-mode Serverless"),
            ),
            Err(ConnectError::Handshake(_)) => {
                ("the service rejects clients in the handshake".to_owned(), update("service-mode Serverless"))
            }
            Err(ConnectError::Status(429)) => (
                "the connection limit is reached: tier Free allows 20 connections".to_owned(),
                update("sku Standard_S1"),
            ),
            Err(ConnectError::Status(status @ (401 | 403))) => (
                format!("clients are rejected ({status}), though messages are accepted"),
                "set ClientEndpoint of the connection string to the address that browsers reach, or omit it".to_owned(),
            ),
            Err(ConnectError::Status(status)) => {
                (format!("clients get status {status}: the mode is not Serverless"), update("service-mode Serverless"))
            }
            Err(ConnectError::UnexpectedResponse) => {
                ("the response to clients is not SignalR".to_owned(), self.start_command())
            }
            Err(ConnectError::Request(error)) => (format!("clients get no response: {error}"), self.start_command()),
        };
        Finding::problem("mode", problem, fix)
    }

    /// Checks that a browser lets the page connect. The service uses no cookies, so allowing every origin is fine.
    async fn cors(&self, page: Option<&Site>) -> Finding {
        let Some(page) = page else {
            return Finding::skipped("service CORS", "give --page, whose origin is checked");
        };
        let mut client = join(self.signalr.client_endpoint(), &["client", ""]);
        client.query_pairs_mut().append_pair("hub", self.config.hub.as_str());
        let origin = page.origin();
        let request = preflight(self.http, connection::negotiate_url(&client), &origin, "authorization");
        let access = send(request).await;
        let problem = match access.map(|response| cors_access(&response.headers, &origin, "authorization")) {
            Ok(CorsAccess::Allowed | CorsAccess::AnyOrigin) => {
                return Finding::ok("service CORS", format!("allows {origin}"));
            }
            Ok(CorsAccess::MisspelledOrigin) => {
                "lists the page's origin with a slash or in capitals; browsers compare it letter by letter".to_owned()
            }
            Ok(_) => format!("does not allow {origin}: after negotiate, browsers report a CORS error"),
            Err(error) => format!("cannot be checked: {error}"),
        };
        let fix = format!(
            "az signalr cors update --name {} --resource-group $group --allowed-origins \"{origin}\"",
            self.name()
        );
        Finding::problem("service CORS", problem, fix)
    }
}

/// Whether a handshake error is "SignalR Service is now in 'Default' service mode. …However app servers are not connected.", or one of
/// its other wordings.
fn is_about_mode(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    ["service mode", "app server", "no server"].iter().any(|part| error.contains(part))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn config(endpoint: &str) -> Config {
        let setting = format!("Endpoint={endpoint};AccessKey=hush");
        Config::read(&[("AzureSignalRConnectionString", setting)].into_iter().collect()).unwrap()
    }

    /// The result of `check` for the service at `endpoint`.
    fn with_service<T>(endpoint: &str, check: impl Fn(&ServiceCheck<'_>) -> T) -> T {
        let config = config(endpoint);
        let http = super::super::http::client(None).unwrap();
        let signalr = config.signalr.as_ref().unwrap();
        check(&ServiceCheck { signalr, config: &config, http: &http, now: SystemTime::now })
    }

    #[test]
    fn a_local_service_is_started_and_one_in_azure_is_looked_up() {
        let local = with_service("http://localhost:8899", |check| {
            format!("{:?}", check.unreachable(RequestError::ConnectionRefused))
        });
        assert!(local.contains("emulator --port 8899"), "{local}");
        let cloud = with_service("https://my-chat.service.signalr.net", |check| {
            format!("{:?}", check.unreachable(RequestError::UnknownHost))
        });
        assert!(cloud.contains("--name my-chat --resource-group $group"), "{cloud}");
    }

    #[test]
    fn an_error_about_servers_is_about_the_mode() {
        for error in [
            "SignalR Service is now in 'Default' service mode. Current mode works as a proxy.",
            "App servers are not connected",
            "No server available",
        ] {
            assert!(is_about_mode(error), "{error}");
        }
        assert!(!is_about_mode("The protocol 'json' is not supported."));
    }

    #[test]
    fn every_connect_error_is_a_problem() {
        for error in [
            ConnectError::Handshake("no".to_owned()),
            ConnectError::Status(401),
            ConnectError::Status(404),
            ConnectError::Status(429),
            ConnectError::UnexpectedResponse,
            ConnectError::Request(RequestError::TimedOut),
        ] {
            assert!(with_service("https://h", |check| check.mode(&Err(error.clone()))).is_problem(), "{error:?}");
        }
        assert!(!with_service("https://h", |check| check.mode(&Ok(()))).is_problem());
    }

    #[test]
    fn health_tells_a_signalr_service_from_another_server() {
        let problems = [200, 204, 401, 404, 301, 500, 503]
            .map(|status| with_service("https://h", |check| check.health(status)).is_problem());
        assert_eq!(problems, [false, false, false, true, true, true, true]);
    }

    #[test]
    fn a_clock_more_than_five_minutes_off_is_a_problem() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let server = SystemTime::from("1994-11-06T08:49:37Z".parse::<Timestamp>().unwrap());
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for (now, is_problem) in [
            (server, false),
            (server + minutes(5), false),
            (server - minutes(5), false),
            (server + minutes(7), true),
            (server - minutes(7), true),
        ] {
            assert_eq!(check_clock(date, now).unwrap().is_problem(), is_problem);
        }
        assert!(format!("{:?}", check_clock(date, server - minutes(7))).contains("7 minutes behind"));
    }

    #[test]
    fn an_invalid_date_header_gives_no_finding() {
        assert_eq!(check_clock("yesterday", SystemTime::UNIX_EPOCH), None);
    }
}
