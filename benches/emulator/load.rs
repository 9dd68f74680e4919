//! The measurements of the table: start, connecting, memory of idle clients, broadcasts, and messages to one client.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::clients::Clients;
use crate::common::cores::Cores;
use crate::common::process::Measurement;
use crate::common::{Result, median};
use crate::connect::{Connected, Socket, connect};
use crate::correctness::record_message;
use crate::message::NumberedMessage;
use crate::target::{Recipients, Service, Target, client_requests};

/// How often floor and emulator are measured in turn.
pub(crate) const RUNS: usize = 5;

/// Starts in each run, after one that fills the page cache.
const STARTS: usize = 8;

/// Clients of the burst, and of broadcasts one at a time.
pub(crate) const BURST_CLIENTS: usize = 2_000;
pub(crate) const SEQUENTIAL_CLIENTS: usize = 1_000;

/// The number of broadcasts, and the sizes of their texts.
pub(crate) const BURST: u32 = 200;
const BURST_TEXT_BYTES: usize = 1_024;
const SEQUENTIAL: u32 = 200;
const SEQUENTIAL_IN_TURN: u32 = 10;
const SEQUENTIAL_TEXT_BYTES: usize = 128;

/// Broadcasts before the measured ones.
const WARM_UP: u32 = 20;

/// Messages to one client, after [`WARM_UP`].
const SINGLE_MESSAGES: u32 = 1_000;

/// The time before memory is read, shorter than the keep-alive interval.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// The measurements of one target, one value per run.
#[derive(Default)]
pub(crate) struct Loads {
    /// Milliseconds from before the process was created to its first response.
    pub(crate) start_ms: Vec<f64>,
    /// Resident memory in MiB without connections.
    pub(crate) empty_mib: Vec<f64>,
    /// Microseconds to connect one client.
    pub(crate) connect_us: Vec<f64>,
    /// Additional KiB per idle client.
    pub(crate) idle_kib: Vec<f64>,
    /// Thousands of deliveries per second of the burst, on one core; on all cores, where the floor is the batching one.
    pub(crate) burst_thousand_per_second: Vec<f64>,
    pub(crate) shared_burst_thousand_per_second: Vec<f64>,
    /// Milliseconds to each delivery of broadcasts one at a time: median and 99th percentile.
    pub(crate) sequential_p50_ms: Vec<f64>,
    pub(crate) sequential_p99_ms: Vec<f64>,
    /// Microseconds until one client has received a message to it: median and 99th percentile.
    pub(crate) single_p50_us: Vec<f64>,
    pub(crate) single_p99_us: Vec<f64>,
    /// CPU time of the target in µs per delivery.
    pub(crate) burst_cpu_us: Vec<f64>,
    pub(crate) sequential_cpu_us: Vec<f64>,
    /// The share of time in which the load generator was running or runnable, in percent.
    pub(crate) burst_generator_percent: Vec<f64>,
    pub(crate) sequential_generator_percent: Vec<f64>,
}

/// Measures the floor and the emulator at `emulator` in turn, repeatedly, each time in new processes.
pub(crate) async fn measure(emulator: &Path, cores: Cores) -> Result<[Loads; 2]> {
    let targets = Target::both(emulator);
    let [_, emulator] = &targets;
    let burst = record_message(emulator, cores, BURST_TEXT_BYTES).await?;
    let sequential = record_message(emulator, cores, SEQUENTIAL_TEXT_BYTES).await?;
    let mut both = <[Loads; 2]>::default();
    // Before all else, since a burst delays the starts that follow it.
    for _ in 0..RUNS {
        for (target, loads) in targets.iter().zip(&mut both) {
            loads.start_ms.push(measure_start(target, cores).await?);
        }
    }
    for _ in 0..RUNS {
        let [floor, emulator] = &targets;
        add_sequential([&floor.start(cores).await?, &emulator.start(cores).await?], &sequential, &mut both).await?;
        for (target, loads) in targets.iter().zip(&mut both) {
            let added = loads.add_burst(&target.start(cores).await?, &burst).await;
            added.map_err(|error| format!("{}: {error}", target.name()))?;
        }
    }
    let everywhere = Cores { is_shared: true, ..cores };
    for _ in 0..RUNS {
        for (target, loads) in [&Target::BatchingFloor, emulator].into_iter().zip(&mut both) {
            let mut shared = Loads::default();
            let run = async { shared.add_burst(&target.start(everywhere).await?, &burst).await };
            run.await.map_err(|error: Box<dyn std::error::Error>| format!("{}: {error}", target.name()))?;
            loads.shared_burst_thousand_per_second.append(&mut shared.burst_thousand_per_second);
        }
    }
    Ok(both)
}

/// The median of several starts, in milliseconds.
async fn measure_start(target: &Target, cores: Cores) -> Result<f64> {
    target.start(cores).await?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(target.start(cores).await?.start.as_secs_f64() * 1e3);
    }
    Ok(median(&starts))
}

impl Loads {
    /// Connects the clients one after the other, reads the memory, and measures the burst.
    async fn add_burst(&mut self, service: &Service, message: &NumberedMessage) -> Result<()> {
        let (process, port) = (&service.process, service.process.port);
        let mut caller = Socket::open(port)?;
        let empty = process.resident_kib()?;
        let (connected, times) = connect_clients(port, &mut caller, BURST_CLIENTS)?;
        thread::sleep(IDLE_INTERVAL);
        self.empty_mib.push(empty / 1_024.0);
        self.connect_us.push(percentile(&times, 50) * 1e6);
        self.idle_kib.push((process.resident_kib()? - empty) / BURST_CLIENTS as f64);

        let mut clients = Clients::new(message);
        connected.into_iter().try_for_each(|client| clients.add(client))?;
        let mut request = service.send_request(Recipients::Everyone, message)?;
        let measurement = Measurement::start(process)?;
        // On a thread of its own, the requests do not wait for the tasks of the clients.
        let sending = spawn_blocking(move || {
            let send = |number| caller.exchange(request.with(number), 202).map(drop).map_err(|error| error.to_string());
            (0..BURST).try_for_each(send)
        });
        tokio::try_join!(clients.wait_for(BURST), async { Ok(sending.await??) })?;
        let usage = measurement.finish()?;
        let deliveries = f64::from(BURST) * BURST_CLIENTS as f64;
        self.burst_thousand_per_second.push(deliveries / 1e3 / usage.elapsed);
        self.burst_cpu_us.push(usage.cpu * 1e6 / deliveries);
        self.burst_generator_percent.push(usage.load_generator_busy * 100.0);
        // Duplicated messages would arrive by then.
        sleep(IDLE_INTERVAL / 10).await;
        clients.check()
    }
}

/// The broadcasts one at a time of one service.
struct Sequential<'a> {
    service: &'a Service,
    clients: Clients,
    caller: Socket,
    request: NumberedMessage,
    latencies: Vec<Duration>,
    cpu: f64,
    load_generator_busy: Vec<f64>,
}

impl<'a> Sequential<'a> {
    /// Connects the clients, and warms up.
    async fn start(service: &'a Service, message: &NumberedMessage) -> Result<Self> {
        let mut caller = Socket::open(service.process.port)?;
        let (connected, _) = connect_clients(service.process.port, &mut caller, SEQUENTIAL_CLIENTS)?;
        let mut clients = Clients::new(message);
        connected.into_iter().try_for_each(|client| clients.add(client))?;
        let mut request = service.send_request(Recipients::Everyone, message)?;
        clients.broadcast_sequentially(&mut caller, &mut request, WARM_UP).await?;
        let (latencies, load_generator_busy) = Default::default();
        Ok(Self { service, clients, caller, request, latencies, cpu: 0.0, load_generator_busy })
    }

    async fn broadcast(&mut self, count: u32) -> Result<()> {
        let measurement = Measurement::start(&self.service.process)?;
        let latencies = self.clients.broadcast_sequentially(&mut self.caller, &mut self.request, count).await?;
        let usage = measurement.finish()?;
        self.latencies.extend(latencies);
        self.cpu += usage.cpu;
        self.load_generator_busy.push(usage.load_generator_busy);
        Ok(())
    }

    /// Adds the results, and messages to one more client.
    fn finish(mut self, message: &NumberedMessage, loads: &mut Loads) -> Result<()> {
        self.latencies.sort_unstable();
        loads.sequential_p50_ms.push(percentile(&self.latencies, 50) * 1e3);
        loads.sequential_p99_ms.push(percentile(&self.latencies, 99) * 1e3);
        loads.sequential_cpu_us.push(self.cpu * 1e6 / self.latencies.len() as f64);
        loads.sequential_generator_percent.push(median(&self.load_generator_busy) * 100.0);

        let singles = measure_single_messages(self.service, &mut self.caller, message)?;
        loads.single_p50_us.push(percentile(&singles, 50) * 1e6);
        loads.single_p99_us.push(percentile(&singles, 99) * 1e6);
        self.clients.check()
    }
}

/// Measures broadcasts one at a time, a few of each service in turn, so that both meet the same moments of the machine.
async fn add_sequential(services: [&Service; 2], message: &NumberedMessage, both: &mut [Loads; 2]) -> Result<()> {
    let [floor, emulator] = services;
    let mut running = [Sequential::start(floor, message).await?, Sequential::start(emulator, message).await?];
    for _ in 0..SEQUENTIAL / SEQUENTIAL_IN_TURN {
        for sequential in &mut running {
            sequential.broadcast(SEQUENTIAL_IN_TURN).await?;
        }
    }
    running.into_iter().zip(both).try_for_each(|(sequential, loads)| sequential.finish(message, loads))
}

/// Connects `count` clients one after the other, and returns the time of each in ascending order.
pub(crate) fn connect_clients(port: u16, caller: &mut Socket, count: usize) -> Result<(Vec<Connected>, Vec<Duration>)> {
    let (mut clients, mut times) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for number in 0..count {
        let requests = client_requests(port, &format!("user-{number}"))?;
        let start = Instant::now();
        clients.push(connect(port, caller, &requests)?);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok((clients, times))
}

/// Sends messages to one more client, each after the last was received. Returns the times from before sending to the receipt, in ascending
/// order.
fn measure_single_messages(service: &Service, caller: &mut Socket, message: &NumberedMessage) -> Result<Vec<Duration>> {
    const USER: &str = "listener";
    let mut listener = service.connect(caller, USER)?.socket;
    let mut request = service.send_request(Recipients::User(USER), message)?;
    let mut times = Vec::new();
    for number in 0..WARM_UP + SINGLE_MESSAGES {
        let start = Instant::now();
        caller.send(request.with(number))?;
        let received = listener.receive()?;
        times.push(start.elapsed());
        caller.response(202)?;
        message.check(&received, number)?;
    }
    times.drain(..WARM_UP as usize);
    times.sort_unstable();
    Ok(times)
}

/// The value in seconds at `percent` of `times`, which are in ascending order.
pub(crate) fn percentile(times: &[Duration], percent: usize) -> f64 {
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).map_or(0.0, Duration::as_secs_f64)
}
