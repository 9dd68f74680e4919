//! Blob containers in settings: the address of one, and how requests to it are authorized.

use azure_credentials::CredentialSource;
use azure_http::{RootCertificates, Secret, is_loopback};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use url::{Host, Url, form_urlencoded};

use super::signalr::roots;
use super::{CLIENT_ID, ConfigError, Env};

/// A private blob container.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its address, without a query.
    pub url: Url,
    /// How requests to it are authorized.
    pub access: ContainerAccess,
    /// Trusted beside Mozilla's roots.
    pub roots: RootCertificates,
}

/// How requests to a container are authorized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerAccess {
    /// With a shared access signature: the query of a SAS URL.
    Sas(Secret),
    /// With tokens of an identity; the address is https.
    Identity(CredentialSource),
}

/// The settings of a container, by name, and what is done with its blobs.
pub(super) struct ContainerSettings {
    /// The address.
    pub(super) address: &'static str,
    /// The client id of the identity, if it is not that of SignalR.
    pub(super) client_id: &'static str,
    /// Additional root certificates.
    pub(super) roots: &'static str,
    /// What a SAS has to allow.
    pub(super) permissions: &'static str,
    /// The problem of a SAS that does not.
    pub(super) lacks_permission: &'static str,
}

const NOT_A_CONTAINER: &str = "must be the address of a container, https://ACCOUNT.blob.core.windows.net/CONTAINER, or a SAS URL of it, and nothing more";

impl ContainerSettings {
    /// The container at an address, which is the value of the setting.
    pub(super) fn read(&self, env: &Env, address: &str, now: Timestamp) -> Result<Container, ConfigError> {
        let wrong = |reason: &str| ConfigError::new(self.address, reason);
        let (url, sas) = parse_container(address).ok_or_else(|| wrong(NOT_A_CONTAINER))?;
        let roots = roots(env, self.roots)?.unwrap_or_default();
        if let Some(sas) = sas {
            self.check_sas(&sas, now).map_err(wrong)?;
            if url.scheme() != "https" && !is_loopback(&url) {
                return Err(wrong("must be https; http is for this machine only"));
            }
            let access = ContainerAccess::Sas(Secret::new(sas));
            return Ok(Container { url, access, roots });
        }
        if url.scheme() != "https" {
            return Err(wrong("must be https; http is for a SAS URL and this machine only"));
        }
        // Most apps have one identity for everything.
        let name = [self.client_id, CLIENT_ID].into_iter().find(|name| env.get(name).is_some());
        let source = CredentialSource::automatic(name.and_then(|name| env.get(name)), None);
        let source =
            source.map_err(|error| ConfigError::new(name.unwrap_or(self.client_id), error))?.on_azure(env.is_azure());
        if source.is_managed_identity() && env.lacks_identity() {
            return Err(wrong(
                "needs a managed identity, and this app has none; turn one on, in the portal under Identity",
            ));
        }
        Ok(Container { url, access: ContainerAccess::Identity(source), roots })
    }

    /// Checks the parts of a SAS that it shows: <https://learn.microsoft.com/rest/api/storageservices/create-service-sas>.
    ///
    /// Times and permissions are missing if a stored access policy has them.
    fn check_sas(&self, sas: &str, now: Timestamp) -> Result<(), &'static str> {
        let part = |name: &str| {
            let mut parts = form_urlencoded::parse(sas.as_bytes());
            parts.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
        };
        if part("sv").is_none() || part("sig").is_none() {
            return Err("has a query that is no SAS: sv or sig is missing; copy the SAS URL of the container");
        }
        if part("sr").is_some_and(|resource| resource != "c") {
            return Err("has a SAS that is not for the container (sr=c); create one for the container");
        }
        let has_policy = part("si").is_some();
        match part("se").map(|expiry| parse_sas_time(&expiry)) {
            None if has_policy => {}
            Some(Some(expiry)) if expiry > now => {}
            Some(Some(_)) => return Err("has a SAS that has expired; create a new one"),
            None | Some(None) => return Err("has a SAS without an expiry (se); copy the SAS URL of the container"),
        }
        match part("sp") {
            None if has_policy => Ok(()),
            Some(granted) if self.permissions.chars().all(|needed| granted.contains(needed)) => Ok(()),
            _ => Err(self.lacks_permission),
        }
    }
}

/// The address of a container and its SAS. The account is the first label of the host name, or, on this machine, of the path.
fn parse_container(address: &str) -> Option<(Url, Option<String>)> {
    let mut url = Url::parse(address).ok()?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return None;
    }
    let sas = url.query().map(str::to_owned);
    url.set_query(None);
    url.path_segments_mut().ok()?.pop_if_empty();
    let path: Vec<_> = url.path_segments()?.collect();
    let (account, name) = match (path.as_slice(), is_loopback(&url), url.host()?) {
        ([account, name], true, _) => (*account, *name),
        ([name], _, Host::Domain(host)) => (host.split('.').next()?, *name),
        _ => return None,
    };
    (is_account(account) && is_container(name)).then_some((url, sas))
}

/// The forms that Azure Storage accepts: a date, or a time of day in UTC with or without seconds.
fn parse_sas_time(text: &str) -> Option<Timestamp> {
    let date = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    text.parse().ok().or_else(date)
}

fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_container(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::access_tokens::CONTAINER as IDENTITIES;

    #[test]
    fn a_sas_that_cannot_work_is_named_at_start() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        for sas in [
            "sv=1&sig=x&se=2026-11-26T12:00:01Z&sp=rcwd",
            "sv=1&sig=x&se=2026-11-26T12:01Z&sp=dwcr&sr=c",
            "sv=1&sig=x&se=2026-11-27&sp=rcwdlacup&ss=b&srt=sco",
            "sv=1&sig=x&si=policy&sr=c",
        ] {
            assert_eq!(IDENTITIES.check_sas(sas, now), Ok(()), "{sas}");
        }
        for (sas, expected) in [
            ("", "no SAS"),
            ("sig=x&se=2999-01-01&sp=rcwd", "no SAS"),
            ("sv=1&sig=&se=2999-01-01&sp=rcwd", "no SAS"),
            ("sv=1&sig=x&se=2999-01-01&sp=rcwd&sr=b", "not for the container"),
            ("sv=1&sig=x&sp=rcwd", "without an expiry"),
            ("sv=1&sig=x&se=soon&sp=rcwd", "without an expiry"),
            ("sv=1&sig=x&se=2026-11-26T12:00:00Z&sp=rcwd", "has expired"),
            ("sv=1&sig=x&se=2026-11-26&sp=rcwd", "has expired"),
            ("sv=1&sig=x&se=2999-01-01&sp=r", "lacks a permission"),
            ("sv=1&sig=x&se=2999-01-01&sp=cwd", "lacks a permission"),
            ("sv=1&sig=x&se=2999-01-01", "lacks a permission"),
        ] {
            assert!(IDENTITIES.check_sas(sas, now).unwrap_err().contains(expected), "{sas}");
        }
    }
}
