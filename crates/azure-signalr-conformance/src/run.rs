//! Runs the selected cases: most of them concurrently, some alone at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::case_result::{CaseResult, Outcome};
use crate::case_selection::{CaseSelection, KnownDifferences};
use crate::cases::{ALL, Case};
use crate::credentials::ConnectionString;
use crate::local_server::{NegotiateServer, Reply};
use crate::report::{CaseReport, Report};
use crate::service::Service;
use crate::test_context::{TestContext, TestEnv};
use crate::webhooks::{UpstreamOptions, WebhookReceiver};

/// The maximum time of a case; the longest waits for a poll that the service holds.
const CASE_TIMEOUT: Duration = Duration::from_secs(180);

/// The interval at which the suite checks whether the service has read its settings.
const SETTINGS_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The settings of a run of the suite: the service, the cases, time-outs and clients.
#[derive(Clone)]
pub struct Options {
    /// The service under test, with an access key.
    pub connection: ConnectionString,
    /// The cases to run.
    pub cases: CaseSelection,
    /// The cases that the service is known to fail.
    pub known_differences: KnownDifferences,
    /// How the service reaches the suite with its webhooks, if it does.
    pub upstream: Option<UpstreamOptions>,
    /// The number of connections that the service allows at a time, for the case that opens as many.
    pub max_connections: Option<usize>,
    /// A shell command that restarts the service.
    pub restart_command: Option<String>,
    /// A folder `node_modules` with `@microsoft/signalr`.
    pub node_modules: Option<PathBuf>,
    /// A Python interpreter with `pysignalr` and `signalrcore`.
    pub python: Option<PathBuf>,
    /// The maximum time for an event that should happen at once.
    pub timeout: Duration,
    /// The maximum number of cases that run at the same time; 0 counts as 1.
    pub concurrency: usize,
}

impl Options {
    /// The default settings: all cases that need only the service, a timeout of 10 seconds, 16 cases at a time.
    pub fn new(connection: ConnectionString) -> Self {
        Self {
            connection,
            cases: CaseSelection::default(),
            known_differences: KnownDifferences::default(),
            upstream: None,
            max_connections: None,
            restart_command: None,
            node_modules: None,
            python: None,
            timeout: Duration::from_secs(10),
            concurrency: 16,
        }
    }
}

/// Runs the cases and returns the report; `on_finished` is called for each case as it ends.
///
/// The settings file of the service has its former content when this returns. When the future is dropped, or panics, that happens
/// as soon as the running cases have stopped.
///
/// # Errors
///
/// A sentence, when no case can run: the connection string has no key, a port is in use, or the settings file of the service
/// cannot be written.
///
/// ```no_run
/// # async fn example() -> Result<(), String> {
/// use azure_signalr_conformance::{Format, Options, run};
///
/// let connection = "Endpoint=http://localhost;Port=8888;AccessKey=key;Version=1.0;".parse()?;
/// let report = run(Options { cases: "10-26".parse()?, ..Options::new(connection) }, |_| ()).await?;
/// print!("{}", report.render(Format::Table));
/// # Ok(())
/// # }
/// ```
pub async fn run(options: Options, mut on_finished: impl FnMut(&CaseReport)) -> Result<Report, String> {
    let (selection, known) = (options.cases.clone(), options.known_differences.clone());
    let concurrency = options.concurrency.max(1);
    let env = Arc::new(prepare(options).await?);
    wait_until_settings_are_read(&env).await;

    let (exclusive, mut concurrent): (Vec<Case>, Vec<Case>) =
        ALL.into_iter().filter(|case| selection.contains(case.info.number)).partition(|case| case.is_exclusive());
    // The cases with the highest numbers take longest: published clients stay idle for a minute.
    concurrent.reverse();
    let mut cases = Vec::new();
    for (group, concurrency) in [(concurrent, concurrency), (exclusive, 1)] {
        let running = stream::iter(group).map(|case| run_case(case, env.clone(), &known));
        let mut finished = running.buffer_unordered(concurrency);
        while let Some(case) = finished.next().await {
            on_finished(&case);
            cases.push(case);
        }
    }
    cases.sort_by_key(|case| case.info.number);
    if let Some(webhooks) = &env.webhooks {
        webhooks.restore_settings().map_err(|error| format!("the settings file could not be restored: {error}"))?;
    }
    Ok(Report { cases })
}

async fn prepare(options: Options) -> Result<TestEnv, String> {
    let key = options.connection.key.clone();
    let key = key.ok_or("the suite signs tokens with an access key: use a connection string with AccessKey=…")?;
    let service = Arc::new(Service::new(options.connection, key, options.timeout)?);
    let webhooks = match options.upstream {
        Some(upstream) => Some(WebhookReceiver::start(upstream).await?),
        None => None,
    };
    let negotiate_server = NegotiateServer::start(service.clone()).await;
    let negotiate_server =
        negotiate_server.map_err(|error| format!("a port for negotiate requests cannot be opened: {error}"))?;
    let Options { max_connections, restart_command, node_modules, python, .. } = options;
    Ok(TestEnv { service, negotiate_server, webhooks, max_connections, restart_command, node_modules, python })
}

/// Waits until a client's connection arrives as a webhook, since a service may read its settings with a delay. After the
/// timeout the run begins anyway, and its cases fail.
async fn wait_until_settings_are_read(env: &Arc<TestEnv>) {
    let Some(webhooks) = env.webhooks.as_ref().filter(|webhooks| webhooks.can_write_settings()) else {
        return;
    };
    let context = TestContext::new(env.clone(), 0);
    let waiting = async {
        loop {
            webhooks.set_handler(&context.hub, |_| Reply::Status(204));
            match context.client().connect().await {
                Ok(_) if webhooks.wait_for_events(&context.hub, 1, SETTINGS_POLL_INTERVAL).await.is_ok() => return,
                Ok(_) => {}
                Err(_) => sleep(SETTINGS_POLL_INTERVAL).await,
            }
        }
    };
    let _ = timeout(env.service.timeout, waiting).await;
}

async fn run_case(case: Case, env: Arc<TestEnv>, known: &KnownDifferences) -> CaseReport {
    let (key, start) = (env.service.key.clone(), Instant::now());
    let outcome = match case.check_requirements(&env) {
        Err(failure) => failure.0,
        Ok(()) => run_to_end((case.run)(TestContext::new(env, case.info.number))).await,
    };
    let duration = start.elapsed();
    let known_reason = known.reason(case.info.number);
    let outcome = match (outcome.redacted(&key), known_reason) {
        (Outcome::Failed { .. } | Outcome::NotImplemented { .. }, Some(reason)) => {
            Outcome::KnownToDiffer { reason: reason.to_owned() }
        }
        (outcome, _) => outcome,
    };
    let (info, note) = (case.info, case.note());
    CaseReport { info, outcome, duration, note, is_known_difference: known_reason.is_some() }
}

/// Runs a case in a task of its own, which ends with the returned future: also a case that panics, takes too long or is
/// cancelled has put back what it changed.
async fn run_to_end(case: impl Future<Output = CaseResult> + Send + 'static) -> Outcome {
    let mut running = JoinSet::new();
    running.spawn(timeout(CASE_TIMEOUT, case));
    match running.join_next().await {
        Some(Ok(Ok(Ok(())))) => Outcome::Passed,
        Some(Ok(Ok(Err(failure)))) => failure.0,
        Some(Ok(Err(_))) => unfinished("it took too long"),
        Some(Err(_)) | None => unfinished("a panic: a bug of the suite"),
    }
}

fn unfinished(actual: &str) -> Outcome {
    Outcome::Failed { expected: "the case to end".to_owned(), actual: actual.to_owned() }
}
