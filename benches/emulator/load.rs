//! Measures memory of idle connections, broadcasts in a burst, sequential broadcasts, and messages to one client.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::client::{Client, NumberedMessage, READ_BUFFER_BYTES};
use crate::clients::{CLIENT_COUNT, Clients};
use crate::common::Result;
use crate::common::http::Connection;
use crate::common::process::{Measurement, Usage};
use crate::target::{Recipient, Service, Target};

const REPEATS: usize = 3;

/// Broadcasts in the burst, and again one after the other.
pub(crate) const BROADCASTS: u32 = 200;

/// Messages to one client.
const SINGLE_MESSAGES: u32 = 1_000;

/// The idle time before memory is read, shorter than the keep-alive interval.
const IDLE_INTERVAL: Duration = Duration::from_secs(3);

/// The measurements of one target, one value per repeat.
#[derive(Default)]
pub(crate) struct Loads {
    /// Resident memory in MiB without connections.
    pub(crate) empty_mib: Vec<f64>,
    /// Additional KiB per idle connection.
    pub(crate) idle_kib: Vec<f64>,
    /// Additional KiB per connection after all messages.
    pub(crate) after_kib: Vec<f64>,
    pub(crate) burst: Broadcasts,
    pub(crate) sequential: Broadcasts,
    /// Microseconds until one client has received a message to it: median and 99th percentile.
    pub(crate) single_p50_us: Vec<f64>,
    pub(crate) single_p99_us: Vec<f64>,
}

/// One kind of broadcasts, one value per repeat.
#[derive(Default)]
pub(crate) struct Broadcasts {
    /// Milliseconds from before the first is sent until all clients have received the last.
    pub(crate) all_ms: Vec<f64>,
    pub(crate) per_second: Vec<f64>,
    /// CPU time of the target in µs per delivery.
    pub(crate) cpu_us: Vec<f64>,
    /// The share of time in which the thread of the clients was running or runnable.
    pub(crate) load_generator_busy: Vec<f64>,
}

impl Broadcasts {
    fn add(&mut self, usage: &Usage) {
        let deliveries = f64::from(BROADCASTS) * CLIENT_COUNT as f64;
        self.all_ms.push(usage.elapsed * 1e3);
        self.per_second.push(deliveries / usage.elapsed);
        self.cpu_us.push(usage.cpu * 1e6 / deliveries);
        self.load_generator_busy.push(usage.load_generator_busy);
    }
}

/// Measures all targets in turn, repeatedly, each time in a new process. The result is in the order of `targets`.
pub(crate) async fn measure(targets: &[(Target, NumberedMessage)]) -> Result<Vec<Loads>> {
    let mut all: Vec<Loads> = targets.iter().map(|_| Loads::default()).collect();
    for _ in 0..REPEATS {
        for ((target, message), loads) in targets.iter().zip(&mut all) {
            let mut service = Rc::new(target.start()?);
            if let Err(error) = loads.add(target, &service, message).await {
                let exited =
                    Rc::get_mut(&mut service).is_some_and(|service| service.process.has_exited().unwrap_or(true));
                let exited = if exited { ", and the process has exited" } else { "" };
                return Err(format!("{} under load: {error}{exited}", target.name).into());
            }
        }
    }
    Ok(all)
}

impl Loads {
    async fn add(&mut self, target: &Target, service: &Rc<Service>, message: &NumberedMessage) -> Result<()> {
        let process = &service.process;
        sleep(IDLE_INTERVAL / 10).await;
        let empty = process.resident_kib()?;
        let clients = Clients::connect(service, target.protocol, message).await?;
        sleep(IDLE_INTERVAL).await;
        let idle = process.resident_kib()?;
        self.empty_mib.push(empty / 1_024.0);
        self.idle_kib.push((idle - empty) / CLIENT_COUNT as f64);

        let mut request = service.send_request(Recipient::Everyone, message)?;
        let mut caller = Connection::open(process.port).await?;
        let measurement = Measurement::start(process)?;
        let (port, mut burst) = (process.port, request.clone());
        let sent = spawn_blocking(move || send_all(port, &mut burst).map_err(|error| error.to_string()));
        tokio::try_join!(clients.wait_for(BROADCASTS), async { Ok(sent.await??) })?;
        self.burst.add(&measurement.finish()?);

        let measurement = Measurement::start(process)?;
        for number in BROADCASTS..2 * BROADCASTS {
            caller.send(request.with(number), 202).await?;
            clients.wait_for(number + 1).await?;
        }
        self.sequential.add(&measurement.finish()?);

        let mut singles = measure_single_messages(target, service, &mut caller, message).await?;
        singles.sort_by(f64::total_cmp);
        self.single_p50_us.push(singles[singles.len() / 2]);
        self.single_p99_us.push(singles[singles.len() * 99 / 100]);
        sleep(IDLE_INTERVAL / 10).await;
        self.after_kib.push((process.resident_kib()? - empty) / CLIENT_COUNT as f64);
        // Duplicated messages would have arrived by now.
        clients.check()
    }
}

/// Sends messages to one more client, each after the last was received. Returns the microseconds from before sending to the receipt.
async fn measure_single_messages(
    target: &Target,
    service: &Service,
    caller: &mut Connection,
    message: &NumberedMessage,
) -> Result<Vec<f64>> {
    const USER: &str = "listener";
    let upgrade = service.negotiate(caller, USER).await?;
    let mut client = Client::connect(service.process.port, &upgrade, target.protocol).await?;
    let mut request = service.send_request(Recipient::User(USER), message)?;
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    let mut times = Vec::new();
    for number in 0..SINGLE_MESSAGES {
        let start = Instant::now();
        let receiving = async {
            while poll_fn(|context| client.poll_receive(context, &mut buffer, message, number)).await? == 0 {}
            Ok(start.elapsed())
        };
        let (time, _) = tokio::try_join!(receiving, caller.send(request.with(number), 202))?;
        times.push(time.as_secs_f64() * 1e6);
    }
    Ok(times)
}

/// Sends the burst. On a thread of its own, the requests do not wait for the tasks of the clients.
fn send_all(port: u16, request: &mut NumberedMessage) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut caller = Connection::open(port).await?;
        for number in 0..BROADCASTS {
            caller.send(request.with(number), 202).await?;
        }
        Ok(())
    })
}
