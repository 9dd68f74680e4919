//! Runs the selected cases: most of them beside each other, some alone at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

use crate::apps::Apps;
use crate::cases::{ALL, Case};
use crate::connection_string::ConnectionString;
use crate::known::Known;
use crate::listener::Reply;
use crate::outcome::Outcome;
use crate::report::{Report, Row};
use crate::selection::Selection;
use crate::service::Service;
use crate::stage::{House, Stage};
use crate::webhooks::{Upstream, Webhooks};

/// Longer than any case takes; the longest sits through a held poll.
const LONGEST_CASE: Duration = Duration::from_secs(180);

/// How often to look whether settings have been read.
const SETTINGS_EVERY: Duration = Duration::from_millis(500);

/// What to ask, whom, and with what at hand.
#[derive(Clone)]
pub struct Options {
    /// The service. It has to come with an access key.
    pub connection: ConnectionString,
    /// Which cases to run.
    pub cases: Selection,
    /// What the service is known to do differently.
    pub known: Known,
    /// Where the service posts its events, if it does.
    pub upstream: Option<Upstream>,
    /// A shell command that restarts the service, if there is one.
    pub restart_command: Option<String>,
    /// A folder `node_modules` with `@microsoft/signalr` in it.
    pub node_modules: Option<PathBuf>,
    /// A Python with `pysignalr` and `signalrcore`.
    pub python: Option<PathBuf>,
    /// How long to wait for what ought to come at once.
    pub patience: Duration,
    /// How many cases may run beside each other, at least one.
    pub at_once: usize,
}

impl Options {
    /// All cases that need nothing but the service.
    #[must_use]
    pub fn new(connection: ConnectionString) -> Self {
        Self {
            connection,
            cases: Selection::default(),
            known: Known::default(),
            upstream: None,
            restart_command: None,
            node_modules: None,
            python: None,
            patience: Duration::from_secs(10),
            at_once: 16,
        }
    }
}

/// Runs the cases; `watch` sees each as it ends.
///
/// # Errors
///
/// A sentence, when no case can be run: the connection string has no key, or a port to listen on is taken.
pub async fn run(options: Options, mut watch: impl FnMut(&Row)) -> Result<Report, String> {
    let (cases, known, at_once) = (options.cases.clone(), options.known.clone(), options.at_once.max(1));
    let house = Arc::new(open_house(options).await?);
    until_settings_are_read(&house).await;

    let (alone, mut beside): (Vec<Case>, Vec<Case>) =
        ALL.into_iter().filter(|case| cases.contains(case.number)).partition(|case| case.alone);
    // Those with the highest numbers take longest: the published clients sit through a minute of nothing.
    beside.reverse();
    let mut rows = Vec::new();
    for (cases, at_once) in [(beside, at_once), (alone, 1)] {
        let asked = stream::iter(cases).map(|case| ask(case, house.clone(), &known));
        let mut ended = asked.buffer_unordered(at_once);
        while let Some(row) = ended.next().await {
            watch(&row);
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| row.number);
    if let Some(webhooks) = &house.webhooks {
        let restored = webhooks.restore_settings().await;
        restored.map_err(|error| format!("the settings file could not be restored: {error}"))?;
    }
    Ok(Report { rows })
}

async fn open_house(options: Options) -> Result<House, String> {
    let key = options.connection.key.clone();
    let key = key
        .ok_or("the suite signs its tokens with an access key: give a connection string with AccessKey=…")?;
    let service = Arc::new(Service::new(options.connection, key, options.patience)?);
    let webhooks = match options.upstream {
        Some(upstream) => Some(listen(upstream).await?),
        None => None,
    };
    let apps = Apps::start(service.clone()).await;
    let apps = apps.map_err(|error| format!("no port to listen on: {error}"))?;
    Ok(House {
        service,
        apps,
        webhooks,
        restart_command: options.restart_command,
        node_modules: options.node_modules,
        python: options.python,
    })
}

async fn listen(upstream: Upstream) -> Result<Webhooks, String> {
    let port = upstream.port;
    let webhooks = Webhooks::start(upstream).await;
    let webhooks = webhooks.map_err(|error| format!("port {port} for webhooks cannot be had: {error}"))?;
    let written = webhooks.write_settings(&[]).await;
    written.map_err(|_| "the file of --upstream-settings cannot be written".to_owned())?;
    Ok(webhooks)
}

/// A service may look at its settings once in a while. Whether it has is seen when somebody connects; if nothing is seen, the cases say so.
async fn until_settings_are_read(house: &Arc<House>) {
    let Some(webhooks) = house.webhooks.as_ref().filter(|webhooks| webhooks.writes_settings()) else {
        return;
    };
    let stage = Stage::new(house.clone(), 0);
    let deadline = Instant::now() + house.service.patience;
    while Instant::now() < deadline {
        webhooks.answer(&stage.hub, |_| Reply::Status(204));
        let connected = stage.client().connect().await;
        if connected.is_ok() && webhooks.events(&stage.hub, 1, SETTINGS_EVERY).await.is_ok() {
            return;
        }
    }
}

async fn ask(case: Case, house: Arc<House>, known: &Known) -> Row {
    let key = house.service.key.clone();
    let outcome = match case.can_run(&house) {
        Err(stop) => stop.into(),
        Ok(()) => {
            let asked = tokio::spawn((case.run)(Stage::new(house, case.number)));
            let abort = asked.abort_handle();
            match tokio::time::timeout(LONGEST_CASE, asked).await {
                Ok(Ok(Ok(()))) => Outcome::Passed,
                Ok(Ok(Err(stop))) => stop.into(),
                Ok(Err(_)) => failed("the case to end", "it broke: a fault of the suite"),
                Err(_) => {
                    abort.abort();
                    failed("the case to end", "it went on for too long")
                }
            }
        }
    };
    let listed = known.reason(case.number);
    let outcome = match (outcome.without_secrets(&key), listed) {
        (Outcome::Failed { .. } | Outcome::Refused { .. }, Some(why)) => {
            Outcome::KnownToDiffer { why: why.to_owned() }
        }
        (outcome, _) => outcome,
    };
    Row { number: case.number, title: case.title, outcome, plays: case.plays, listed: listed.is_some() }
}

fn failed(expected: &str, came: &str) -> Outcome {
    Outcome::Failed { expected: expected.to_owned(), came: came.to_owned() }
}
