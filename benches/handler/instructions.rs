//! Counts the instructions of the handler for one negotiation and one message.

use crate::common::Result;
use crate::common::cores::Cores;
use crate::common::http::Connection;
use crate::common::instructions::{Counts, Operations, count};
use crate::common::process::Process;
use crate::target::{Request, Target};

const OPERATIONS: Operations = Operations(100, 600);

/// Counts the instructions of `handler` for each route.
pub(crate) async fn count_all(handler: &Target) -> Result<Counts> {
    let cores = Cores::allowed()?;
    cores.pin_load_generator()?;
    let mut counts = Counts::new();
    let routes = [
        ("handler, negotiate", Request::negotiation(), 200),
        ("handler, message to everyone, published to a fake service", Request::message(), 202),
    ];
    for (name, request, status) in routes {
        let (command, port) = handler.command()?;
        let probe = Request::probe();
        let operate = async |process: &Process, operations| {
            let mut connection = Connection::open(process.port).await?;
            for _ in 0..operations {
                connection.send(request.as_bytes(), status).await?;
            }
            Ok(())
        };
        let instructions = count(&command, port, probe.as_bytes(), OPERATIONS, cores, operate).await?;
        counts.insert(name.to_owned(), instructions);
    }
    Ok(counts)
}
