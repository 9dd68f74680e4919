//! What an access token allows.
//!
//! The names are the service's, with their dots, and case counts.

use serde::Serialize;

use crate::version::ApiVersion;

/// One thing a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Scope {
    /// Everything in chat.
    #[serde(rename = "chat")]
    Chat,
    /// In chat, all but to make, change and delete threads.
    #[serde(rename = "chat.join")]
    ChatJoin,
    /// In chat, messages, receipts and typing: for guests.
    #[serde(rename = "chat.join.limited")]
    ChatJoinLimited,
    /// To start calls and to join them.
    #[serde(rename = "voip")]
    Voip,
    /// To join calls.
    #[serde(rename = "voip.join")]
    VoipJoin,
}

impl Scope {
    const ALL: [Self; 5] = [Self::Chat, Self::ChatJoin, Self::ChatJoinLimited, Self::Voip, Self::VoipJoin];

    /// The service's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::ChatJoin => "chat.join",
            Self::ChatJoinLimited => "chat.join.limited",
            Self::Voip => "voip",
            Self::VoipJoin => "voip.join",
        }
    }

    /// The first version of the API that knows it.
    fn since(self) -> ApiVersion {
        match self {
            Self::Chat | Self::Voip => ApiVersion::V2021_03_07,
            Self::ChatJoin | Self::ChatJoinLimited | Self::VoipJoin => ApiVersion::V2023_10_01,
        }
    }

    /// The scopes that exist in a version of the API.
    pub(crate) fn known(version: ApiVersion) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |scope| scope.since() <= version)
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_found_by_the_name_it_prints() {
        for scope in Scope::ALL {
            assert_eq!(Scope::of(scope.as_str()), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        assert_eq!(Scope::of("Chat"), None);
    }

    #[test]
    fn narrow_scopes_came_later() {
        assert_eq!(Scope::known(ApiVersion::V2022_10_01).count(), 2);
        assert_eq!(Scope::known(ApiVersion::V2023_10_01).count(), 5);
    }
}
