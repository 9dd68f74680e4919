//! The identity providers, by the names they have in addresses.
//!
//! None of them is ever called: locally a provider is a name under which somebody is signed in.

/// One identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Provider {
    /// As in `/.auth/login/{alias}` and in the principal.
    pub(super) alias: &'static str,
    /// As people call it.
    pub(super) label: &'static str,
}

const PROVIDERS: [Provider; 8] = [
    Provider { alias: "aad", label: "Microsoft Entra ID" },
    Provider { alias: "apple", label: "Apple" },
    Provider { alias: "facebook", label: "Facebook" },
    Provider { alias: "github", label: "GitHub" },
    Provider { alias: "google", label: "Google" },
    Provider { alias: "microsoftaccount", label: "Microsoft account" },
    Provider { alias: "twitter", label: "X" },
    Provider { alias: "x", label: "X" },
];

impl Provider {
    /// The provider called `alias`, in any letter case.
    pub(super) fn find(alias: &str) -> Option<Self> {
        PROVIDERS.into_iter().find(|provider| provider.alias.eq_ignore_ascii_case(alias))
    }

    /// All aliases, for an error that tells what would have been right.
    pub(super) fn aliases() -> String {
        PROVIDERS.map(|provider| provider.alias).join(", ")
    }
}
