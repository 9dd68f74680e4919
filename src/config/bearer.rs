//! The settings of bearer tokens, under the names of Microsoft's own libraries (`AzureAd__…`).
//!
//! Bearer tokens are off unless a tenant is set, with a client id or an audience. App Service authentication needs none of these settings.

use entra_jwt::{Authority, AuthorityError, Resource};

use super::{
    ConfigError, DEFAULT_ENTRA_INSTANCE, ENTRA_AUDIENCE, ENTRA_CLIENT_ID, ENTRA_INSTANCE, ENTRA_TENANT_ID, Env,
};

/// The scope that every bearer token must contain.
pub const BEARER_SCOPE: &str = "access_as_user";

/// The bearer tokens of Microsoft Entra ID that are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The tenant that issues them.
    pub authority: Authority,
    /// The app that they are for, and the scope that they must have.
    pub resource: Resource,
}

pub(super) fn bearer(env: &Env) -> Result<Option<Bearer>, ConfigError> {
    let parts = [ENTRA_TENANT_ID, ENTRA_CLIENT_ID, ENTRA_AUDIENCE];
    let Some(part) = parts.into_iter().find(|name| env.get(name).is_some()) else { return Ok(None) };
    // Without one of them no token would be validated, unnoticed.
    let needed = |name, what: &str| {
        env.get(name).ok_or_else(|| ConfigError::new(name, format!("is not set, and {part} is; it is {what}")))
    };
    let tenant_id = needed(ENTRA_TENANT_ID, "the id of the tenant whose people may sign in")?;
    let instance = env.get(ENTRA_INSTANCE).unwrap_or(DEFAULT_ENTRA_INSTANCE);
    let authority = Authority::new(instance, tenant_id).map_err(|error| {
        let name = match error {
            AuthorityError::Instance => ENTRA_INSTANCE,
            AuthorityError::TenantId => ENTRA_TENANT_ID,
        };
        ConfigError::new(name, error)
    })?;
    let resource = match env.get(ENTRA_AUDIENCE) {
        Some(audience) => Resource::for_audience(audience, BEARER_SCOPE),
        // The client id is needed for the audience only.
        None => {
            let what = "the id of the app that tokens are for, from its registration; or set AzureAd__Audience";
            let client_id = needed(ENTRA_CLIENT_ID, what)?;
            Resource::for_client_id(client_id, BEARER_SCOPE)
                .map_err(|error| ConfigError::new(ENTRA_CLIENT_ID, error))?
        }
    };
    Ok(Some(Bearer { authority, resource }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{problems, read};

    const TENANT: (&str, &str) = (ENTRA_TENANT_ID, "6babcaad-604b-40ac-a9d7-9fd97c0b779f");
    const CLIENT: (&str, &str) = (ENTRA_CLIENT_ID, "0b3ad9a5-5b1c-4f1f-a7b0-c3d2d1a0a001");

    const AUDIENCE: (&str, &str) = (ENTRA_AUDIENCE, "api://chat");

    fn bearer(variables: &[(&str, &str)]) -> Option<Bearer> {
        read(variables).unwrap().bearer
    }

    #[test]
    fn it_is_off_unless_a_tenant_and_an_app_are_named() {
        assert_eq!(bearer(&[]), None);
        assert_eq!(bearer(&[(ENTRA_INSTANCE, DEFAULT_ENTRA_INSTANCE)]), None);
        assert!(bearer(&[TENANT, CLIENT]).is_some());
    }

    #[test]
    fn the_cloud_is_the_public_one_and_the_name_of_the_app_its_id_unless_it_is_said_otherwise() {
        let public = bearer(&[TENANT, CLIENT]);
        assert_eq!(public, bearer(&[TENANT, CLIENT, (ENTRA_INSTANCE, "https://login.microsoftonline.com")]));
        assert_ne!(public, bearer(&[TENANT, CLIENT, (ENTRA_INSTANCE, "https://login.microsoftonline.us/")]));
        let named = bearer(&[TENANT, CLIENT, AUDIENCE]);
        assert_eq!(named.unwrap().resource, Resource::for_audience("api://chat", BEARER_SCOPE));
    }

    #[test]
    fn with_an_audience_no_client_id_is_needed() {
        let with_audience = bearer(&[TENANT, AUDIENCE]);
        assert!(with_audience.is_some());
        assert_eq!(with_audience, bearer(&[TENANT, AUDIENCE, CLIENT]));
    }

    #[test]
    fn each_mistake_is_named_without_its_value() {
        for (variables, expected) in [
            (&[TENANT][..], ENTRA_CLIENT_ID),
            (&[CLIENT], ENTRA_TENANT_ID),
            (&[(ENTRA_AUDIENCE, "api://hush")], ENTRA_TENANT_ID),
            (&[(ENTRA_TENANT_ID, "hush.onmicrosoft.com"), CLIENT], ENTRA_TENANT_ID),
            (&[(ENTRA_TENANT_ID, "common"), CLIENT], ENTRA_TENANT_ID),
            (&[TENANT, (ENTRA_CLIENT_ID, "hush")], ENTRA_CLIENT_ID),
            (&[TENANT, CLIENT, (ENTRA_INSTANCE, "http://hush/")], ENTRA_INSTANCE),
        ] {
            assert_eq!(problems(variables), [expected]);
        }
    }
}
