//! The operations of REST calls and the control API on connections and groups. [`Service::send`] only adds to the waiting messages. Each of the
//! others locks the hubs once, which distributes what waits, and does not wait, except [`Service::execute`].

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};

use serde::Serialize;
use tokio::task::yield_now;
use tokio::time::Instant;
use tracing::debug;

use super::connection_handle::ConnectionHandle;
use super::delivery::Delivery;
use super::send_queue::CloseOptions;
use super::waiting_messages::{Added, AddressedMessage, Recipients, runs};
use super::{Service, no_tokens};
use crate::fault_injection::ConnectionAction;
use crate::hub::{AddToGroupError, Connection, ConnectionId, GroupName, HubName, Hubs, UserId};
use crate::protocol::{OutgoingMessage, Protocol, ServerMessage};

/// A command of the REST call `:execute`.
#[derive(Debug)]
pub(crate) enum Command {
    Send(OutgoingMessage),
    Join(GroupName),
    Leave(GroupName),
    Close(CloseOptions),
}

/// How many connections a filter is evaluated for before other tasks of its thread run.
const EVALUATIONS_PER_TURN: usize = 32;

/// A connection that a filter is evaluated for. Its parts are shared with the hub.
struct Candidate {
    id: ConnectionId,
    user: Option<UserId>,
    handle: Arc<ConnectionHandle>,
    groups: Vec<GroupName>,
}

/// Selects the connections of all hubs that match every given property.
#[derive(Debug)]
pub(crate) struct ConnectionSelector {
    pub(crate) hub: Option<HubName>,
    pub(crate) user: Option<UserId>,
    pub(crate) connection: Option<ConnectionId>,
}

/// An open connection, as the control API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionInfo {
    pub(crate) connection: String,
    pub(crate) hub: String,
    /// `None` for an anonymous client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    pub(crate) transport: &'static str,
    pub(crate) protocol: &'static str,
    /// In alphabetical order.
    pub(crate) groups: Vec<String>,
    /// In milliseconds since 1970.
    pub(crate) connected_at: u64,
    /// The number of queued messages.
    pub(crate) queued: usize,
    pub(crate) frozen: bool,
}

/// Operations of REST calls.
impl Service {
    /// Sends a message soon, together with others that are sent meanwhile.
    pub(crate) fn send(self: &Arc<Self>, message: AddressedMessage) {
        let added = self.waiting().add(message);
        match added {
            Added::Waits => {}
            Added::First => drop(tokio::spawn(self.clone().distribute_soon())),
            Added::Full => self.distribute(),
        }
    }

    /// Messages that arrive while the writers are busy would wait in the queues. Put there together, they cost less.
    async fn distribute_soon(self: Arc<Self>) {
        self.writers.idle_or_pass_ended().await;
        self.distribute();
    }

    /// Puts the waiting messages into the queues of their recipients. What another task distributes at this moment is in the queues, too, when
    /// this returns.
    pub(crate) fn distribute(&self) {
        drop(self.hubs());
    }

    /// The same, with the locked hubs. The messages are taken under this lock, so that no later message overtakes them.
    pub(super) fn distribute_in(&self, hubs: &mut Hubs<Arc<ConnectionHandle>>) {
        let messages = self.waiting().take();
        if messages.is_empty() {
            return;
        }
        hubs.remove_expired(Instant::now());
        let diagnostics = self.diagnostics.as_deref();
        let affects_messages = diagnostics.is_some_and(|diagnostics| diagnostics.faults().affect_messages());
        for run in runs(&messages, affects_messages) {
            let AddressedMessage { hub, recipients, excluded, .. } = &run[0];
            let messages = run.iter().map(|addressed| &addressed.message).collect();
            let mut delivery = Delivery::begin(diagnostics, hub, messages);
            for_each(hubs, hub, recipients, excluded, |connection| {
                delivery.queue_for(connection.id, connection.handle);
            });
            delivery.end();
        }
    }

    /// Queues a message for one connection, whose handle [`connection`](Self::connection) has returned.
    pub(crate) fn queue_for_connection(
        &self,
        hub: &HubName,
        id: &ConnectionId,
        handle: &ConnectionHandle,
        message: &ServerMessage<'_>,
    ) {
        let Some(protocol) = handle.protocol() else { return };
        let frame = protocol.encode(message);
        if let Some(recorder) = self.recorder(hub, id) {
            recorder.sent(&frame);
        }
        handle.send_queue.push(frame);
    }

    /// The handle of one connection. The messages that were sent before are in its queue.
    pub(crate) fn connection(&self, hub: &HubName, id: &ConnectionId) -> Option<Arc<ConnectionHandle>> {
        Some(self.hubs().connection(hub, id)?.handle.clone())
    }

    /// Closes connections, and returns their number. They leave the hub at once, but still receive their queued messages.
    pub(crate) fn close(
        &self,
        hub: &HubName,
        recipients: &Recipients,
        excluded: &HashSet<ConnectionId>,
        options: &CloseOptions,
    ) -> usize {
        let (mut hubs, mut closed) = (self.current_hubs(), Vec::new());
        for_each(&hubs, hub, recipients, excluded, |connection| {
            connection.handle.send_queue.close(options.clone());
            closed.push(connection.id.clone());
        });
        for id in &closed {
            hubs.leave(hub, id);
        }
        closed.len()
    }

    /// Whether the recipients include a connection.
    pub(crate) fn exists(&self, hub: &HubName, recipients: &Recipients) -> bool {
        let hubs = self.current_hubs();
        match recipients {
            Recipients::Everyone => hubs.everyone(hub).next().is_some(),
            Recipients::Group(group) => hubs.has_group(hub, group),
            Recipients::User(user) => hubs.user(hub, user).next().is_some(),
            Recipients::Connection(id) => hubs.connection(hub, id).is_some(),
        }
    }

    /// At most `count` connections of a group with ids greater than `after`, in the order of ids, with their users; and whether
    /// these are the last.
    pub(crate) fn list_group(
        &self,
        hub: &HubName,
        group: &GroupName,
        after: Option<&ConnectionId>,
        count: usize,
    ) -> (Vec<(ConnectionId, Option<UserId>)>, bool) {
        let hubs = self.current_hubs();
        let mut connections = hubs.group(hub, group, after);
        let listed = connections.by_ref().take(count);
        let listed = listed.map(|connection| (connection.id.clone(), connection.user.cloned())).collect();
        (listed, connections.next().is_none())
    }

    /// Reads or changes groups and memberships.
    pub(crate) fn with_hubs<R>(&self, operation: impl FnOnce(&mut Hubs<Arc<ConnectionHandle>>) -> R) -> R {
        operation(&mut self.current_hubs())
    }

    /// Executes all commands in order for each connection that matches, and returns the number of these connections.
    ///
    /// `matches` is asked about the connections of one moment, with the groups of that moment, and without the lock: messages are
    /// delivered meanwhile. All commands then run under the lock, for those that are still connected. One that is in too many
    /// groups ignores a `Join`.
    pub(crate) async fn execute(
        &self,
        hub: &HubName,
        matches: impl Fn(&ConnectionId, Option<&UserId>, &[&str]) -> bool,
        commands: &[Command],
    ) -> usize {
        let mut selected = Vec::new();
        for (index, candidate) in self.candidates(hub).into_iter().enumerate() {
            if index > 0 && index % EVALUATIONS_PER_TURN == 0 {
                yield_now().await;
            }
            let groups: Vec<_> = candidate.groups.iter().map(GroupName::as_str).collect();
            if matches(&candidate.id, candidate.user.as_ref(), &groups) {
                selected.push((candidate.id, candidate.handle));
            }
        }
        self.execute_for(hub, selected, commands)
    }

    /// All connections of the hub with their groups.
    fn candidates(&self, hub: &HubName) -> Vec<Candidate> {
        let hubs = self.current_hubs();
        let candidates = hubs.everyone(hub).map(|connection| Candidate {
            id: connection.id.clone(),
            user: connection.user.cloned(),
            handle: connection.handle.clone(),
            groups: hubs.groups_of(hub, connection.id).cloned().collect(),
        });
        candidates.collect()
    }

    /// Executes all commands in order for each of these connections that is still in the hub, and returns the number of them.
    fn execute_for(
        &self,
        hub: &HubName,
        mut selected: Vec<(ConnectionId, Arc<ConnectionHandle>)>,
        commands: &[Command],
    ) -> usize {
        let mut hubs = self.current_hubs();
        selected.retain(|(id, handle)| {
            hubs.connection(hub, id).is_some_and(|connection| Arc::ptr_eq(connection.handle, handle))
        });
        for command in commands {
            match command {
                Command::Send(message) => {
                    let mut delivery = Delivery::begin(self.diagnostics.as_deref(), hub, vec![message]);
                    selected.iter().for_each(|(id, handle)| delivery.queue_for(id, handle));
                    delivery.end();
                }
                Command::Join(group) => {
                    for (id, _) in &selected {
                        if hubs.add(hub, id, group) == Err(AddToGroupError::TooManyGroups) {
                            debug!(%hub, connection = %id, "connection {id} is in too many groups to join another");
                        }
                    }
                }
                Command::Leave(group) => {
                    selected.iter().for_each(|(id, _)| hubs.remove(hub, id, group));
                }
                Command::Close(options) => {
                    for (id, handle) in &selected {
                        handle.send_queue.close(options.clone());
                        hubs.leave(hub, id);
                    }
                }
            }
        }
        selected.len()
    }

    /// The hubs without expired memberships.
    fn current_hubs(&self) -> MutexGuard<'_, Hubs<Arc<ConnectionHandle>>> {
        let mut hubs = self.hubs();
        hubs.remove_expired(Instant::now());
        hubs
    }
}

/// Operations of the control API.
impl Service {
    /// Executes an action on the selected connections, and returns their number.
    pub(crate) fn act_on(&self, selector: &ConnectionSelector, action: ConnectionAction) -> usize {
        let hubs = self.hubs();
        let mut count = 0;
        for (_, connection) in hubs.all().filter(|(hub, connection)| selector.matches(hub, connection)) {
            let queue = &connection.handle.send_queue;
            match action {
                ConnectionAction::Drop => queue.drop_transport(),
                ConnectionAction::Freeze => queue.set_frozen(true),
                ConnectionAction::Thaw => queue.set_frozen(false),
                ConnectionAction::Expire => queue.expire(),
            }
            count += 1;
        }
        count
    }

    /// All connections, sorted by hub and id.
    pub(crate) fn list_connections(&self) -> Vec<ConnectionInfo> {
        let hubs = self.current_hubs();
        let connections = hubs.all().map(|(hub, connection)| {
            let groups = hubs.groups_of(hub, connection.id);
            ConnectionInfo::new(hub, &connection, groups.map(|group| group.as_str().to_owned()).collect())
        });
        let mut connections: Vec<_> = connections.collect();
        drop(hubs);
        connections.sort_unstable_by(|one, other| (&one.hub, &one.connection).cmp(&(&other.hub, &other.connection)));
        connections
    }

    /// Drops all connections and removes all ids, groups and memberships, as a restart of the service does. Options, keys,
    /// faults and the traffic log stay.
    pub(crate) fn restart(&self) {
        // First the hubs: a connection that joins meanwhile is dropped next.
        *self.hubs() = Hubs::default();
        let mut admission = self.admission();
        admission.tokens.open_connections().for_each(|open| open.handle.send_queue.abort());
        admission.tokens = no_tokens(&self.options);
    }
}

/// Calls `act` with each of the recipients, except `excluded`.
fn for_each<'a>(
    hubs: &'a Hubs<Arc<ConnectionHandle>>,
    hub: &HubName,
    recipients: &'a Recipients,
    excluded: &HashSet<ConnectionId>,
    mut act: impl FnMut(Connection<'a, Arc<ConnectionHandle>>),
) {
    let act = |connection: Connection<'a, _>| {
        if !excluded.contains(connection.id) {
            act(connection);
        }
    };
    match recipients {
        Recipients::Everyone => hubs.everyone(hub).for_each(act),
        Recipients::Group(group) => hubs.group(hub, group, None).for_each(act),
        Recipients::User(user) => hubs.user(hub, user).for_each(act),
        Recipients::Connection(id) => hubs.connection(hub, id).into_iter().for_each(act),
    }
}

impl ConnectionSelector {
    fn matches(&self, hub: &HubName, connection: &Connection<'_, Arc<ConnectionHandle>>) -> bool {
        self.hub.as_ref().is_none_or(|wanted| wanted == hub)
            && self.user.as_ref().is_none_or(|wanted| Some(wanted) == connection.user)
            && self.connection.as_ref().is_none_or(|wanted| wanted == connection.id)
    }
}

impl ConnectionInfo {
    fn new(hub: &HubName, connection: &Connection<'_, Arc<ConnectionHandle>>, mut groups: Vec<String>) -> Self {
        let handle = connection.handle;
        groups.sort_unstable();
        Self {
            connection: connection.id.to_string(),
            hub: hub.to_string(),
            user: connection.user.map(|user| user.as_str().to_owned()),
            transport: handle.transport_type.name(),
            protocol: handle.protocol().map_or("none", Protocol::name),
            groups,
            connected_at: handle.connected_at,
            queued: handle.send_queue.len(),
            frozen: handle.send_queue.is_frozen(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use tokio::join;

    use super::*;
    use crate::options::Options;
    use crate::service::{ConnectionGuard, TransportHandle};

    fn hub() -> HubName {
        HubName::of_client("chat").unwrap()
    }

    fn service() -> Arc<Service> {
        Arc::new(Service::new(Options::default()))
    }

    /// A client of the hub that reads nothing.
    fn join_hub(service: &Arc<Service>) -> ConnectionGuard {
        let guard = service.connect(None, hub(), None, TransportHandle::WebSocket(None)).unwrap();
        guard.join_hub(Protocol::Json);
        guard
    }

    fn message() -> OutgoingMessage {
        OutgoingMessage::invocation("t".to_owned(), serde_json::from_str("[]").unwrap())
    }

    fn send(service: &Arc<Service>, recipients: Recipients) {
        service.send(AddressedMessage { hub: hub(), recipients, excluded: HashSet::new(), message: message() });
    }

    fn broadcast(service: &Arc<Service>) {
        send(service, Recipients::Everyone);
        service.distribute();
    }

    /// The number of recipients of each message in the traffic log.
    fn recorded(service: &Service) -> Vec<Option<usize>> {
        let diagnostics = service.diagnostics.as_ref().unwrap();
        diagnostics.traffic_log().messages.after(0).map(|message| message.entry.recipients).collect()
    }

    #[tokio::test]
    async fn messages_that_wait_are_queued_together_and_recorded_one_by_one() {
        let service = Arc::new(Service::new(Options { control: true, ..Options::default() }));
        let clients = [join_hub(&service), join_hub(&service)];
        for _ in 0..3 {
            send(&service, Recipients::Everyone);
        }
        send(&service, Recipients::Connection(clients[0].connection.clone()));
        service.distribute();
        assert_eq!(clients.each_ref().map(|client| client.handle.send_queue.len()), [4, 3]);
        assert_eq!(recorded(&service), [Some(2), Some(2), Some(2), Some(1)]);
    }

    #[tokio::test]
    async fn no_operation_on_the_hubs_overtakes_a_message() {
        let service = service();
        let before = join_hub(&service);
        send(&service, Recipients::Everyone);
        let after = join_hub(&service);
        assert_eq!((before.handle.send_queue.len(), after.handle.send_queue.len()), (1, 0));
        send(&service, Recipients::Everyone);
        after.leave_hub();
        assert_eq!(after.handle.send_queue.len(), 1);
        send(&service, Recipients::Everyone);
        service.close_all();
        assert_eq!(before.handle.send_queue.len(), 3);
    }

    /// A broadcast that was accepted before must be in the queue before, say, the answer to an invocation.
    #[test]
    fn an_operation_waits_for_the_messages_that_another_task_distributes() {
        let service = Arc::new(Service::new(Options { control: true, ..Options::default() }));
        let client = join_hub(&service);
        service.waiting().add(AddressedMessage {
            hub: hub(),
            recipients: Recipients::Everyone,
            excluded: HashSet::new(),
            message: message(),
        });
        let (distributed, seen) = mpsc::channel();
        thread::scope(|scope| {
            // The first task has taken the message, and waits for the faults.
            let faults = service.diagnostics.as_deref().unwrap().faults();
            scope.spawn(|| service.distribute());
            while !service.waiting().is_empty() {
                thread::yield_now();
            }
            scope.spawn(|| {
                service.distribute();
                distributed.send((client.handle.send_queue.len(), recorded(&service).len())).unwrap();
            });
            assert!(seen.recv_timeout(Duration::from_millis(100)).is_err(), "it does not wait");
            drop(faults);
            assert_eq!(seen.recv().unwrap(), (1, 1));
        });
    }

    #[tokio::test]
    async fn a_message_is_distributed_although_nothing_else_happens() {
        let service = service();
        let client = join_hub(&service);
        send(&service, Recipients::Everyone);
        while client.handle.send_queue.len() == 0 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_filter_is_evaluated_without_the_lock() {
        let service = service();
        let clients = [join_hub(&service), join_hub(&service)];
        let matches = |_: &ConnectionId, _: Option<&UserId>, _: &[&str]| {
            broadcast(&service);
            true
        };
        assert_eq!(service.execute(&hub(), matches, &[Command::Send(message())]).await, 2);
        assert!(clients.iter().all(|client| client.handle.send_queue.len() == 3));
    }

    #[tokio::test]
    async fn a_message_is_delivered_while_a_filter_is_evaluated_for_many_connections() {
        const CLIENTS: usize = 10 * EVALUATIONS_PER_TURN;
        let service = service();
        let clients: Vec<_> = (0..CLIENTS).map(|_| join_hub(&service)).collect();
        let evaluated = Cell::new(0);
        let matches = |_: &ConnectionId, _: Option<&UserId>, _: &[&str]| {
            evaluated.set(evaluated.get() + 1);
            false
        };
        let (hub, commands) = (hub(), []);
        let broadcasting = async {
            broadcast(&service);
            evaluated.get()
        };
        let (reached, evaluated_before) = join!(service.execute(&hub, matches, &commands), broadcasting);
        assert_eq!((reached, evaluated_before, evaluated.get()), (0, EVALUATIONS_PER_TURN, CLIENTS));
        assert!(clients.iter().all(|client| client.handle.send_queue.len() == 1));
    }

    #[tokio::test]
    async fn the_connections_are_those_of_the_beginning_that_are_left_at_the_end() {
        let service = service();
        let stays = join_hub(&service);
        let (leaves, joins) = (RefCell::new(Some(join_hub(&service))), RefCell::new(None));
        let group = GroupName::new("g").unwrap();
        let matches = |_: &ConnectionId, _: Option<&UserId>, groups: &[&str]| {
            leaves.take();
            joins.borrow_mut().get_or_insert_with(|| join_hub(&service));
            service.with_hubs(|hubs| hubs.add(&hub(), &stays.connection, &group)).unwrap();
            groups.is_empty()
        };
        assert_eq!(service.execute(&hub(), matches, &[Command::Send(message())]).await, 1);
        assert_eq!(stays.handle.send_queue.len(), 1);
        assert_eq!(joins.take().unwrap().handle.send_queue.len(), 0);
    }
}
