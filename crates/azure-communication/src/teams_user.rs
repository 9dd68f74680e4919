//! Somebody who has signed in to Teams, for whom a token of theirs is exchanged.

use std::fmt;

use crate::entra::EntraToken;

/// A user of Teams, as they have signed in to an app.
///
/// Its `Debug` form shows nothing of it.
#[derive(Clone, Copy)]
pub struct TeamsUser<'a> {
    /// The token the user has for the app, with the permissions `Teams.ManageCalls` and `Teams.ManageChats`.
    pub token: &'a EntraToken,
    /// The app's client id.
    pub app_id: &'a str,
    /// The user's object id in the tenant.
    pub user_id: &'a str,
}

impl fmt::Debug for TeamsUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TeamsUser(***)")
    }
}
