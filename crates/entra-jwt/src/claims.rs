//! What a token says, once it is known that the tenant says it: for whom, for what, from when and until when.
//!
//! What claims mean is told in <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::error::{Error, Invalid};
use crate::keys::Keys;
use crate::resource::Resource;
use crate::user::User;

/// By so much the clocks of issuer and machine may differ.
const LEEWAY: Duration = Duration::from_secs(60);

/// Those that are looked at. Each of Entra's tokens has the first three.
#[derive(Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    exp: u64,
    nbf: Option<u64>,
    tid: Option<String>,
    oid: Option<String>,
    /// Names of scopes, with spaces between them.
    scp: Option<String>,
    /// In tokens v2.0.
    preferred_username: Option<String>,
    /// In tokens v1.0. There is `email` too, but who has which address is not checked by everybody who fills it in.
    upn: Option<String>,
}

impl Claims {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Invalid> {
        serde_json::from_slice(payload).map_err(|_| Invalid::Malformed)
    }

    /// Whom it lets in at `now`. `keys` are those it was verified with.
    pub(crate) fn user(
        self,
        keys: &Keys,
        tenant_id: &str,
        resource: &Resource,
        now: SystemTime,
    ) -> Result<User, Error> {
        let of_tenant = self.tid.filter(|tid| tid == tenant_id);
        let Some(tenant_id) = of_tenant.filter(|_| keys.are_of(&self.iss)) else {
            return Err(Invalid::Issuer.into());
        };
        if !resource.audiences.contains(&self.aud) {
            return Err(Invalid::Audience.into());
        }
        let at = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(Invalid::Malformed);
        if at(self.exp)? + LEEWAY <= now {
            return Err(Invalid::Expired.into());
        }
        if self.nbf.map(at).transpose()?.is_some_and(|begins| begins > now + LEEWAY) {
            return Err(Invalid::NotYetValid.into());
        }
        let object_id = self.oid.filter(|oid| !oid.is_empty()).ok_or(Invalid::NoUser)?;
        let scopes = self.scp.unwrap_or_default();
        if !scopes.split(' ').any(|scope| scope == resource.scope) {
            return Err(Error::InsufficientScope);
        }
        let name = self.preferred_username.or(self.upn).filter(|name| !name.is_empty());
        Ok(User { tenant_id, object_id, name })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::signing::{CLIENT, SCOPE, Signer, TENANT, claims, keys_of};

    const NOW: u64 = 1_800_000_000;

    fn user_at(claims: &Value, now: u64) -> Result<User, Error> {
        let (right, _) = Signer::pair();
        let claims = Claims::parse(claims.to_string().as_bytes())?;
        let now = UNIX_EPOCH + Duration::from_secs(now);
        let resource = Resource::of_app(CLIENT, SCOPE).unwrap();
        claims.user(&keys_of(&right), TENANT, &resource, now)
    }

    fn user(claims: &Value) -> Result<User, Error> {
        user_at(claims, NOW)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims(NOW);
        claims[name] = value;
        claims
    }

    #[test]
    fn a_token_of_either_version_is_somebodys() {
        let ann = user(&claims(NOW)).unwrap();
        assert_eq!((ann.tenant_id(), ann.object_id(), ann.name()), (TENANT, "ann", Some("ann@contoso.com")));
        let mut v1 = claims(NOW);
        v1["iss"] = json!(format!("https://sts.windows.net/{TENANT}/"));
        v1["aud"] = json!(format!("api://{CLIENT}"));
        v1["upn"] = v1["preferred_username"].take();
        assert_eq!(user(&v1).unwrap(), ann);
    }

    #[test]
    fn case_36_for_another_app_from_another_issuer_or_of_another_tenant_it_is_refused() {
        for aud in ["", "00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", "api://other"]
        {
            assert_eq!(user(&with("aud", json!(aud))), Err(Invalid::Audience.into()), "{aud}");
        }
        for iss in [
            "",
            "https://login.microsoftonline.com/other/v2.0",
            "https://sts.windows.net/other/",
            "https://issuer",
        ] {
            assert_eq!(user(&with("iss", json!(iss))), Err(Invalid::Issuer.into()), "{iss}");
        }
        for tid in [json!("other"), json!(""), Value::Null] {
            assert_eq!(user(&with("tid", tid)), Err(Invalid::Issuer.into()));
        }
    }

    #[test]
    fn case_36_before_and_after_its_time_it_is_refused_but_for_a_minute() {
        let token = json!({"nbf": NOW, "exp": NOW + 3_600});
        let at = |now| {
            let mut claims = claims(NOW);
            claims["nbf"] = token["nbf"].clone();
            claims["exp"] = token["exp"].clone();
            user_at(&claims, now).map(drop)
        };
        assert_eq!(at(NOW - 61), Err(Invalid::NotYetValid.into()));
        assert_eq!((at(NOW - 60), at(NOW), at(NOW + 3_659)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(at(NOW + 3_660), Err(Invalid::Expired.into()));
        assert_eq!(user(&with("exp", json!(u64::MAX))).map(drop), Err(Invalid::Malformed.into()));
    }

    #[test]
    fn case_36_without_the_scope_it_is_good_but_not_for_this() {
        for scp in [json!("User.Read"), json!("access_as_user2 xaccess_as_user"), json!(""), Value::Null] {
            assert_eq!(user(&with("scp", scp)), Err(Error::InsufficientScope));
        }
        assert!(user(&with("scp", json!("User.Read access_as_user"))).is_ok());
    }

    #[test]
    fn a_token_of_an_app_for_itself_or_without_what_every_token_has_is_refused() {
        assert_eq!(user(&with("oid", Value::Null)), Err(Invalid::NoUser.into()));
        for name in ["iss", "aud", "exp"] {
            assert_eq!(user(&with(name, Value::Null)), Err(Invalid::Malformed.into()), "{name}");
        }
        for exp in [json!("1800000000"), json!(-1), json!(1.5), json!([])] {
            assert_eq!(user(&with("exp", exp)), Err(Invalid::Malformed.into()));
        }
    }

    #[test]
    fn an_address_that_people_may_have_chosen_is_no_name() {
        let mut guest = with("email", json!("root@contoso.com"));
        guest["preferred_username"] = Value::Null;
        assert_eq!(user(&guest).unwrap().name(), None);
    }

    #[test]
    fn a_user_does_not_print() {
        assert!(!format!("{:?}", user(&claims(NOW)).unwrap()).contains("ann"));
    }
}
