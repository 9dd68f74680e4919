//! Whose tokens count: one tenant of one cloud, and how it calls itself in them.
//!
//! One tenant, by its id: `common` and the like would let in everybody who has an account with Microsoft.

use std::fmt;

use url::{Host, Url};

/// A tenant, and where it signs people in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    instance: Url,
    tenant_id: String,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityError {
    /// The instance is not the address of a cloud's sign-in.
    Instance,
    /// The tenant is not named by its id.
    TenantId,
}

/// Who issues tokens of version 1.0, whatever the cloud…
const ISSUER_V1: &str = "https://sts.windows.net";
/// …but this one.
const ISSUER_V1_CHINA: &str = "https://sts.chinacloudapi.cn";

impl Authority {
    /// The tenant with the id `tenant_id` in the cloud whose people sign in at `instance`, like `https://login.microsoftonline.com/`.
    ///
    /// # Errors
    ///
    /// When the instance is not https, which only this machine need not be, or has a path; when the tenant is not given as a GUID.
    pub fn new(instance: &str, tenant_id: &str) -> Result<Self, AuthorityError> {
        let instance = Url::parse(instance).ok().filter(is_instance).ok_or(AuthorityError::Instance)?;
        if !is_guid(tenant_id) {
            return Err(AuthorityError::TenantId);
        }
        Ok(Self { instance, tenant_id: tenant_id.to_ascii_lowercase() })
    }

    pub(crate) fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// Where it says where its keys are.
    pub(crate) fn metadata(&self) -> Url {
        let mut url = self.instance.clone();
        url.path_segments_mut().expect("an instance has a host").pop_if_empty().extend([
            &self.tenant_id,
            "v2.0",
            ".well-known",
            "openid-configuration",
        ]);
        url
    }

    /// Whether somebody there may call themselves so in tokens v2.0. Some tenants have a host of their own for that.
    pub(crate) fn is_issuer(&self, issuer: &str) -> bool {
        let path = format!("/{}/v2.0", self.tenant_id);
        Url::parse(issuer)
            .is_ok_and(|url| self.leads_to(&url) && url.path() == path && url.as_str() == issuer)
    }

    /// How it calls itself in tokens v1.0.
    pub(crate) fn issuer_v1(&self) -> String {
        let is_china = self.instance.host_str().is_some_and(|host| host.ends_with(".cn"));
        let host = if is_china { ISSUER_V1_CHINA } else { ISSUER_V1 };
        format!("{host}/{}/", self.tenant_id)
    }

    /// Whether what lies at `url` can be believed as much as the instance itself.
    pub(crate) fn leads_to(&self, url: &Url) -> bool {
        url.scheme() == "https" || (is_this_machine(url) && is_this_machine(&self.instance))
    }
}

fn is_instance(url: &Url) -> bool {
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path() == "/";
    bare && url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(url)))
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether this is an id as Entra gives them out: 32 hexadecimal digits in groups.
pub(crate) fn is_guid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let digits = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(digits)
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instance => "must be where people sign in, https://login.microsoftonline.com/, and nothing more",
            Self::TenantId => {
                "must be the id of a tenant, like 6babcaad-604b-40ac-a9d7-9fd97c0b779f; neither its name nor `common`"
            }
        })
    }
}

impl std::error::Error for AuthorityError {}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "https://login.microsoftonline.com/";
    const TENANT: &str = "6babcaad-604b-40ac-a9d7-9fd97c0b779f";

    fn authority(instance: &str) -> Authority {
        Authority::new(instance, TENANT).unwrap()
    }

    #[test]
    fn its_metadata_are_below_the_tenant() {
        let expected = format!("{PUBLIC}{TENANT}/v2.0/.well-known/openid-configuration");
        for instance in [PUBLIC, "https://login.microsoftonline.com"] {
            assert_eq!(authority(instance).metadata().as_str(), expected);
        }
    }

    #[test]
    fn its_issuers_are_its_own_in_every_cloud() {
        let public = authority(PUBLIC);
        assert!(public.is_issuer(&format!("{PUBLIC}{TENANT}/v2.0")));
        assert!(public.is_issuer(&format!("https://{TENANT}.ciamlogin.com/{TENANT}/v2.0")));
        let other = TENANT.replace('6', "7");
        for wrong in [
            format!("{PUBLIC}{other}/v2.0"),
            format!("{PUBLIC}{TENANT}/"),
            format!("http://login.microsoftonline.com/{TENANT}/v2.0"),
            format!("http://127.0.0.1/{TENANT}/v2.0"),
            "https://login.microsoftonline.com/{tenantid}/v2.0".to_owned(),
            "x".to_owned(),
        ] {
            assert!(!public.is_issuer(&wrong), "{wrong}");
        }
        assert_eq!(public.issuer_v1(), format!("https://sts.windows.net/{TENANT}/"));
        let china = authority("https://login.partner.microsoftonline.cn/");
        assert_eq!(china.issuer_v1(), format!("https://sts.chinacloudapi.cn/{TENANT}/"));
    }

    #[test]
    fn only_this_machine_is_believed_in_clear() {
        let own = authority("http://127.0.0.1:1/");
        assert!(own.is_issuer(&format!("http://127.0.0.1:1/{TENANT}/v2.0")));
        assert!(own.leads_to(&"http://localhost:2/keys".parse().unwrap()));
        assert!(!authority(PUBLIC).leads_to(&"http://localhost:2/keys".parse().unwrap()));
    }

    #[test]
    fn what_names_no_tenant_or_no_cloud_is_refused() {
        for instance in [
            "x",
            "login.microsoftonline.com",
            "http://login.microsoftonline.com/",
            "https://login.microsoftonline.com/common",
            "https://ann@login.microsoftonline.com/",
            "https://login.microsoftonline.com/?x",
            "file:///x",
        ] {
            assert_eq!(Authority::new(instance, TENANT), Err(AuthorityError::Instance), "{instance}");
        }
        for tenant in [
            "",
            "common",
            "organizations",
            "contoso.onmicrosoft.com",
            &TENANT[1..],
            &TENANT.replace('6', "g"),
        ] {
            assert_eq!(Authority::new(PUBLIC, tenant), Err(AuthorityError::TenantId), "{tenant}");
        }
        assert_eq!(Authority::new(PUBLIC, &TENANT.to_uppercase()).unwrap(), authority(PUBLIC));
    }
}
