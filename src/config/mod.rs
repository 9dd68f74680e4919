//! The environment, turned into a `Config` or into everything that is wrong with it.
//!
//! This is the only reader of the environment, and these are the names it knows. A problem names its variable and says what to do; it never repeats
//! the value, which may be a key.

use std::fmt;

use azure_signalr::{ConnectionString, HubName};

mod bearer;
mod communication;
mod env;
mod resource;
mod signalr;
mod telemetry;

pub use bearer::{BEARER_SCOPE, Bearer};
pub use communication::{AccessTokens, AccountKey, Caller, Container};
pub use env::Env;
pub use resource::Communication;
pub use telemetry::{LogFormat, Otlp};

/// The port the Functions host wants us on; set by the host, and what tells us that there is one.
pub const HOST_PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
/// The name older hosts use for the same.
const OLD_HOST_PORT: &str = "FUNCTIONS_HTTPWORKER_PORT";
/// Where Azure SignalR Service is, and the key to it or whose identity to call it with.
pub const SIGNALR: &str = "AzureSignalRConnectionString";
/// The other form of the same, for an identity only: where the service is…
pub const SERVICE_URI: &str = "AzureSignalRConnectionString__serviceUri";
/// …where the identity's tokens come from…
pub const CREDENTIAL: &str = "AzureSignalRConnectionString__credential";
/// …which identity it is, if it is not the app's own…
pub const CLIENT_ID: &str = "AzureSignalRConnectionString__clientId";
/// …in which tenant…
pub const TENANT_ID: &str = "AzureSignalRConnectionString__tenantId";
/// …and the secret of an application, where there is no managed identity.
pub const CLIENT_SECRET: &str = "AzureSignalRConnectionString__clientSecret";
/// Certificates of authorities to trust beside those everybody trusts, as PEM text.
pub const ROOTS: &str = "AzureSignalRConnectionString__rootCertificates";
/// The hub everybody is in.
pub const HUB: &str = "AzureSignalRHubName";
/// Whether people who have not signed in may chat.
pub const ALLOW_ANONYMOUS: &str = "ChatAllowAnonymous";
/// Where Azure Communication Services is, and the key to it. Without it or the next nobody gets access tokens for it.
pub const COMMUNICATION: &str = "AzureCommunicationServicesConnectionString";
/// The other form of the same, for an identity only: where it is…
pub const COMMUNICATION_ENDPOINT: &str = "AzureCommunicationServicesConnectionString__endpoint";
/// …where the identity's tokens come from…
pub const COMMUNICATION_CREDENTIAL: &str = "AzureCommunicationServicesConnectionString__credential";
/// …and which identity it is, if it is not the app's own.
pub const COMMUNICATION_CLIENT_ID: &str = "AzureCommunicationServicesConnectionString__clientId";
/// Certificates of authorities to trust there beside those everybody trusts, as PEM text.
pub const COMMUNICATION_ROOTS: &str = "AzureCommunicationServicesConnectionString__rootCertificates";
/// The most that such a token may allow…
pub const TOKEN_SCOPES: &str = "ChatAccessTokenScopes";
/// …and for how long.
pub const TOKEN_MINUTES: &str = "ChatAccessTokenMinutes";
/// Where it is kept who has which identity there…
pub const IDENTITY_STORE: &str = "ChatIdentityStore";
/// …the key of that storage account, where it is not called with an identity…
pub const IDENTITY_STORE_KEY: &str = "ChatIdentityStoreKey";
/// …and which identity it is called with, if it is not the one that SignalR is called with.
pub const IDENTITY_STORE_CLIENT_ID: &str = "ChatIdentityStore__clientId";
/// Whose own access tokens let people in, beside what App Service says: of which tenant…
pub const ENTRA_TENANT_ID: &str = "AzureAd__TenantId";
/// …for which app…
pub const ENTRA_CLIENT_ID: &str = "AzureAd__ClientId";
/// …in which cloud…
pub const ENTRA_INSTANCE: &str = "AzureAd__Instance";
/// …and under which name of the app, if it has one of its own.
pub const ENTRA_AUDIENCE: &str = "AzureAd__Audience";
/// Set by App Service while its authentication is on.
const EASY_AUTH: &str = "WEBSITE_AUTH_ENABLED";
/// Set by App Service on every app, on every plan.
const SITE_NAME: &str = "WEBSITE_SITE_NAME";
/// The one setting of `host.json` that changes what reaches us, in the form that overrides the file.
pub const ROUTE_PREFIX: &str = "AzureFunctionsJobHost__extensions__http__routePrefix";
/// Set by platforms that have managed identities, App Service among them, once the app has one.
const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
/// What to log.
pub const LOG: &str = "RUST_LOG";
/// In which form.
pub const LOG_FORMAT: &str = "ChatLogFormat";
/// Where traces and metrics go, by OpenTelemetry's own name. Without it nothing is exported.
pub const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// What is sent along to there; usually a key.
pub const OTLP_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// Under which name.
pub const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// The hub of the tutorial.
const DEFAULT_HUB: &str = "chat";
/// The public cloud.
const DEFAULT_ENTRA_INSTANCE: &str = "https://login.microsoftonline.com/";
/// The host's own default.
pub const DEFAULT_ROUTE_PREFIX: &str = "api";
const DEFAULT_LOG: &str = "info";
/// Where the app has no name either.
const DEFAULT_SERVICE_NAME: &str = "serverless-chat";

/// What the environment asks for.
#[derive(Debug)]
pub struct Config {
    /// The port of the Functions host's choice; without one there is no host.
    pub host_port: Option<u16>,
    /// The service; behind a host always there.
    pub signalr: Option<ConnectionString>,
    /// The hub everybody is in.
    pub hub: HubName,
    /// Whether people who have not signed in may chat.
    pub allow_anonymous: bool,
    /// Whether App Service authentication stands in front of us, so that its headers can be believed.
    pub easy_auth: bool,
    /// Whose own access tokens let people in, if anybody's.
    pub bearer: Option<Bearer>,
    /// What paths begin with, without slashes.
    pub route_prefix: String,
    /// Where access tokens for calls come from, if anybody gets any.
    pub communication: Option<Communication>,
    /// What these allow, and who they are for.
    pub tokens: AccessTokens,
    /// Where traces and metrics go, if anywhere.
    pub otlp: Option<Otlp>,
}

/// An environment that cannot be used.
#[derive(Debug)]
pub struct ConfigErrors {
    /// The host's port, if that much is known: then the host should hear what is wrong, rather than see us die.
    pub host_port: Option<u16>,
    /// What paths begin with, without slashes.
    pub route_prefix: String,
    /// All of it.
    pub problems: Vec<ConfigError>,
}

/// A variable and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Its name.
    pub name: &'static str,
    /// What is wrong and what to do, without the value.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

impl Config {
    /// Reads everything before it fails at anything.
    ///
    /// # Errors
    ///
    /// When a variable cannot be used, or one that is needed behind a host is missing.
    pub fn read(env: &Env) -> Result<Self, ConfigErrors> {
        let mut problems = Vec::new();
        let mut note = |name, reason: String| problems.push(ConfigError { name, reason });

        let (port_name, port) = match env.get(HOST_PORT) {
            Some(port) => (HOST_PORT, Some(port)),
            None => (OLD_HOST_PORT, env.get(OLD_HOST_PORT)),
        };
        let host_port = port.and_then(|port| port.parse().ok().filter(|port| *port > 0));
        if port.is_some() && host_port.is_none() {
            note(port_name, "must be a port from 1 to 65535".to_owned());
        }

        let found = signalr::read(env);
        let signalr = match found {
            Ok(None) if port.is_some() => {
                let reason = format!(
                    "is not set; copy the connection string from the service's Keys page, or set {SERVICE_URI} to use an identity"
                );
                note(SIGNALR, reason);
                None
            }
            Ok(signalr) => signalr,
            Err(problem) => {
                note(problem.name, problem.reason);
                None
            }
        };

        let hub = env.get(HUB).unwrap_or(DEFAULT_HUB).parse();
        if let Err(error) = &hub {
            note(HUB, azure_signalr::NameError::to_string(error));
        }

        let allow_anonymous = match env.get(ALLOW_ANONYMOUS) {
            None => Some(!env.is_azure()),
            Some(value) => env::parse_switch(value),
        };
        if allow_anonymous.is_none() {
            note(ALLOW_ANONYMOUS, "must be true or false".to_owned());
        }

        if let Err(problem) = telemetry::log_format(env) {
            note(problem.name, problem.reason);
        }
        let otlp = telemetry::otlp(env).unwrap_or_else(|problem| {
            note(problem.name, problem.reason);
            None
        });

        let bearer = bearer::bearer(env).unwrap_or_else(|problem| {
            note(problem.name, problem.reason);
            None
        });

        let communication = resource::read(env).unwrap_or_else(|problem| {
            note(problem.name, problem.reason);
            None
        });
        let tokens = communication::access_tokens(env, port.is_some());
        let tokens = tokens.map_err(|told| told.into_iter().for_each(|told| note(told.name, told.reason)));

        let route_prefix = env.get(ROUTE_PREFIX).unwrap_or(DEFAULT_ROUTE_PREFIX).trim_matches('/').to_owned();
        match (hub, allow_anonymous, tokens) {
            (Ok(hub), Some(allow_anonymous), Ok(tokens)) if problems.is_empty() => Ok(Self {
                host_port,
                signalr,
                hub,
                allow_anonymous,
                easy_auth: env.is_on(EASY_AUTH),
                bearer,
                route_prefix,
                communication,
                tokens,
                otlp,
            }),
            _ => Err(ConfigErrors { host_port, route_prefix, problems }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "Endpoint=https://h;AccessKey=hush";

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::read(&variables.iter().copied().collect())
    }

    fn problems(variables: &[(&str, &str)]) -> Vec<&'static str> {
        read(variables).unwrap_err().problems.iter().map(|problem| problem.name).collect()
    }

    #[test]
    fn without_any_variable_everything_has_its_default() {
        let config = read(&[]).unwrap();
        assert_eq!((config.host_port, config.signalr.is_none()), (None, true));
        assert_eq!((config.hub.as_str(), config.route_prefix.as_str()), ("chat", "api"));
        assert!(config.allow_anonymous && !config.easy_auth);
    }

    #[test]
    fn every_problem_is_told_at_once_and_no_value_with_it() {
        let variables = [
            (HOST_PORT, "hush"),
            (SIGNALR, "Endpoint=hush;AccessKey=hush"),
            (HUB, "1hush"),
            (ALLOW_ANONYMOUS, "hush"),
            (LOG_FORMAT, "hush"),
            (OTLP_ENDPOINT, "hush"),
        ];
        let told = read(&variables).unwrap_err();
        let names: Vec<_> = told.problems.iter().map(|problem| problem.name).collect();
        assert_eq!(names, [HOST_PORT, SIGNALR, HUB, ALLOW_ANONYMOUS, LOG_FORMAT, OTLP_ENDPOINT]);
        assert!(!format!("{told:?}").contains("hush"));
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
        let told = read(&[(HOST_PORT, "7"), (SIGNALR, "  ")]).unwrap_err();
        assert_eq!((told.host_port, told.problems[0].name), (Some(7), SIGNALR));
    }

    #[test]
    fn on_azure_nobody_is_anonymous_unless_that_was_switched_on_by_name() {
        for azure in [(SITE_NAME, "app"), (IDENTITY_ENDPOINT, "http://localhost:1")] {
            assert!(!read(&[azure]).unwrap().allow_anonymous);
            assert!(read(&[azure, (ALLOW_ANONYMOUS, "True")]).unwrap().allow_anonymous);
        }
        assert!(!read(&[(ALLOW_ANONYMOUS, "0")]).unwrap().allow_anonymous);
    }

    #[test]
    fn case_55_easy_auth_is_on_only_where_the_platform_says_so_plainly() {
        for (value, on) in
            [("True", true), ("true", true), ("1", true), ("false", false), ("0", false), ("yes", false)]
        {
            assert_eq!(read(&[(EASY_AUTH, value)]).unwrap().easy_auth, on, "{value}");
        }
    }

    #[test]
    fn case_23_the_hosts_route_prefix_is_followed() {
        assert_eq!(read(&[(ROUTE_PREFIX, "/v2/")]).unwrap().route_prefix, "v2");
    }
}
