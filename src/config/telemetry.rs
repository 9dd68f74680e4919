//! The settings of logs, traces and metrics.
//!
//! The names that begin with `OTEL_` are OpenTelemetry's; a Functions host that exports telemetry reads them, too.

use std::fmt;

use azure_http::{is_encrypted_or_local, parse_base_url};
use percent_encoding::percent_decode_str;
use url::Url;

use super::{ConfigError, DEFAULT_SERVICE_NAME, Env, LOG_FORMAT, OTLP_ENDPOINT, OTLP_HEADERS, SERVICE_NAME, SITE_NAME};

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A sentence with fields, for people.
    #[default]
    Plain,
    /// An object of JSON, for queries.
    Json,
}

/// The collector of traces and metrics, called by OTLP over HTTP.
#[derive(Clone)]
pub struct Otlp {
    /// Its address, below which each signal has a path.
    pub endpoint: Url,
    /// Headers, names in lower case; usually one of them is a key.
    pub headers: Vec<(String, String)>,
    /// The name of this service.
    pub service_name: String,
}

/// Shows the names of the headers only.
impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp").field("service_name", &self.service_name).finish_non_exhaustive()
    }
}

pub(super) fn log_format(env: &Env) -> Result<LogFormat, ConfigError> {
    match env.get(LOG_FORMAT).map(str::to_ascii_lowercase).as_deref() {
        None => Ok(LogFormat::default()),
        Some("plain") => Ok(LogFormat::Plain),
        Some("json") => Ok(LogFormat::Json),
        Some(_) => Err(ConfigError::new(LOG_FORMAT, "must be plain or json")),
    }
}

pub(super) fn otlp(env: &Env) -> Result<Option<Otlp>, ConfigError> {
    let Some(endpoint) = env.get(OTLP_ENDPOINT) else { return Ok(None) };
    let endpoint = parse_base_url(endpoint)
        .ok_or_else(|| ConfigError::new(OTLP_ENDPOINT, "must be the address of a collector, https://HOST:4318"))?;
    let headers = headers(env.get(OTLP_HEADERS).unwrap_or_default()).ok_or_else(|| {
        ConfigError::new(OTLP_HEADERS, "must be name=value, more of them after commas, with values percent-encoded")
    })?;
    if !headers.is_empty() && !is_encrypted_or_local(&endpoint) {
        let reason = "is sent to anywhere but this machine over https only; change the address in ";
        return Err(ConfigError::new(OTLP_HEADERS, [reason, OTLP_ENDPOINT].concat()));
    }
    let service_name = env.get(SERVICE_NAME).or_else(|| env.get(SITE_NAME)).unwrap_or(DEFAULT_SERVICE_NAME);
    Ok(Some(Otlp { endpoint, headers, service_name: service_name.to_owned() }))
}

/// Pairs of names and values in the form of W3C Baggage, without properties.
fn headers(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let (name, value) = (name.trim(), percent_decode_str(value.trim()).decode_utf8().ok()?);
            let right = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
                && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            right.then(|| (name.to_ascii_lowercase(), value.into_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::problems;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Otlp>, ConfigError> {
        otlp(&variables.iter().copied().collect())
    }

    #[test]
    fn the_log_is_for_people_unless_it_should_be_for_queries() {
        let format = |value: &str| log_format(&[(LOG_FORMAT, value)].into_iter().collect());
        assert_eq!(format(""), Ok(LogFormat::Plain));
        assert_eq!(format("Plain"), Ok(LogFormat::Plain));
        assert_eq!(format("JSON"), Ok(LogFormat::Json));
        assert_eq!(format("xml").unwrap_err().name, LOG_FORMAT);
    }

    #[test]
    fn without_a_collector_nothing_is_exported() {
        assert!(read(&[(OTLP_HEADERS, "%%"), (SERVICE_NAME, "chat")]).unwrap().is_none());
    }

    #[test]
    fn the_service_name_is_the_setting_or_else_the_name_of_the_app() {
        let endpoint = (OTLP_ENDPOINT, "https://h:4318");
        let name = |variables: &[_]| read(variables).unwrap().unwrap().service_name;
        assert_eq!(name(&[endpoint, (SERVICE_NAME, "a"), (SITE_NAME, "b")]), "a");
        assert_eq!(name(&[endpoint, (SITE_NAME, "b")]), "b");
        assert_eq!(name(&[endpoint]), DEFAULT_SERVICE_NAME);
    }

    #[test]
    fn headers_are_pairs_with_encoded_values() {
        let endpoint = (OTLP_ENDPOINT, "https://h:4318");
        let headers = |text| read(&[endpoint, (OTLP_HEADERS, text)]).unwrap().unwrap().headers;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers("Api-Key=a%20b=,"), [pair("api-key", "a b=")]);
        assert_eq!(headers("a=1, b=2"), [pair("a", "1"), pair("b", "2")]);
        for wrong in ["hush", "=hush", "a b=hush", "a=hush%0d%0ab: c", "a=%ff", "a=ä"] {
            assert_eq!(problems(&[endpoint, (OTLP_HEADERS, wrong)]), [OTLP_HEADERS], "{wrong}");
        }
    }

    #[test]
    fn a_key_leaves_this_machine_encrypted_or_not_at_all() {
        for (endpoint, fine) in [
            ("https://h:4318", true),
            ("http://h:4318", false),
            ("http://localhost:4318", true),
            ("http://127.0.0.1:4318", true),
            ("http://[::1]:4318", true),
            ("http://localhost.example", false),
        ] {
            assert_eq!(read(&[(OTLP_ENDPOINT, endpoint), (OTLP_HEADERS, "a=1")]).is_ok(), fine, "{endpoint}");
            assert!(read(&[(OTLP_ENDPOINT, endpoint)]).is_ok(), "{endpoint}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_collector_is_a_problem_and_not_repeated() {
        for endpoint in ["hush", "h:4318", "ftp://hush", "https://hush@h", "https://h/?key=hush", "https://h#hush"] {
            assert_eq!(problems(&[(OTLP_ENDPOINT, endpoint)]), [OTLP_ENDPOINT], "{endpoint}");
        }
    }

    #[test]
    fn what_is_sent_along_does_not_print() {
        let otlp = read(&[(OTLP_ENDPOINT, "https://h"), (OTLP_HEADERS, "a=hush")]);
        assert!(!format!("{otlp:?}").contains("hush"));
    }
}
