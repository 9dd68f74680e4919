//! Measures how the cost of a message grows with clients, with its size and with groups, and writes a table and charts.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::chart::Chart;
use crate::clients::{Clients, check_open_files};
use crate::common::Result;
use crate::common::cores::Cores;
use crate::connect::Socket;
use crate::correctness::record_message;
use crate::load::{connect_clients, percentile};
use crate::message::NumberedMessage;
use crate::report::with_thousands;
use crate::target::{Recipients, Target, join_request};

/// How often floor and emulator are measured in turn.
const RUNS: usize = 5;

/// The measured numbers of clients, sizes of texts in bytes, and numbers of groups.
const CLIENTS: [usize; 7] = [10, 30, 100, 300, 1_000, 2_000, 5_000];
const TEXT_BYTES: [usize; 7] = [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10];
const GROUPS: [usize; 9] = [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000];

/// The size of texts where clients or groups grow, and the number of clients where the size or the groups grow.
const SMALL_TEXT_BYTES: usize = 128;
const SIZE_CLIENTS: usize = 100;
const GROUP_CLIENTS: usize = 1_000;

/// Members of each group.
const MEMBERS: usize = 10;

/// Deliveries of a measured point, unless they are more than [`MAX_POINT_BYTES`], and its broadcasts at least.
const POINT_DELIVERIES: usize = 100_000;
const MAX_POINT_BYTES: usize = 256 << 20;
const MIN_BROADCASTS: usize = 20;

/// Messages to a group.
const GROUP_MESSAGES: u32 = 300;

/// Messages before the measured ones.
const WARM_UP: u32 = 20;

/// Measures everything, and writes `performance.csv` and the charts to `folder`.
pub(crate) async fn write(emulator: &Path, cores: Cores, folder: &Path) -> Result<String> {
    check_open_files(CLIENTS.into_iter().max().unwrap_or_default())?;
    let targets = Target::both(emulator);
    let [_, emulator] = &targets;
    let small = record_message(emulator, cores, SMALL_TEXT_BYTES).await?;
    let mut charts = charts();
    let [clients, sizes, groups] = &mut charts;
    for _ in 0..RUNS {
        for target in &targets {
            grow_clients(clients, target, cores, &small).await?;
            grow_groups(groups, target, cores, &small).await?;
        }
        for bytes in TEXT_BYTES {
            let message = record_message(emulator, cores, bytes).await?;
            for target in &targets {
                measure_size(sizes, target, cores, &message).await?;
            }
        }
    }
    let mut table = "chart,line,x,median µs,smallest µs,largest µs\n".to_owned();
    for chart in &charts {
        fs::write(folder.join(format!("performance-{}.svg", chart.name)), chart.to_string())?;
        table += &chart.to_csv();
    }
    fs::write(folder.join("performance.csv"), table)?;
    Ok(format!("docs/performance.csv and {} charts are written", charts.len()))
}

/// The empty charts.
fn charts() -> [Chart; 3] {
    [
        Chart::new(
            "clients",
            format!("Time to a delivery, by clients: one broadcast of {SMALL_TEXT_BYTES} bytes at a time"),
            "clients",
            with_thousands,
        ),
        Chart::new(
            "sizes",
            format!("Time to a delivery, by size of the text: one broadcast at a time to {SIZE_CLIENTS} clients"),
            "size of the text",
            |bytes| if bytes < 1 << 10 { format!("{bytes} B") } else { format!("{} KiB", bytes >> 10) },
        ),
        Chart::new(
            "groups",
            format!(
                "Time of one operation, by groups of {MEMBERS} in a hub of {} clients",
                with_thousands(GROUP_CLIENTS)
            ),
            "groups",
            with_thousands,
        ),
    ]
}

/// Broadcasts to more and more clients of one process.
async fn grow_clients(chart: &mut Chart, target: &Target, cores: Cores, message: &NumberedMessage) -> Result<()> {
    let service = target.start(cores).await?;
    let mut caller = Socket::open(service.process.port)?;
    let mut request = service.send_request(Recipients::Everyone, message)?;
    let mut clients = Clients::new(message);
    for count in CLIENTS {
        let (connected, _) = connect_clients(service.process.port, &mut caller, count - clients.len())?;
        connected.into_iter().try_for_each(|client| clients.add(client))?;
        measure_broadcasts(chart, target, count, &mut clients, &mut caller, &mut request).await?;
    }
    Ok(())
}

/// Broadcasts messages of one size.
async fn measure_size(chart: &mut Chart, target: &Target, cores: Cores, message: &NumberedMessage) -> Result<()> {
    let service = target.start(cores).await?;
    let mut caller = Socket::open(service.process.port)?;
    let mut request = service.send_request(Recipients::Everyone, message)?;
    let mut clients = Clients::new(message);
    let (connected, _) = connect_clients(service.process.port, &mut caller, SIZE_CLIENTS)?;
    connected.into_iter().try_for_each(|client| clients.add(client))?;
    measure_broadcasts(chart, target, message.text_bytes(), &mut clients, &mut caller, &mut request).await
}

async fn measure_broadcasts(
    chart: &mut Chart,
    target: &Target,
    x: usize,
    clients: &mut Clients,
    caller: &mut Socket,
    request: &mut NumberedMessage,
) -> Result<()> {
    let deliveries = POINT_DELIVERIES.min(MAX_POINT_BYTES / request.text_bytes());
    let count = (deliveries / clients.len()).max(MIN_BROADCASTS);
    clients.broadcast_sequentially(caller, request, WARM_UP).await?;
    let latencies = clients.broadcast_sequentially(caller, request, u32::try_from(count)?).await?;
    for percent in [50, 99] {
        chart.add(&format!("{}, p{percent}", target.name()), x, percentile(&latencies, percent) * 1e6);
    }
    Ok(())
}

/// Adds more and more groups to a hub, and sends to one of them. The floor has no groups; it writes to as many clients.
async fn grow_groups(chart: &mut Chart, target: &Target, cores: Cores, message: &NumberedMessage) -> Result<()> {
    let service = target.start(cores).await?;
    let port = service.process.port;
    let mut caller = Socket::open(port)?;
    let (others, _) = connect_clients(port, &mut caller, GROUP_CLIENTS - MEMBERS)?;
    let (mut members, _) = connect_clients(port, &mut caller, MEMBERS)?;
    let mut request = service.send_request(Recipients::Group { name: "group-0", members: MEMBERS }, message)?;
    let (mut groups, mut number) = (0, 0);
    for count in GROUPS {
        let (mut joins, mut sends) = (Vec::new(), Vec::new());
        for group in groups..if matches!(target, Target::Floor) { 0 } else { count } {
            // The members of the first group are the last clients; the other groups share the rest.
            let places = (0..MEMBERS).map(|place| (group * MEMBERS + place) % others.len());
            let joining = places.map(|place| if group == 0 { &members[place] } else { &others[place] });
            for client in joining {
                let join = join_request(port, &format!("group-{group}"), &client.connection_id)?;
                let start = Instant::now();
                caller.exchange(&join, 200)?;
                joins.push(start.elapsed());
            }
        }
        groups = count;
        for _ in 0..GROUP_MESSAGES {
            let start = Instant::now();
            caller.send(request.with(number))?;
            for member in &mut members {
                message.check(&member.socket.receive()?, number)?;
            }
            sends.push(start.elapsed());
            caller.response(202)?;
            number += 1;
        }
        for (operation, mut times) in [("message to a group", sends), ("joining a group", joins)] {
            times.sort_unstable();
            if !times.is_empty() {
                chart.add(&format!("{}, {operation}", target.name()), count, percentile(&times, 50) * 1e6);
            }
        }
    }
    Ok(())
}
