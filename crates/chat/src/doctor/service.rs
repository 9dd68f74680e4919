//! The SignalR service: there, of one mind about the time, willing to take key or identity, in the right mode, open to the page.
//!
//! A message to a user nobody is shows that messages would be taken: it goes the handler's own way and reaches no one.

use std::time::SystemTime;

use azure_signalr::{Client as Visitor, ConnectionString, CredentialSource, Error, Hub, Message, Recipient};
use reqwest::{Client, Url};
use uuid::Uuid;

use super::clock;
use super::connection::{self, Outcome};
use super::cors::{Admission, admission, preflight};
use super::finding::Finding;
use super::http::{Silence, ask};
use super::settings::Settings;
use super::site::Site;
use crate::loopback;
use serverless_chat::config::{Config, ROOTS};

/// What every service since 2022 knows.
const API_VERSION: &str = "2022-06-01";

/// What is wrong with the service the settings name.
pub(super) async fn look(
    http: &Client,
    settings: &Settings,
    page: Option<&Site>,
    now: fn() -> SystemTime,
) -> Vec<Finding> {
    let Some(config) = &settings.config else {
        return vec![Finding::not_looked_at("service", "first the settings have to be mended")];
    };
    let Some(signalr) = &config.signalr else {
        return vec![Finding::not_looked_at("service", "no setting names one")];
    };
    let patient = Patient { signalr, config, http, now };
    let health = ask(http.head(health_url(signalr))).await;
    let health = match health {
        Ok(health) => health,
        Err(silence) => return vec![patient.unreachable(silence)],
    };
    let mut findings = vec![patient.health(health.status)];
    if findings[0].is_wrong() {
        return findings;
    }
    findings.extend(health.header("date").and_then(|date| clock::judge(date, now())));
    let only_on_azure =
        signalr.identity().is_some_and(CredentialSource::is_managed_identity) && !settings.env.is_azure();
    let (admission, cors) = tokio::join!(patient.admission(only_on_azure), patient.cors(page));
    findings.extend(admission);
    findings.push(cors);
    findings
}

fn under(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("connection strings hold web addresses").pop_if_empty().extend(segments);
    url
}

fn health_url(signalr: &ConnectionString) -> Url {
    let mut url = under(signalr.server_endpoint(), &["api", "health"]);
    url.query_pairs_mut().append_pair("api-version", API_VERSION);
    url
}

struct Patient<'a> {
    signalr: &'a ConnectionString,
    config: &'a Config,
    http: &'a Client,
    now: fn() -> SystemTime,
}

impl Patient<'_> {
    fn is_local(&self) -> bool {
        self.signalr.server_endpoint().host_str().is_some_and(loopback::is_loopback)
    }

    /// Where it is, without anything that is nobody's business.
    fn origin(&self) -> String {
        self.signalr.server_endpoint().origin().ascii_serialization()
    }

    /// Its name in Azure, where the address has it.
    fn name(&self) -> &str {
        let host = self.signalr.endpoint().host_str().unwrap_or_default();
        host.strip_suffix(".service.signalr.net").filter(|name| !name.contains('.')).unwrap_or("$signalr")
    }

    fn unreachable(&self, silence: Silence) -> Finding {
        let what = format!("{} cannot be reached: {silence}", self.origin());
        let mend = match silence {
            Silence::CertificateNotTrusted => {
                format!("set {ROOTS} to the certificate of whoever signed it, as PEM")
            }
            _ => self.start(),
        };
        Finding::wrong("service", what, mend)
    }

    /// What makes it be there.
    fn start(&self) -> String {
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
            // Older emulators want a token even here.
            200..=299 | 401 => Finding::ok("service", format!("{} is there", self.origin())),
            500.. => {
                let what = format!("{} is not well itself: it answers {status}", self.origin());
                Finding::wrong("service", what, "wait, and look at https://azure.status.microsoft")
            }
            _ => {
                let what = format!(
                    "what answers at {} is no SignalR service: {status} for /api/health",
                    self.origin()
                );
                Finding::wrong("service", what, self.start())
            }
        }
    }

    /// Whether messages are taken and clients let in.
    async fn admission(&self, only_on_azure: bool) -> Vec<Finding> {
        if only_on_azure {
            let why = "the settings ask for a managed identity, which is on Azure only; here, leave out `credential` and use `az login`";
            return vec![Finding::not_looked_at("identity", why)];
        }
        let subject = if self.signalr.identity().is_some() { "identity" } else { "key" };
        let admitted = async {
            let hub = Hub::new(self.signalr, &self.config.hub)?;
            let nobody = format!("doctor-{}", Uuid::new_v4())
                .parse()
                .expect("letters, digits and dashes are a user id");
            let message = Message::new::<()>("doctor", &[])?;
            hub.send(Recipient::User(&nobody), &message, (self.now)()).await?;
            hub.client_access(&Visitor::anonymous(), (self.now)()).await
        };
        let access = match admitted.await {
            Ok(access) => access,
            Err(error) => return vec![self.refused(subject, &error)],
        };
        let connected = connection::connect(self.http, &access).await;
        vec![Finding::ok(subject, "the service takes messages with it"), self.mode(&connected)]
    }

    fn refused(&self, subject: &str, error: &Error) -> Finding {
        let name = self.name();
        let has_key = self.signalr.identity().is_none();
        let (what, mend) = match error.status() {
            Some(status @ (401 | 403)) if has_key => (
                format!(
                    "the service refuses the key ({status}): it is another service's, or an old one, or keys are switched off there"
                ),
                if self.is_local() {
                    "take the connection string the emulator prints when it starts".to_owned()
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
            _ => (error.to_string(), self.start()),
        };
        Finding::wrong(subject, what, mend)
    }

    fn mode(&self, outcome: &Outcome) -> Finding {
        let update =
            |what: &str| format!("az signalr update --name {} --resource-group $group --{what}", self.name());
        let wrong = |what: String, mend: String| Finding::wrong("mode", what, mend);
        match outcome {
            Outcome::Connected => Finding::ok("mode", "clients can connect without a server of ours"),
            Outcome::Complaint(complaint) if is_about_mode(complaint) => wrong(
                "is Default: the service waits for a server that never comes, and refuses every browser"
                    .to_owned(),
                update("service-mode Serverless"),
            ),
            Outcome::Complaint(_) => wrong(
                "the service turns clients away in the handshake".to_owned(),
                update("service-mode Serverless"),
            ),
            Outcome::Refused(429) => wrong(
                "no more clients are let in: tier Free holds 20 connections".to_owned(),
                update("sku Standard_S1"),
            ),
            Outcome::Refused(status @ (401 | 403)) => wrong(
                format!("clients are refused ({status}), though messages are taken"),
                "give ClientEndpoint of the connection string the address browsers reach, or leave it out"
                    .to_owned(),
            ),
            Outcome::Refused(status) => wrong(
                format!("clients are answered {status}: the mode is not Serverless"),
                update("service-mode Serverless"),
            ),
            Outcome::Strange => wrong("what answers clients does not speak SignalR".to_owned(), self.start()),
            Outcome::Silent(silence) => wrong(format!("clients get no answer: {silence}"), self.start()),
        }
    }

    /// Whether a browser lets the page talk to the service. It uses no cookie, so letting everybody in is enough.
    async fn cors(&self, page: Option<&Site>) -> Finding {
        let Some(page) = page else {
            return Finding::not_looked_at("service CORS", "give --page, whose origin it is about");
        };
        let mut client = under(self.signalr.client_endpoint(), &["client", ""]);
        client.query_pairs_mut().append_pair("hub", self.config.hub.as_str());
        let origin = page.origin();
        let asked =
            ask(preflight(self.http, connection::negotiate_url(&client), &origin, "authorization")).await;
        let what = match asked.map(|answer| admission(&answer.headers, &origin, "authorization")) {
            Ok(Admission::ByName | Admission::Everybody) => return Finding::ok("service CORS", format!("lets {origin} in")),
            Ok(Admission::OtherSpelling) => "the page's origin is listed with a slash or in capitals; browsers compare it letter by letter".to_owned(),
            Ok(_) => format!("does not let {origin} in: after negotiate, browsers report a CORS error"),
            Err(silence) => format!("cannot be asked: {silence}"),
        };
        let mend = format!(
            "az signalr cors update --name {} --resource-group $group --allowed-origins \"{origin}\"",
            self.name()
        );
        Finding::wrong("service CORS", what, mend)
    }
}

/// "SignalR Service is now in 'Default' service mode. …However app servers are not connected." It has been worded in other ways, too.
fn is_about_mode(complaint: &str) -> bool {
    let complaint = complaint.to_ascii_lowercase();
    ["service mode", "app server", "no server"].iter().any(|part| complaint.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoint: &str) -> Config {
        let setting = format!("Endpoint={endpoint};AccessKey=hush");
        Config::read(&[("AzureSignalRConnectionString", setting)].into_iter().collect()).unwrap()
    }

    /// What is judged of the service at `endpoint`.
    fn judged<T>(endpoint: &str, judge: impl Fn(&Patient<'_>) -> T) -> T {
        let config = config(endpoint);
        let http = super::super::http::client(None).unwrap();
        let signalr = config.signalr.as_ref().unwrap();
        judge(&Patient { signalr, config: &config, http: &http, now: SystemTime::now })
    }

    #[test]
    fn a_service_of_this_machine_is_started_and_one_in_azure_looked_up_by_its_name() {
        let local = judged("http://localhost:8899", |patient| {
            format!("{:?}", patient.unreachable(Silence::NobodyListens))
        });
        assert!(local.contains("emulator --port 8899"), "{local}");
        let cloud = judged("https://my-chat.service.signalr.net", |patient| {
            format!("{:?}", patient.unreachable(Silence::NoSuchName))
        });
        assert!(cloud.contains("--name my-chat --resource-group $group"), "{cloud}");
    }

    #[test]
    fn whatever_it_says_about_servers_is_about_its_mode() {
        for complaint in [
            "SignalR Service is now in 'Default' service mode. Current mode works as a proxy.",
            "App servers are not connected",
            "No server available",
        ] {
            assert!(is_about_mode(complaint), "{complaint}");
        }
        assert!(!is_about_mode("The protocol 'json' is not supported."));
    }

    #[test]
    fn every_way_not_to_get_in_is_wrong() {
        for outcome in [
            Outcome::Complaint("no".to_owned()),
            Outcome::Refused(401),
            Outcome::Refused(404),
            Outcome::Refused(429),
            Outcome::Strange,
            Outcome::Silent(Silence::TooSlow),
        ] {
            assert!(judged("https://h", |patient| patient.mode(&outcome)).is_wrong(), "{outcome:?}");
        }
        assert!(!judged("https://h", |patient| patient.mode(&Outcome::Connected)).is_wrong());
    }

    #[test]
    fn health_is_that_of_a_signalr_service() {
        let wrong = [200, 204, 401, 404, 301, 500, 503]
            .map(|status| judged("https://h", |patient| patient.health(status)).is_wrong());
        assert_eq!(wrong, [false, false, false, true, true, true, true]);
    }
}
