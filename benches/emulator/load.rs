//! 2,000 clients of one hub: what they cost while nothing happens, and how messages get to them.
//!
//! Messages go out in three ways: as fast as they are accepted, each when everybody has the last, and to one client alone.

use std::future::poll_fn;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::Result;
use crate::client::{CHUNK, Client};
use crate::clients::{CLIENTS, Crowd};
use crate::common::http::Connection;
use crate::common::process::{Process, Scheduled};
use crate::message::Numbered;
use crate::service::{Service, To};
use crate::target::Target;

const REPEATS: usize = 3;

/// Messages to everybody, in each of the two ways.
pub(crate) const BROADCASTS: u32 = 200;

/// Messages to one client.
const SINGLES: u32 = 1_000;

/// How long nothing happens before memory is looked at: shorter than any ping takes to come.
const IDLE: Duration = Duration::from_secs(3);

/// The loads of one target, a value per repeat.
#[derive(Default)]
pub(crate) struct Loads {
    /// Resident MiB before anybody is connected.
    pub(crate) empty_mib: Vec<f64>,
    /// What each connection adds to that while nothing happens, in KiB…
    pub(crate) idle_kib: Vec<f64>,
    /// …and after all that follows.
    pub(crate) after_kib: Vec<f64>,
    pub(crate) flood: Broadcasts,
    pub(crate) turns: Broadcasts,
    /// Microseconds until one client has a message that is for it alone: half of them take less, and all but one in a hundred.
    pub(crate) single_p50_us: Vec<f64>,
    pub(crate) single_p99_us: Vec<f64>,
}

/// Broadcasts in one way, a value per repeat.
#[derive(Default)]
pub(crate) struct Broadcasts {
    /// Milliseconds from before the first is sent until everybody has the last.
    pub(crate) all_ms: Vec<f64>,
    pub(crate) per_second: Vec<f64>,
    /// Microseconds all threads of the target were on a core, per delivery.
    pub(crate) cpu_us: Vec<f64>,
    /// The share of time in which the clients' thread had something to do, whether or not it got a core.
    pub(crate) asking: Vec<f64>,
}

/// Loads every target in turn, again and again, a fresh process each time. The result is in the order of `targets`.
pub(crate) async fn measure(targets: &[(Target, Numbered)]) -> Result<Vec<Loads>> {
    let mut all: Vec<Loads> = targets.iter().map(|_| Loads::default()).collect();
    for _ in 0..REPEATS {
        for ((target, message), loads) in targets.iter().zip(&mut all) {
            let mut service = Rc::new(target.start()?);
            if let Err(error) = loads.add(target, &service, message).await {
                let ended = Rc::get_mut(&mut service)
                    .is_some_and(|service| service.process.has_ended().unwrap_or(true));
                let ended = if ended { ", and it has ended by itself" } else { "" };
                return Err(format!("{} under load: {error}{ended}", target.name).into());
            }
        }
    }
    Ok(all)
}

impl Loads {
    async fn add(&mut self, target: &Target, service: &Rc<Service>, message: &Numbered) -> Result<()> {
        let process = &service.process;
        sleep(IDLE / 10).await;
        let empty = process.resident_kib()?;
        let crowd = Crowd::connect(service, target.protocol, message).await?;
        sleep(IDLE).await;
        let idle = process.resident_kib()?;
        self.empty_mib.push(empty / 1_024.0);
        self.idle_kib.push((idle - empty) / CLIENTS as f64);

        let mut sending = service.sending(To::Everyone, message)?;
        let mut caller = Connection::open(process.port).await?;
        let measuring = Measuring::begin(process)?;
        let sent = send_from_elsewhere(process.port, sending.clone());
        tokio::try_join!(crowd.all_have(BROADCASTS), async { Ok(sent.await??) })?;
        measuring.end(&mut self.flood)?;

        let measuring = Measuring::begin(process)?;
        for number in BROADCASTS..2 * BROADCASTS {
            send(&mut caller, sending.with(number)).await?;
            crowd.all_have(number + 1).await?;
        }
        measuring.end(&mut self.turns)?;

        let mut singles = one_by_one(target, service, &mut caller, message).await?;
        singles.sort_by(f64::total_cmp);
        self.single_p50_us.push(singles[singles.len() / 2]);
        self.single_p99_us.push(singles[singles.len() * 99 / 100]);
        sleep(IDLE / 10).await;
        self.after_kib.push((process.resident_kib()? - empty) / CLIENTS as f64);
        // By now a message that came twice would have been seen.
        crowd.is_well()
    }
}

/// Sends messages to one more client alone, each when it has the last: microseconds from before the sending until it has it.
async fn one_by_one(
    target: &Target,
    service: &Service,
    caller: &mut Connection,
    message: &Numbered,
) -> Result<Vec<f64>> {
    const USER: &str = "listener";
    let upgrade = service.negotiate(caller, USER).await?;
    let mut client = Client::connect(service.process.port, &upgrade, target.protocol).await?;
    let mut sending = service.sending(To::User(USER), message)?;
    let mut chunk = vec![0; CHUNK];
    let mut times = Vec::new();
    for number in 0..SINGLES {
        let begun = Instant::now();
        let taking = async {
            while poll_fn(|context| client.poll_take(context, &mut chunk, message, number)).await? == 0 {}
            Ok(begun.elapsed())
        };
        let (time, ()) = tokio::try_join!(taking, send(caller, sending.with(number)))?;
        times.push(time.as_secs_f64() * 1e6);
    }
    Ok(times)
}

/// Sends the first messages on a thread of its own: on that of the clients, a caller would wait for its turn behind all of them.
fn send_from_elsewhere(port: u16, mut sending: Numbered) -> oneshot::Receiver<Result<(), String>> {
    let (sent, outcome) = oneshot::channel();
    thread::spawn(move || {
        let outcome = send_all(port, &mut sending).map_err(|error| error.to_string());
        // If nobody waits any more, something else has gone wrong.
        let _ = sent.send(outcome);
    });
    outcome
}

fn send_all(port: u16, sending: &mut Numbered) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut caller = Connection::open(port).await?;
        for number in 0..BROADCASTS {
            send(&mut caller, sending.with(number)).await?;
        }
        Ok(())
    })
}

async fn send(caller: &mut Connection, request: &[u8]) -> Result<()> {
    let status = caller.ask(request).await?.status;
    if status == 202 { Ok(()) } else { Err(format!("a message was answered {status}").into()) }
}

/// What was so when something began.
struct Measuring<'a> {
    process: &'a Process,
    begun: Instant,
    cpu: Duration,
    thread: Scheduled,
}

impl<'a> Measuring<'a> {
    fn begin(process: &'a Process) -> Result<Self> {
        let (cpu, thread) = (process.cpu_time()?, Scheduled::this_thread()?);
        Ok(Self { process, begun: Instant::now(), cpu, thread })
    }

    /// Everybody has everything.
    fn end(self, broadcasts: &mut Broadcasts) -> Result<()> {
        let elapsed = self.begun.elapsed().as_secs_f64();
        let cpu = self.process.cpu_time()?.saturating_sub(self.cpu).as_secs_f64();
        let asking = Scheduled::this_thread()?.busy_since(&self.thread);
        let deliveries = f64::from(BROADCASTS) * CLIENTS as f64;
        broadcasts.all_ms.push(elapsed * 1e3);
        broadcasts.per_second.push(deliveries / elapsed);
        broadcasts.cpu_us.push(cpu * 1e6 / deliveries);
        broadcasts.asking.push(asking.as_secs_f64() / elapsed);
        Ok(())
    }
}
