//! Several things done to the same connections, with nothing in between.
//!
//! Who is meant is settled before the first of them: who is put into a group by one is not left out by its filter after it.

use std::collections::HashSet;

use tracing::debug;

use super::Service;
use crate::connection::Closure;
use crate::hub::{ConnectionId, GroupName, NotAdded, UserId};
use crate::hub_name::HubName;
use crate::protocol::Message;

/// One thing to do to connections.
#[derive(Debug)]
pub(crate) enum Order {
    Send(Message),
    Join(GroupName),
    Leave(GroupName),
    Close(Closure),
}

impl Service {
    /// Does everything in its order to each connection of the hub that fits, and returns how many those are. A connection
    /// that is in too many groups to join another is passed over.
    pub(crate) fn execute(
        &self,
        hub: &HubName,
        fits: impl Fn(&ConnectionId, Option<&UserId>, &[&str]) -> bool,
        orders: &[Order],
    ) -> usize {
        let (mut state, nobody) = (self.tidied(), HashSet::new());
        let chosen = state.hubs.everyone(hub, &nobody).filter(|connection| {
            let groups: Vec<_> = state.hubs.groups_of(hub, connection.id).map(GroupName::as_str).collect();
            fits(connection.id, connection.user, &groups)
        });
        let chosen: Vec<_> =
            chosen.map(|connection| (connection.id.clone(), connection.link.clone())).collect();
        for order in orders {
            match order {
                Order::Send(message) => {
                    let in_hub = self.treatment_in(hub);
                    chosen.iter().for_each(|(id, link)| self.push(hub, id, link, message, in_hub));
                }
                Order::Join(group) => {
                    for (id, _) in &chosen {
                        if state.hubs.add(hub, id, group) == Err(NotAdded::TooManyGroups) {
                            debug!(%hub, connection = %id, "connection {id} is in too many groups to join another");
                        }
                    }
                }
                Order::Leave(group) => chosen.iter().for_each(|(id, _)| state.hubs.remove(hub, id, group)),
                Order::Close(closure) => {
                    for (id, link) in &chosen {
                        link.close(closure.clone());
                        state.hubs.leave(hub, id);
                    }
                }
            }
        }
        chosen.len()
    }
}
