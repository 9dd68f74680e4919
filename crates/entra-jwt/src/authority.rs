//! `Authority` and `Resource`: which tenant issues valid tokens, and which app and scope they must be for.
//!
//! A single tenant, by its id: `common` and the like would admit every account of Microsoft.

use azure_http::{is_encrypted_or_local, is_loopback, parse_base_url};
use url::Url;

/// The issuer of version 1.0 tokens in all clouds…
const ISSUER_V1: &str = "https://sts.windows.net";
/// …except this one.
const ISSUER_V1_CHINA: &str = "https://sts.chinacloudapi.cn";

/// A Microsoft Entra tenant and the cloud it is in.
///
/// ```
/// use entra_jwt::Authority;
///
/// Authority::new("https://login.microsoftonline.com/", "6babcaad-604b-40ac-a9d7-9fd97c0b779f")?;
/// # Ok::<_, entra_jwt::AuthorityError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    instance: Url,
    pub(crate) tenant_id: String,
}

impl Authority {
    /// The tenant with the id `tenant_id` in the cloud with the sign-in address `instance`, like `https://login.microsoftonline.com/`.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`] when the instance has a path or is not https (http is allowed on loopback), or when the tenant is not a GUID.
    pub fn new(instance: &str, tenant_id: &str) -> Result<Self, AuthorityError> {
        let instance = parse_base_url(instance)
            .filter(|url| url.path() == "/" && is_encrypted_or_local(url))
            .ok_or(AuthorityError::Instance)?;
        if !is_guid(tenant_id) {
            return Err(AuthorityError::TenantId);
        }
        Ok(Self { instance, tenant_id: tenant_id.to_ascii_lowercase() })
    }

    pub(crate) fn metadata_url(&self) -> Url {
        let path = [&self.tenant_id, "v2.0", ".well-known", "openid-configuration"];
        azure_http::join_segments(&self.instance, &path)
    }

    /// Whether `issuer` can be the issuer of version 2.0 tokens. Some tenants have a host of their own for that.
    pub(crate) fn is_issuer(&self, issuer: &str) -> bool {
        let path = format!("/{}/v2.0", self.tenant_id);
        Url::parse(issuer).is_ok_and(|url| self.is_trusted_url(&url) && url.path() == path && url.as_str() == issuer)
    }

    pub(crate) fn issuer_v1(&self) -> String {
        let is_china = self.instance.host_str().is_some_and(|host| host.ends_with(".cn"));
        let host = if is_china { ISSUER_V1_CHINA } else { ISSUER_V1 };
        format!("{host}/{}/", self.tenant_id)
    }

    /// Whether a document at `url` is as trustworthy as one of the instance itself.
    pub(crate) fn is_trusted_url(&self, url: &Url) -> bool {
        url.scheme() == "https" || (is_loopback(url) && is_loopback(&self.instance))
    }
}

/// What is wrong with an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The instance is not the sign-in address of a cloud.
    #[error("must be where people sign in, https://login.microsoftonline.com/, and nothing more")]
    Instance,
    /// The tenant is not given by its id.
    #[error("must be the id of a tenant, like 6babcaad-604b-40ac-a9d7-9fd97c0b779f; neither its name nor `common`")]
    TenantId,
}

/// The app that tokens must be for, and the scope they must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub(crate) audiences: Vec<String>,
    pub(crate) scope: String,
}

impl Resource {
    /// The app with the client id `client_id`: tokens of version 2.0 have it as audience, those of version 1.0 `api://` and the id.
    ///
    /// # Errors
    ///
    /// [`ClientIdError`] when the id is not a GUID.
    pub fn for_client_id(client_id: &str, scope: impl Into<String>) -> Result<Self, ClientIdError> {
        if !is_guid(client_id) {
            return Err(ClientIdError);
        }
        let id = client_id.to_ascii_lowercase();
        let uri = ["api://", &id].concat();
        Ok(Self { audiences: vec![id, uri], scope: scope.into() })
    }

    /// An app with a single audience of its own choice.
    #[must_use]
    pub fn for_audience(audience: impl Into<String>, scope: impl Into<String>) -> Self {
        Self { audiences: vec![audience.into()], scope: scope.into() }
    }
}

/// The client id of a resource is not a GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the id of an app, like 0b3ad9a5-5b1c-4f1f-a7b0-c3d2d1a0a001")]
pub struct ClientIdError;

/// Whether `text` is a GUID as Entra writes them: 32 hexadecimal digits in groups.
fn is_guid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let digits = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "https://login.microsoftonline.com/";
    const TENANT: &str = "6babcaad-604b-40ac-a9d7-9fd97c0b779f";

    fn authority(instance: &str) -> Authority {
        Authority::new(instance, TENANT).unwrap()
    }

    #[test]
    fn the_metadata_url_is_below_the_tenant() {
        let expected = format!("{PUBLIC}{TENANT}/v2.0/.well-known/openid-configuration");
        for instance in [PUBLIC, "https://login.microsoftonline.com"] {
            assert_eq!(authority(instance).metadata_url().as_str(), expected);
        }
    }

    #[test]
    fn issuers_are_those_of_the_tenant_in_every_cloud() {
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
    fn plain_http_is_trusted_on_loopback_only() {
        let own = authority("http://127.0.0.1:1/");
        assert!(own.is_issuer(&format!("http://127.0.0.1:1/{TENANT}/v2.0")));
        assert!(own.is_trusted_url(&"http://localhost:2/keys".parse().unwrap()));
        assert!(!authority(PUBLIC).is_trusted_url(&"http://localhost:2/keys".parse().unwrap()));
    }

    #[test]
    fn an_instance_with_a_path_and_a_tenant_without_an_id_are_rejected() {
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
        for tenant in
            ["", "common", "organizations", "contoso.onmicrosoft.com", &TENANT[1..], &TENANT.replace('6', "g")]
        {
            assert_eq!(Authority::new(PUBLIC, tenant), Err(AuthorityError::TenantId), "{tenant}");
        }
        assert_eq!(Authority::new(PUBLIC, &TENANT.to_uppercase()).unwrap(), authority(PUBLIC));
    }
}
