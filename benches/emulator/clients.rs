//! 2,000 clients of one hub, and what they all have.
//!
//! Each takes messages in order, from number 0 on: one that is lost, twice, changed or out of turn ends the run.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Result;
use crate::client::{CHUNK, Client};
use crate::common::http::Connection;
use crate::message::Numbered;
use crate::service::Service;
use crate::target::Protocol;

/// How many clients there are.
pub(crate) const CLIENTS: usize = 2_000;

/// How many connect at the same time.
const LANES: usize = 20;

/// What takes longer does not work.
const PATIENCE: Duration = Duration::from_secs(60);

/// The clients. Dropping it disconnects them.
pub(crate) struct Crowd {
    shared: Rc<Shared>,
    /// Each goes on until it is dropped.
    _clients: JoinSet<()>,
}

struct Shared {
    message: Numbered,
    /// Messages that have come, over all clients.
    taken: Cell<u64>,
    /// How many somebody waits for.
    awaited: Cell<u64>,
    /// What went wrong first.
    wrong: RefCell<Option<String>>,
    changed: Notify,
    /// Everybody reads into the same bytes: one client is at it at a time, and they stay in the cache.
    chunk: RefCell<Vec<u8>>,
}

impl Crowd {
    /// Connects everybody to `service`; what they get is `message`.
    pub(crate) async fn connect(
        service: &Rc<Service>,
        protocol: Protocol,
        message: &Numbered,
    ) -> Result<Self> {
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let service = service.clone();
            lanes.spawn_local(async move {
                let clients = connect(&service, protocol, (lane..CLIENTS).step_by(LANES)).await;
                clients.map_err(|error| error.to_string())
            });
        }
        let shared = Rc::new(Shared {
            message: message.clone(),
            taken: Cell::new(0),
            awaited: Cell::new(0),
            wrong: RefCell::new(None),
            changed: Notify::new(),
            chunk: RefCell::new(vec![0; CHUNK]),
        });
        let mut clients = JoinSet::new();
        while let Some(connected) = lanes.join_next().await {
            for client in connected?? {
                clients.spawn_local(take(client, shared.clone()));
            }
        }
        Ok(Self { shared, _clients: clients })
    }

    /// Waits until everybody has the first `messages`.
    pub(crate) async fn all_have(&self, messages: u32) -> Result<()> {
        let shared = &self.shared;
        let awaited = u64::from(messages) * CLIENTS as u64;
        shared.awaited.set(awaited);
        let waiting = async {
            while shared.wrong.borrow().is_none() && shared.taken.get() < awaited {
                shared.changed.notified().await;
            }
        };
        let in_time = timeout(PATIENCE, waiting).await.is_ok();
        self.is_well()?;
        if in_time {
            return Ok(());
        }
        let taken = shared.taken.get();
        Err(format!("of {awaited} deliveries {taken} have come, and no more within {} s", PATIENCE.as_secs())
            .into())
    }

    /// Whether nothing has gone wrong so far.
    pub(crate) fn is_well(&self) -> Result<()> {
        self.shared.wrong.borrow().clone().map_or(Ok(()), |error| Err(error.into()))
    }
}

async fn connect(
    service: &Service,
    protocol: Protocol,
    numbers: impl Iterator<Item = usize>,
) -> Result<Vec<Client>> {
    let port = service.process.port;
    let mut caller = Connection::open(port).await?;
    let mut clients = Vec::new();
    for number in numbers {
        let upgrade = service.negotiate(&mut caller, &format!("user-{number}")).await?;
        clients.push(Client::connect(port, &upgrade, protocol).await?);
    }
    Ok(clients)
}

/// Takes messages until something is wrong.
async fn take(mut client: Client, shared: Rc<Shared>) {
    let mut next = 0;
    let error = loop {
        let taking = poll_fn(|context| {
            client.poll_take(context, &mut shared.chunk.borrow_mut(), &shared.message, next)
        });
        match taking.await {
            Ok(count) => {
                next += count;
                shared.taken.update(|taken| taken + u64::from(count));
                if shared.taken.get() == shared.awaited.get() {
                    shared.changed.notify_one();
                }
            }
            Err(error) => break error,
        }
    };
    shared.wrong.borrow_mut().get_or_insert(error.to_string());
    shared.changed.notify_one();
}
