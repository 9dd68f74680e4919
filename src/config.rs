//! The environment, turned into a `Config` or into everything that is wrong with it.
//!
//! This is the only reader of the environment. Names are compared without case, since some platforms change it on the way.
//! A problem names its variable and says what to do; it never repeats the value, which may be a key.

use std::collections::HashMap;
use std::fmt;

use azure_signalr::{ConnectionString, ConnectionStringError, HubName, Identity, RootCertificates};

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
/// Set by App Service while its authentication is on.
const EASY_AUTH: &str = "WEBSITE_AUTH_ENABLED";
/// Set by App Service on every app, on every plan.
const SITE_NAME: &str = "WEBSITE_SITE_NAME";
/// The one setting of `host.json` that changes what reaches us, in the form that overrides the file.
const ROUTE_PREFIX: &str = "AzureFunctionsJobHost__extensions__http__routePrefix";
/// Set by platforms that have managed identities, App Service among them, once the app has one.
const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
/// What to log.
pub const LOG: &str = "RUST_LOG";

/// The hub of the tutorial.
const DEFAULT_HUB: &str = "chat";
/// The host's own default.
const DEFAULT_ROUTE_PREFIX: &str = "api";
const DEFAULT_LOG: &str = "info";

/// Variables by name, in any letter case. An empty one is as good as none.
#[derive(Default)]
pub struct Env(HashMap<String, String>);

impl Env {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
    }

    /// What to log, in the form of `RUST_LOG`.
    #[must_use]
    pub fn log_filter(&self) -> &str {
        self.get(LOG).unwrap_or(DEFAULT_LOG)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Whether this is Azure, as far as identities are concerned.
    fn is_azure(&self) -> bool {
        self.get(SITE_NAME).or_else(|| self.get(IDENTITY_ENDPOINT)).is_some()
    }

    /// Whether this is an app that has no managed identity. Elsewhere that cannot be told from the environment.
    fn lacks_identity(&self) -> bool {
        self.get(SITE_NAME).is_some() && self.get(IDENTITY_ENDPOINT).is_none()
    }

    fn is_on(&self, name: &str) -> bool {
        self.get(name).and_then(parse_switch).unwrap_or(false)
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.as_ref().to_ascii_lowercase(), value.into()))
                .collect(),
        )
    }
}

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
    /// What paths begin with, without slashes.
    pub route_prefix: String,
}

/// An environment that cannot be used.
#[derive(Debug)]
pub struct Unusable {
    /// The host's port, if that much is known: then the host should hear what is wrong, rather than see us die.
    pub host_port: Option<u16>,
    /// All of it.
    pub problems: Vec<Problem>,
}

/// A variable and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its name.
    pub name: &'static str,
    /// What is wrong and what to do, without the value.
    pub reason: String,
}

impl fmt::Display for Problem {
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
    pub fn read(env: &Env) -> Result<Self, Unusable> {
        let mut problems = Vec::new();
        let mut note = |name, reason: String| problems.push(Problem { name, reason });

        let (port_name, port) = match env.get(HOST_PORT) {
            Some(port) => (HOST_PORT, Some(port)),
            None => (OLD_HOST_PORT, env.get(OLD_HOST_PORT)),
        };
        let host_port = port.and_then(|port| port.parse().ok().filter(|port| *port > 0));
        if port.is_some() && host_port.is_none() {
            note(port_name, "must be a port from 1 to 65535".to_owned());
        }

        let found = signalr(env).and_then(|found| found.map(|signalr| trusting(env, signalr)).transpose());
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
            None => Some(env.get(SITE_NAME).is_none()),
            Some(value) => parse_switch(value),
        };
        if allow_anonymous.is_none() {
            note(ALLOW_ANONYMOUS, "must be true or false".to_owned());
        }

        match (hub, allow_anonymous) {
            (Ok(hub), Some(allow_anonymous)) if problems.is_empty() => Ok(Self {
                host_port,
                signalr,
                hub,
                allow_anonymous,
                easy_auth: env.is_on(EASY_AUTH),
                route_prefix: env
                    .get(ROUTE_PREFIX)
                    .unwrap_or(DEFAULT_ROUTE_PREFIX)
                    .trim_matches('/')
                    .to_owned(),
            }),
            _ => Err(Unusable { host_port, problems }),
        }
    }
}

/// The service, in either of the two forms.
fn signalr(env: &Env) -> Result<Option<ConnectionString>, Problem> {
    let parts = [SERVICE_URI, CREDENTIAL, CLIENT_ID, TENANT_ID, CLIENT_SECRET];
    let part = parts.into_iter().find(|name| env.get(name).is_some());
    let problem = |name, reason: String| Err(Problem { name, reason });
    let (name, connection) = match (env.get(SIGNALR), part) {
        (None, None) => return Ok(None),
        (None, Some(_)) => (SERVICE_URI, service_with_identity(env)?),
        (Some(text), None) => match text.parse::<ConnectionString>() {
            Ok(connection) => (SIGNALR, connection),
            Err(error) => return problem(SIGNALR, error.to_string()),
        },
        // Whoever set the second one means to be rid of keys, and would not see that the first is still in use.
        (Some(_), Some(part)) => {
            return problem(SIGNALR, format!("is set, and so is {part}; take away the one you do not mean"));
        }
    };
    let connection = connection.on_azure(env.is_azure());
    if connection.identity().is_some_and(Identity::is_managed) && env.lacks_identity() {
        let reason =
            "asks for a managed identity, and this app has none; turn one on, in the portal under Identity";
        return problem(name, reason.to_owned());
    }
    Ok(Some(connection))
}

/// The same, trusting whom the settings say.
fn trusting(env: &Env, connection: ConnectionString) -> Result<ConnectionString, Problem> {
    let Some(pem) = env.get(ROOTS) else { return Ok(connection) };
    // Where settings are single lines, the ends of lines are written out.
    let roots = pem.replace("\\n", "\n").parse::<RootCertificates>();
    let roots = roots.map_err(|error| Problem { name: ROOTS, reason: error.to_string() })?;
    Ok(connection.trusting(roots))
}

/// The form that has a setting for each part. The values of `credential` are those of other Azure Functions connections.
fn service_with_identity(env: &Env) -> Result<ConnectionString, Problem> {
    let problem = |name, reason: &str| Problem { name, reason: reason.to_owned() };
    let endpoint = env.get(SERVICE_URI).ok_or_else(|| {
        problem(SERVICE_URI, "is not set; it is the address of the service, https://NAME.service.signalr.net")
    })?;
    let (client_id, tenant_id) = (env.get(CLIENT_ID), env.get(TENANT_ID));
    let credential = env.get(CREDENTIAL).map(str::to_ascii_lowercase);
    let identity = match (credential.as_deref(), env.get(CLIENT_SECRET)) {
        (Some("managedidentity"), None) => Identity::managed(client_id),
        (Some("managedidentity"), Some(_)) => {
            return Err(problem(
                CLIENT_SECRET,
                "is not for a managed identity, which needs no secret; take it away",
            ));
        }
        (Some(_), _) => {
            return Err(problem(
                CREDENTIAL,
                "must be managedidentity; left out, it is the managed identity on Azure and `az login` elsewhere",
            ));
        }
        (None, None) => Identity::open(client_id, tenant_id),
        (None, Some(secret)) => Identity::application(
            client_id.ok_or_else(|| problem(CLIENT_ID, "is not set; it is the id of the application"))?,
            tenant_id.ok_or_else(|| problem(TENANT_ID, "is not set; it is the tenant of the application"))?,
            secret,
        ),
    };
    let connection = identity.and_then(|identity| ConnectionString::with_identity(endpoint, identity));
    connection.map_err(|error| match error {
        ConnectionStringError::InvalidClientId => problem(CLIENT_ID, &error.to_string()),
        ConnectionStringError::InvalidTenantId => problem(TENANT_ID, &error.to_string()),
        ConnectionStringError::InvalidEndpoint => {
            problem(SERVICE_URI, "must be the address of the service, https://NAME.service.signalr.net")
        }
        error => problem(SERVICE_URI, &error.to_string()),
    })
}

/// `true`, `false`, `1` and `0`, in any letter case: what App Service writes, and what people do.
fn parse_switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "Endpoint=https://h;AccessKey=hush";

    fn read(variables: &[(&str, &str)]) -> Result<Config, Unusable> {
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
        ];
        let told = read(&variables).unwrap_err();
        let names: Vec<_> = told.problems.iter().map(|problem| problem.name).collect();
        assert_eq!(names, [HOST_PORT, SIGNALR, HUB, ALLOW_ANONYMOUS]);
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

    fn identity(variables: &[(&str, &str)]) -> Identity {
        read(variables).unwrap().signalr.unwrap().identity().unwrap().clone()
    }

    #[test]
    fn an_identity_instead_of_a_key_is_read_in_any_letter_case() {
        let config = read(&[
            ("AZURESIGNALRCONNECTIONSTRING__SERVICEURI", "https://h/"),
            ("azuresignalrconnectionstring__CREDENTIAL", "ManagedIdentity"),
            ("AzureSignalRConnectionString__ClientID", "c"),
        ]);
        let signalr = config.unwrap().signalr.unwrap();
        assert_eq!(signalr.endpoint().as_str(), "https://h/");
        assert_eq!(
            (signalr.identity(), signalr.access_key()),
            (Some(&Identity::managed(Some("c")).unwrap()), None)
        );
    }

    #[test]
    fn an_identity_that_is_left_open_is_the_apps_on_azure_and_the_developers_elsewhere() {
        let uri = (SERVICE_URI, "https://h");
        let (managed, developer) = (Identity::managed(None).unwrap(), Identity::open(None, None).unwrap());
        let [on_azure, elsewhere] = [true, false].map(|azure| {
            let open = ConnectionString::with_identity("https://h", developer.clone()).unwrap();
            open.on_azure(azure).identity().unwrap().clone()
        });
        assert_eq!(on_azure, managed);
        let (site, endpoint) = ((SITE_NAME, "app"), (IDENTITY_ENDPOINT, "http://localhost:1"));
        let open = (SIGNALR, "Endpoint=https://h;AuthType=azure");
        for variables in [&[uri, site, endpoint][..], &[uri, endpoint], &[open, site, endpoint]] {
            assert_eq!(identity(variables), on_azure);
        }
        assert_eq!(identity(&[uri]), elsewhere);
        assert_eq!(identity(&[(SIGNALR, "Endpoint=https://h;AuthType=azure")]), elsewhere);
    }

    #[test]
    fn an_application_needs_its_ids_and_its_secret() {
        let (uri, secret) = ((SERVICE_URI, "https://h"), (CLIENT_SECRET, "hush"));
        let (client, tenant) = ((CLIENT_ID, "c"), (TENANT_ID, "t"));
        assert_eq!(
            identity(&[uri, client, tenant, secret]),
            Identity::application("c", "t", "hush").unwrap()
        );
        assert_eq!(problems(&[uri, secret, tenant]), [CLIENT_ID]);
        assert_eq!(problems(&[uri, secret, client]), [TENANT_ID]);
    }

    #[test]
    fn each_mistake_of_an_identity_is_named() {
        let uri = (SERVICE_URI, "https://h");
        for (variables, expected) in [
            (&[(SERVICE_URI, "h")][..], SERVICE_URI),
            (&[(SERVICE_URI, "http://h")], SERVICE_URI),
            (&[(CREDENTIAL, "managedidentity")], SERVICE_URI),
            (&[(CLIENT_ID, "c")], SERVICE_URI),
            (&[uri, (CREDENTIAL, "hush")], CREDENTIAL),
            (&[uri, (CLIENT_ID, "a/b")], CLIENT_ID),
            (&[uri, (TENANT_ID, "a/b")], TENANT_ID),
            (&[uri, (CREDENTIAL, "managedidentity"), (CLIENT_SECRET, "hush")], CLIENT_SECRET),
            (&[uri, (SIGNALR, KEY)], SIGNALR),
            (&[uri, (SITE_NAME, "app")], SERVICE_URI),
            (&[(SIGNALR, "Endpoint=https://h;AuthType=azure.msi"), (SITE_NAME, "app")], SIGNALR),
        ] {
            let told = read(variables).unwrap_err();
            assert_eq!(told.problems.iter().map(|problem| problem.name).collect::<Vec<_>>(), [expected]);
            assert!(!format!("{told:?}").contains("hush"));
        }
    }

    #[test]
    fn on_azure_nobody_is_anonymous_unless_that_was_switched_on_by_name() {
        assert!(!read(&[(SITE_NAME, "app")]).unwrap().allow_anonymous);
        assert!(read(&[(SITE_NAME, "app"), (ALLOW_ANONYMOUS, "True")]).unwrap().allow_anonymous);
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
    fn further_roots_are_certificates_or_a_problem() {
        assert_eq!(problems(&[(SIGNALR, KEY), (ROOTS, "nonsense")]), [ROOTS]);
    }

    #[test]
    fn case_23_the_hosts_route_prefix_is_followed() {
        assert_eq!(read(&[(ROUTE_PREFIX, "/v2/")]).unwrap().route_prefix, "v2");
    }
}
