//! A published client in a process of its own, driven line by line: JSON in, JSON out.
//!
//! What it has to know goes in as its first line rather than as an argument: it can be a token.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::outcome::{Stop, Verdict, causes};
use crate::service::within;
use crate::stage::Stage;

const JAVASCRIPT: &str = include_str!("../clients/javascript.cjs");
const PYSIGNALR: &str = include_str!("../clients/pysignalr_client.py");
const SIGNALRCORE: &str = include_str!("../clients/signalrcore_client.py");

/// Interpreters take their time on a busy machine.
const START: Duration = Duration::from_secs(20);

/// A client that runs; it is killed when it is dropped.
pub(crate) struct Script {
    _child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    patience: Duration,
}

impl Script {
    pub(crate) async fn javascript(stage: &Stage, settings: &Value) -> Verdict<Self> {
        let modules = stage.house.node_modules.as_ref().ok_or_else(|| Stop::needs("--node-modules"))?;
        let modules = std::path::absolute(modules).map_err(|error| Stop::failed("a folder", error))?;
        let mut command = Command::new("node");
        command.args(["--eval", JAVASCRIPT, "--"]).arg(modules);
        Self::start(stage, command, settings).await
    }

    pub(crate) async fn pysignalr(stage: &Stage, settings: &Value) -> Verdict<Self> {
        Self::start(stage, Self::python(stage, PYSIGNALR)?, settings).await
    }

    pub(crate) async fn signalrcore(stage: &Stage, settings: &Value) -> Verdict<Self> {
        Self::start(stage, Self::python(stage, SIGNALRCORE)?, settings).await
    }

    fn python(stage: &Stage, script: &str) -> Verdict<Command> {
        let python = stage.house.python.as_ref().ok_or_else(|| Stop::needs("--python"))?;
        let mut command = Command::new(python);
        command.args(["-c", script]);
        Ok(command)
    }

    async fn start(stage: &Stage, mut command: Command, settings: &Value) -> Verdict<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let missing = |error: std::io::Error| {
            Stop::needs(format_args!("an interpreter that starts: {}", causes(&error)))
        };
        let mut child = command.spawn().map_err(missing)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Stop::failed("a process with input and output", "one without"));
        };
        let patience = stage.service().patience + START;
        let mut script = Self { _child: child, input, lines: BufReader::new(output).lines(), patience };
        script.tell(settings).await?;
        Ok(script)
    }

    /// Gives the client something to do.
    pub(crate) async fn tell(&mut self, what: &Value) -> Verdict {
        let line = format!("{what}\n");
        self.input
            .write_all(line.as_bytes())
            .await
            .map_err(|error| Stop::failed("a client that runs", causes(&error)))
    }

    /// What the client says about this; what it says about other things is skipped.
    pub(crate) async fn says(&mut self, about: &str) -> Verdict<Value> {
        let patience = self.patience;
        within(patience, &format!("`{about}` from the client"), async {
            loop {
                let line = self.line().await?;
                if let Some(said) = line.get(about) {
                    return Ok(said.clone());
                }
                if let Some(missing) = line["missing"].as_str() {
                    return Err(Stop::needs(missing));
                }
                if let Some(failed) = line.get("failed") {
                    return Err(Stop::failed(format_args!("`{about}` from the client"), failed));
                }
            }
        })
        .await
    }

    async fn line(&mut self) -> Verdict<Value> {
        match self.lines.next_line().await {
            Ok(Some(line)) => {
                serde_json::from_str(&line).map_err(|_| Stop::failed("a line of JSON from the client", line))
            }
            _ => Err(Stop::failed("a client that runs", "it ended")),
        }
    }
}
