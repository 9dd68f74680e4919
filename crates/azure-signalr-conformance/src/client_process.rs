//! `ClientProcess`: a published client in a process of its own, which reads and writes a line of JSON each time.
//!
//! Settings are its first line of input, not an argument: they can contain a token.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::case_result::{CaseResult, Failure, error_chain};
use crate::service::with_timeout;
use crate::test_context::TestContext;

const JAVASCRIPT: &str = include_str!("../clients/javascript.cjs");
const PYSIGNALR: &str = include_str!("../clients/pysignalr_client.py");
const SIGNALRCORE: &str = include_str!("../clients/signalrcore_client.py");

/// The extra time for an interpreter to start on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running client; dropping it kills the process.
pub(crate) struct ClientProcess {
    _child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    timeout: Duration,
}

impl ClientProcess {
    pub(crate) async fn javascript(context: &TestContext, settings: &Value) -> CaseResult<Self> {
        let modules = context.env.node_modules.as_ref().ok_or_else(|| Failure::needs("--node-modules"))?;
        let modules = std::path::absolute(modules).map_err(|error| Failure::new("a folder", error))?;
        let mut command = Command::new("node");
        command.args(["--eval", JAVASCRIPT, "--"]).arg(modules);
        Self::start(context, command, settings).await
    }

    pub(crate) async fn pysignalr(context: &TestContext, settings: &Value) -> CaseResult<Self> {
        Self::start(context, Self::python(context, PYSIGNALR)?, settings).await
    }

    pub(crate) async fn signalrcore(context: &TestContext, settings: &Value) -> CaseResult<Self> {
        Self::start(context, Self::python(context, SIGNALRCORE)?, settings).await
    }

    fn python(context: &TestContext, script: &str) -> CaseResult<Command> {
        let python = context.env.python.as_ref().ok_or_else(|| Failure::needs("--python"))?;
        let mut command = Command::new(python);
        command.args(["-c", script]);
        Ok(command)
    }

    async fn start(context: &TestContext, mut command: Command, settings: &Value) -> CaseResult<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let not_started =
            |error: std::io::Error| Failure::needs(format_args!("an interpreter that starts: {}", error_chain(&error)));
        let mut child = command.spawn().map_err(not_started)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::new("a process with input and output", "one without"));
        };
        let timeout = context.service().timeout + START_TIMEOUT;
        let mut process = Self { _child: child, input, lines: BufReader::new(output).lines(), timeout };
        process.send(settings).await?;
        Ok(process)
    }

    /// Sends a line of input: the settings or a command.
    pub(crate) async fn send(&mut self, line: &Value) -> CaseResult {
        let written = self.input.write_all(format!("{line}\n").as_bytes()).await;
        written.map_err(|error| Failure::new("a running client", error_chain(&error)))
    }

    /// Waits for a line of output with this event and returns its value; lines with other events are skipped.
    pub(crate) async fn wait_for(&mut self, event: &str) -> CaseResult<Value> {
        let timeout = self.timeout;
        with_timeout(timeout, &format!("`{event}` from the client"), async {
            loop {
                let line = self.next_line().await?;
                if let Some(value) = line.get(event) {
                    return Ok(value.clone());
                }
                if let Some(missing) = line["missing"].as_str() {
                    return Err(Failure::needs(missing));
                }
                if let Some(failed) = line.get("failed") {
                    return Err(Failure::new(format_args!("`{event}` from the client"), failed));
                }
            }
        })
        .await
    }

    async fn next_line(&mut self) -> CaseResult<Value> {
        match self.lines.next_line().await {
            Ok(Some(line)) => {
                serde_json::from_str(&line).map_err(|_| Failure::new("a line of JSON from the client", line))
            }
            _ => Err(Failure::new("a running client", "the process ended")),
        }
    }
}
