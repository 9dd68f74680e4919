//! The content of the header `x-ms-client-principal`: the claims of a user.
//!
//! It has two forms, that of App Service (<https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities>) and
//! that of Static Web Apps (<https://learn.microsoft.com/azure/static-web-apps/user-information>).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::error::Error;

/// The claim `name` under the name that Easy Auth gives it by default.
pub(super) const MAPPED_NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";

/// The claim types that hold a name, for principals that do not say which one does. `name` is the last: two people can have the same.
const NAME_TYPES: [&str; 3] = [MAPPED_NAME, "preferred_username", "name"];

/// The members of `x-ms-client-principal`, in the form of App Service or of Static Web Apps. Only those that are asked for must be valid.
#[derive(Default)]
pub(super) struct ClaimSet(Map<String, Value>);

impl ClaimSet {
    /// The members of the form of App Service, then of Static Web Apps.
    const MEMBERS: [&str; 6] = ["auth_typ", "name_typ", "claims", "identityProvider", "userId", "userDetails"];

    /// `None` unless it is base64 of a JSON object of either form.
    pub(super) fn decode(encoded: &str) -> Option<Self> {
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let members: Map<String, Value> = serde_json::from_slice(&LENIENT.decode(encoded).ok()?).ok()?;
        let has_list = members.get("claims").is_none_or(|claims| claims.is_array() || claims.is_null());
        let is_principal = has_list && Self::MEMBERS.iter().any(|name| members.contains_key(*name));
        is_principal.then_some(Self(members))
    }

    /// The name of the user, who may share it with users of other providers.
    pub(super) fn name(&self) -> Result<Option<&str>, Error> {
        if let Some(name) = self.text("userDetails", "the user details")? {
            return Ok(Some(name));
        }
        let named = self.text("name_typ", "the type of the name claim")?;
        let types: Vec<_> = named.into_iter().chain(NAME_TYPES).collect();
        self.claim(&types)
    }

    pub(super) fn provider(&self) -> Result<Option<&str>, Error> {
        let provider = self.text("auth_typ", "the provider")?;
        provider.map_or_else(|| self.text("identityProvider", "the provider"), |provider| Ok(Some(provider)))
    }

    /// The person's id at the provider, in the form of Static Web Apps.
    pub(super) fn user_id(&self) -> Result<Option<&str>, Error> {
        self.text("userId", "the user id")
    }

    /// The value of the first claim of the first of these types that is not empty. Of repeated claims the first one counts.
    pub(super) fn claim(&self, types: &[&str]) -> Result<Option<&str>, Error> {
        let claims = self.0.get("claims").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for typ in types {
            let Some(claim) = claims.iter().find(|claim| claim["typ"].as_str() == Some(typ)) else { continue };
            let value = claim["val"].as_str().ok_or(Error::UnreadablePrincipal("a claim"))?;
            if !value.is_empty() {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn text(&self, member: &str, what: &'static str) -> Result<Option<&str>, Error> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Error::UnreadablePrincipal(what)),
        }
    }
}
