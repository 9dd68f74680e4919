//! Reads the settings from the environment into a [`Config`], or reports every problem at once.
//!
//! Nothing else reads the environment. A problem names its variable and says what to do; it never contains the value, which may be a key.

use azure_signalr::{ConnectionString, HubName};

use crate::rate_limiter::Rate;

mod access_tokens;
mod bearer;
mod communication;
mod container;
mod env;
mod history;
mod identity_provider;
mod message_rate;
mod rooms;
mod signalr;
mod telemetry;

pub use access_tokens::{AccessTokens, IDENTITY_STORE_KEY};
pub use bearer::{BEARER_SCOPE, Bearer};
pub use communication::Communication;
pub use container::{Container, ContainerAccess};
pub use env::Env;
pub(crate) use env::parse_switch;
pub use history::{HistoryConfig, HistoryPlace};
pub use identity_provider::{ProviderName, ProviderNameError};
pub use rooms::AllowedRooms;
pub use telemetry::{LogFormat, Otlp};

/// Variable: the port to listen on. Set by the Functions host; its presence means that there is one.
pub const HOST_PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
/// The name of the same variable in older hosts.
const OLD_HOST_PORT: &str = "FUNCTIONS_HTTPWORKER_PORT";
/// Set by the Functions host, and by nothing else: the id of this process.
const HOST_WORKER_ID: &str = "FUNCTIONS_CUSTOMHANDLER_WORKER_ID";
/// Setting: the connection string of Azure SignalR Service, with a key or an identity.
pub const SIGNALR: &str = "AzureSignalRConnectionString";
/// Setting: the address of Azure SignalR Service, to call it with an identity instead of a key.
pub const SERVICE_URI: &str = "AzureSignalRConnectionString__serviceUri";
/// Setting: the kind of credential for the SignalR service, `managedidentity` or unset.
pub const CREDENTIAL: &str = "AzureSignalRConnectionString__credential";
/// Setting: the client id of the user-assigned identity or application that calls the SignalR service.
pub const CLIENT_ID: &str = "AzureSignalRConnectionString__clientId";
/// Setting: the tenant of the application that calls the SignalR service.
pub const TENANT_ID: &str = "AzureSignalRConnectionString__tenantId";
/// Setting: the client secret of the application that calls the SignalR service.
pub const CLIENT_SECRET: &str = "AzureSignalRConnectionString__clientSecret";
/// Setting: additional root certificates for the SignalR service, as PEM text.
pub const ROOTS: &str = "AzureSignalRConnectionString__rootCertificates";
/// Setting: the SignalR hub of the chat.
pub const HUB: &str = "AzureSignalRHubName";
/// Setting: whether guests may chat.
pub const ALLOW_ANONYMOUS: &str = "ChatAllowAnonymous";
/// Setting: the identity provider whose names are user ids as they are. Without it those of every provider are.
pub const IDENTITY_PROVIDER: &str = "ChatIdentityProvider";
/// Setting: how many messages a person may send, at once and per second.
pub const MESSAGE_RATE: &str = "ChatMessageRate";
/// Setting: the names of the rooms there are, or `*`.
pub const ROOMS: &str = "ChatRooms";
/// Setting: where messages are kept: a folder, the URL of a blob container, optionally with a SAS, or `off`.
pub const HISTORY: &str = "ChatHistory";
/// Setting: whether private messages are kept too.
pub const HISTORY_PRIVATE: &str = "ChatHistoryPrivate";
/// Setting: the client id of the identity that calls the container of the history, if it is not that of SignalR.
pub const HISTORY_CLIENT_ID: &str = "ChatHistory__clientId";
/// Setting: additional root certificates for the container of the history.
pub const HISTORY_ROOTS: &str = "ChatHistory__rootCertificates";
/// Setting: the connection string of Azure Communication Services. Without it or an endpoint, access tokens are off.
pub const COMMUNICATION: &str = "AzureCommunicationServicesConnectionString";
/// Setting: the endpoint of Azure Communication Services, to call it with an identity instead of a key.
pub const COMMUNICATION_ENDPOINT: &str = "AzureCommunicationServicesConnectionString__endpoint";
/// Setting: the kind of credential for Azure Communication Services, `managedidentity` or unset.
pub const COMMUNICATION_CREDENTIAL: &str = "AzureCommunicationServicesConnectionString__credential";
/// Setting: the client id of the user-assigned identity that calls Azure Communication Services.
pub const COMMUNICATION_CLIENT_ID: &str = "AzureCommunicationServicesConnectionString__clientId";
/// Setting: additional root certificates for Azure Communication Services, as PEM text.
pub const COMMUNICATION_ROOTS: &str = "AzureCommunicationServicesConnectionString__rootCertificates";
/// Setting: the scopes that access tokens for Azure Communication Services may have.
pub const TOKEN_SCOPES: &str = "ChatAccessTokenScopes";
/// Setting: the longest lifetime of access tokens for Azure Communication Services, in minutes.
pub const TOKEN_MINUTES: &str = "ChatAccessTokenMinutes";
/// Setting: the URL of the blob container with the Communication Services identities of people, optionally with a SAS.
pub const IDENTITY_STORE: &str = "ChatIdentityStore";
/// Setting: the client id of the identity that calls the identity store, if it is not that of SignalR.
pub const IDENTITY_STORE_CLIENT_ID: &str = "ChatIdentityStore__clientId";
/// Setting: additional root certificates for the identity store, as PEM text.
pub const IDENTITY_STORE_ROOTS: &str = "ChatIdentityStore__rootCertificates";
/// Setting: the tenant whose bearer tokens are accepted.
pub const ENTRA_TENANT_ID: &str = "AzureAd__TenantId";
/// Setting: the client id of the app that bearer tokens must be for.
pub const ENTRA_CLIENT_ID: &str = "AzureAd__ClientId";
/// Setting: the address of the Microsoft Entra ID cloud that issues bearer tokens.
pub const ENTRA_INSTANCE: &str = "AzureAd__Instance";
/// Setting: the audience of bearer tokens, if it is not the client id.
pub const ENTRA_AUDIENCE: &str = "AzureAd__Audience";
/// Set by App Service if App Service authentication is on.
const EASY_AUTH: &str = "WEBSITE_AUTH_ENABLED";
/// Set by App Service on every app, on every plan.
const SITE_NAME: &str = "WEBSITE_SITE_NAME";
/// Setting: the route prefix of the Functions host, which overrides `host.json`.
pub const ROUTE_PREFIX: &str = "AzureFunctionsJobHost__extensions__http__routePrefix";
/// Set by Azure for apps that have a managed identity.
const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
/// Setting: the log filter.
pub const LOG: &str = "RUST_LOG";
/// Setting: the format of log lines.
pub const LOG_FORMAT: &str = "ChatLogFormat";
/// Setting: the collector of traces and metrics. Without it nothing is exported.
pub const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Setting: headers for the collector, usually a key.
pub const OTLP_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// Setting: the name of this service in traces and metrics.
pub const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// The hub of the tutorial.
const DEFAULT_HUB: &str = "chat";
/// The public cloud.
const DEFAULT_ENTRA_INSTANCE: &str = "https://login.microsoftonline.com/";
/// The default of the Functions host.
pub const DEFAULT_ROUTE_PREFIX: &str = "api";
const DEFAULT_LOG: &str = "info";
/// For apps without a name.
const DEFAULT_SERVICE_NAME: &str = "serverless-chat";

/// All settings, validated.
#[derive(Debug)]
pub struct Config {
    /// The port to listen on; `None` without a Functions host.
    pub host_port: Option<u16>,
    /// The SignalR service; always `Some` behind a host.
    pub signalr: Option<ConnectionString>,
    /// The SignalR hub of the chat.
    pub hub: HubName,
    /// Whether guests may chat.
    pub allow_anonymous: bool,
    /// The identity provider whose names are user ids as they are; `None`: those of every provider are.
    pub identity_provider: Option<ProviderName>,
    /// How many messages a user may send; `None`: there is no limit, of negotiations neither.
    pub message_rate: Option<Rate>,
    /// The rooms that people may enter.
    pub rooms: AllowedRooms,
    /// Where messages are kept, if they are.
    pub history: Option<HistoryConfig>,
    /// Whether App Service authentication is on, so that its headers can be trusted.
    pub easy_auth: bool,
    /// The bearer tokens that are accepted, if any.
    pub bearer: Option<Bearer>,
    /// The first segments of all paths, without slashes at the ends.
    pub route_prefix: String,
    /// The Communication Services resource, if access tokens are on.
    pub communication: Option<Communication>,
    /// The limits of access tokens, and the store of identities.
    pub tokens: AccessTokens,
    /// The collector of traces and metrics, if any.
    pub otlp: Option<Otlp>,
}

/// Settings that cannot be used.
#[derive(Debug)]
pub struct ConfigErrors {
    /// The port to listen on, if it is known: then the app responds with the problems.
    pub host_port: Option<u16>,
    /// The first segments of all paths, without slashes at the ends.
    pub route_prefix: String,
    /// All problems, in the order of the settings.
    pub problems: Vec<ConfigError>,
}

/// A setting that cannot be used, and the reason.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct ConfigError {
    /// The name of the setting.
    pub name: &'static str,
    /// What is wrong and what to do; never contains the value.
    pub reason: String,
}

impl ConfigError {
    pub(crate) fn new(name: &'static str, reason: impl ToString) -> Self {
        Self { name, reason: reason.to_string() }
    }
}

/// The problems found so far.
#[derive(Default)]
struct Problems(Vec<ConfigError>);

impl Problems {
    /// The value that was read; a problem is added to the others.
    fn value<T>(&mut self, read: Result<T, ConfigError>) -> Option<T> {
        read.map_err(|problem| self.0.push(problem)).ok()
    }
}

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    ///
    /// All problems: settings that cannot be used, and missing ones that are needed behind a host.
    pub fn read(env: &Env) -> Result<Self, ConfigErrors> {
        let mut problems = Problems::default();
        let host_port = problems.value(host_port(env)).flatten();
        let signalr = problems.value(signalr::read(env)).flatten();
        let hub = env.get(HUB).unwrap_or(DEFAULT_HUB).parse::<HubName>();
        let hub = problems.value(hub.map_err(|error| ConfigError::new(HUB, error)));
        let allow_anonymous = env.get(ALLOW_ANONYMOUS).map_or(Some(!env.is_behind_host()), parse_switch);
        let allow_anonymous = allow_anonymous.ok_or_else(|| ConfigError::new(ALLOW_ANONYMOUS, "must be true or false"));
        let allow_anonymous = problems.value(allow_anonymous);
        let identity_provider = problems.value(identity_provider::identity_provider(env)).flatten();
        let message_rate = problems.value(message_rate::read(env)).flatten();
        let rooms = problems.value(rooms::read(env));
        let history = history::read(env, &mut problems);
        problems.value(telemetry::log_format(env));
        let otlp = problems.value(telemetry::otlp(env)).flatten();
        let bearer = problems.value(bearer::bearer(env)).flatten();
        let communication = problems.value(communication::read(env)).flatten();
        let tokens = access_tokens::read(env, &mut problems);
        let route_prefix = problems.value(route_prefix(env)).unwrap_or_else(|| DEFAULT_ROUTE_PREFIX.to_owned());
        match (hub, allow_anonymous, rooms, tokens) {
            (Some(hub), Some(allow_anonymous), Some(rooms), Some(tokens)) if problems.0.is_empty() => Ok(Self {
                host_port,
                signalr,
                hub,
                allow_anonymous,
                identity_provider,
                message_rate,
                rooms,
                history,
                easy_auth: env.is_on(EASY_AUTH),
                bearer,
                route_prefix,
                communication,
                tokens,
                otlp,
            }),
            _ => Err(ConfigErrors { host_port, route_prefix, problems: problems.0 }),
        }
    }
}

fn host_port(env: &Env) -> Result<Option<u16>, ConfigError> {
    let found = [HOST_PORT, OLD_HOST_PORT].into_iter().find_map(|name| Some((name, env.get(name)?)));
    let Some((name, port)) = found else { return Ok(None) };
    let port = port.parse().ok().filter(|port| *port > 0);
    port.map(Some).ok_or_else(|| ConfigError::new(name, "must be a port from 1 to 65535"))
}

/// The prefix without a slash at its ends; empty for a single slash. It becomes part of the paths of routes, in which `{}` and `*` would
/// match other paths, and requests never have `//` or `..`.
fn route_prefix(env: &Env) -> Result<String, ConfigError> {
    let prefix = env.get(ROUTE_PREFIX).unwrap_or(DEFAULT_ROUTE_PREFIX);
    let without_start = prefix.strip_prefix('/').unwrap_or(prefix);
    let trimmed = without_start.strip_suffix('/').unwrap_or(without_start);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain);
    if prefix == "/" || trimmed.split('/').all(is_segment) {
        return Ok(trimmed.to_owned());
    }
    let rule =
        "must be segments of letters, digits, -, _, . and ~ with single slashes between them, like api or v2/chat";
    Err(ConfigError::new(ROUTE_PREFIX, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const KEY: &str = "Endpoint=https://h;AccessKey=hush";

    pub(super) fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::read(&variables.iter().copied().collect())
    }

    /// The names of the settings that cannot be used. No reason contains `hush`, which the tests use as a value.
    pub(super) fn problems(variables: &[(&str, &str)]) -> Vec<&'static str> {
        let errors = read(variables).unwrap_err();
        assert!(!format!("{errors:?}").contains("hush"), "{errors:?}");
        errors.problems.iter().map(|problem| problem.name).collect()
    }

    #[test]
    fn without_any_variable_everything_has_its_default() {
        let config = read(&[]).unwrap();
        assert_eq!((config.host_port, config.signalr.is_none()), (None, true));
        assert_eq!((config.hub.as_str(), config.route_prefix.as_str()), ("chat", "api"));
        assert!(config.allow_anonymous && !config.easy_auth);
    }

    #[test]
    fn every_problem_is_reported_at_once_and_no_value_with_it() {
        let variables = [
            (HOST_PORT, "hush"),
            (SIGNALR, "Endpoint=hush;AccessKey=hush"),
            (HUB, "1hush"),
            (ALLOW_ANONYMOUS, "hush"),
            (MESSAGE_RATE, "hush"),
            (ROOMS, "hush hush"),
            (HISTORY, "'hush'"),
            (HISTORY_PRIVATE, "hush"),
            (LOG_FORMAT, "hush"),
            (OTLP_ENDPOINT, "hush"),
        ];
        assert_eq!(problems(&variables), variables.map(|(name, _)| name));
    }

    #[test]
    fn a_config_does_not_print_the_key() {
        assert!(!format!("{:?}", read(&[(SIGNALR, KEY)]).unwrap()).contains("hush"));
    }

    #[test]
    fn case_2_the_older_name_of_the_hosts_port_is_known() {
        let config = read(&[(OLD_HOST_PORT, "7"), (SIGNALR, KEY)]).unwrap();
        assert_eq!(config.host_port, Some(7));
    }

    #[test]
    fn case_3_a_port_that_is_none_is_a_problem() {
        for port in ["x", "0", "65536", "-1", "7.5"] {
            assert_eq!(problems(&[(HOST_PORT, port), (SIGNALR, KEY)]), [HOST_PORT], "{port}");
        }
    }

    #[test]
    fn case_10_behind_a_host_the_service_must_be_named_and_the_port_is_kept() {
        let errors = read(&[(HOST_PORT, "7"), (SIGNALR, "  ")]).unwrap_err();
        assert_eq!((errors.host_port, errors.problems[0].name), (Some(7), SIGNALR));
    }

    #[test]
    fn behind_any_host_guests_are_allowed_only_by_setting() {
        for host in [(HOST_PORT, "1"), (OLD_HOST_PORT, "1")] {
            for place in [(LOG, "info"), (SITE_NAME, "app"), (IDENTITY_ENDPOINT, "http://localhost:1")] {
                let guests =
                    |value| read(&[(SIGNALR, KEY), host, place, (ALLOW_ANONYMOUS, value)]).unwrap().allow_anonymous;
                for (value, expected) in [("", false), ("false", false), ("0", false), ("True", true), ("1", true)] {
                    assert_eq!(guests(value), expected, "{host:?} {place:?} {value}");
                }
            }
        }
        assert!(read(&[]).unwrap().allow_anonymous && !read(&[(ALLOW_ANONYMOUS, "0")]).unwrap().allow_anonymous);
    }

    #[test]
    fn case_55_easy_auth_is_on_only_where_the_platform_says_so_plainly() {
        for (value, on) in [("True", true), ("true", true), ("1", true), ("false", false), ("0", false), ("yes", false)]
        {
            assert_eq!(read(&[(EASY_AUTH, value)]).unwrap().easy_auth, on, "{value}");
        }
    }

    #[test]
    fn case_23_the_hosts_route_prefix_is_followed() {
        for (value, expected) in [
            ("api", "api"),
            ("v2", "v2"),
            ("/v2/", "v2"),
            ("V2/Chat", "V2/Chat"),
            ("a/b/c", "a/b/c"),
            ("a-b_c.d~e", "a-b_c.d~e"),
            ("...", "..."),
            (" v2 ", "v2"),
            ("/", ""),
            ("", "api"),
            ("  ", "api"),
        ] {
            assert_eq!(read(&[(ROUTE_PREFIX, value)]).unwrap().route_prefix, expected, "{value:?}");
        }
    }

    #[test]
    fn a_route_prefix_that_is_no_plain_path_is_a_problem() {
        for value in [
            "{hush}", "{*hush}", "hush/{x}", "*hush", ":hush/*", "//", "//hush", "hush//", "a//b", "..", "a/../b",
            "./a", "a b", "a%2fb", "a\\b", "a?b", "a#b", "https://hush", "ünï", "a\u{0}b", "\"api\"",
        ] {
            let errors = read(&[(ROUTE_PREFIX, value)]).unwrap_err();
            assert_eq!(errors.route_prefix, "api");
            assert_eq!(problems(&[(ROUTE_PREFIX, value)]), [ROUTE_PREFIX], "{value:?}");
        }
    }
}
