//! The 2,000 simulated clients of one hub. A message that is lost, duplicated, changed or out of order ends the run.

use std::cell::{Cell, RefCell};
use std::fs;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{Client, NumberedMessage, Protocol, READ_BUFFER_BYTES};
use crate::common::Result;
use crate::common::http::Connection;
use crate::target::Service;

/// The number of clients.
pub(crate) const CLIENT_COUNT: usize = 2_000;

/// How many clients connect concurrently.
const CONCURRENT_CONNECTS: usize = 20;

/// The longest wait until all clients have received all messages.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// The clients. Dropping it disconnects them.
pub(crate) struct Clients {
    shared: Rc<Shared>,
    /// Dropping the set stops the tasks.
    _tasks: JoinSet<()>,
}

struct Shared {
    message: NumberedMessage,
    /// The number of received messages of all clients.
    received: Cell<u64>,
    /// The number of messages that [`Clients::wait_for`] waits for.
    expected: Cell<u64>,
    /// The first error.
    error: RefCell<Option<String>>,
    changed: Notify,
    /// One read buffer for all clients, which stays in the CPU cache. Only one task runs at a time.
    buffer: RefCell<Vec<u8>>,
}

impl Clients {
    /// Connects all clients to `service`. They expect `message`.
    pub(crate) async fn connect(service: &Rc<Service>, protocol: Protocol, message: &NumberedMessage) -> Result<Self> {
        let mut connecting = JoinSet::new();
        for first in 0..CONCURRENT_CONNECTS {
            let service = service.clone();
            connecting.spawn_local(async move {
                let clients = connect(&service, protocol, (first..CLIENT_COUNT).step_by(CONCURRENT_CONNECTS)).await;
                clients.map_err(|error| error.to_string())
            });
        }
        let shared = Rc::new(Shared {
            message: message.clone(),
            received: Cell::new(0),
            expected: Cell::new(0),
            error: RefCell::new(None),
            changed: Notify::new(),
            buffer: RefCell::new(vec![0; READ_BUFFER_BYTES]),
        });
        let mut tasks = JoinSet::new();
        while let Some(connected) = connecting.join_next().await {
            for client in connected?? {
                tasks.spawn_local(receive(client, shared.clone()));
            }
        }
        Ok(Self { shared, _tasks: tasks })
    }

    /// Waits until all clients have received the first `messages`.
    pub(crate) async fn wait_for(&self, messages: u32) -> Result<()> {
        let shared = &self.shared;
        let expected = u64::from(messages) * CLIENT_COUNT as u64;
        shared.expected.set(expected);
        let waiting = async {
            while shared.error.borrow().is_none() && shared.received.get() < expected {
                shared.changed.notified().await;
            }
        };
        let in_time = timeout(DELIVERY_TIMEOUT, waiting).await.is_ok();
        self.check()?;
        if in_time {
            return Ok(());
        }
        let received = shared.received.get();
        Err(format!("only {received} of {expected} deliveries arrived within {} s", DELIVERY_TIMEOUT.as_secs()).into())
    }

    /// Returns the first error, if any.
    pub(crate) fn check(&self) -> Result<()> {
        self.shared.error.borrow().clone().map_or(Ok(()), |error| Err(error.into()))
    }
}

async fn connect(service: &Service, protocol: Protocol, numbers: impl Iterator<Item = usize>) -> Result<Vec<Client>> {
    let port = service.process.port;
    let mut caller = Connection::open(port).await?;
    let mut clients = Vec::new();
    for number in numbers {
        let upgrade = service.negotiate(&mut caller, &format!("user-{number}")).await?;
        clients.push(Client::connect(port, &upgrade, protocol).await?);
    }
    Ok(clients)
}

/// Receives messages until an error occurs.
async fn receive(mut client: Client, shared: Rc<Shared>) {
    let mut next = 0;
    let error = loop {
        let receiving =
            poll_fn(|context| client.poll_receive(context, &mut shared.buffer.borrow_mut(), &shared.message, next));
        match receiving.await {
            Ok(count) => {
                next += count;
                shared.received.update(|received| received + u64::from(count));
                if shared.received.get() == shared.expected.get() {
                    shared.changed.notify_one();
                }
            }
            Err(error) => break error,
        }
    };
    shared.error.borrow_mut().get_or_insert(error.to_string());
    shared.changed.notify_one();
}

/// Open files of a process besides the sockets of the clients.
const OTHER_OPEN_FILES: usize = 100;

/// Checks that a process may open a socket for each client. Child processes inherit the limit.
pub(crate) fn check_open_files() -> Result<()> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let limit =
        line.and_then(|line| line.split_whitespace().next()).ok_or("/proc/self/limits has no limit of open files")?;
    let needed = CLIENT_COUNT + OTHER_OPEN_FILES;
    // The value may be `unlimited`.
    if limit.parse::<usize>().is_ok_and(|limit| limit < needed) {
        return Err(format!(
            "{CLIENT_COUNT} clients need {needed} open files in one process, and the limit is {limit}; raise it with `ulimit -n {needed}`"
        )
        .into());
    }
    Ok(())
}
