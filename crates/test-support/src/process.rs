//! A program under test and the lines it prints.

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest wait for anything, sufficient on a busy machine.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A running program. Dropping it kills it.
pub struct Process {
    /// The operating system's process.
    pub child: Child,
    /// Standard output.
    pub out: Output,
    /// Standard error.
    pub err: Output,
}

/// The lines of a stream, received as they arrive.
#[derive(Default)]
pub struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// An output that takes no lines, or not for long.
#[derive(Clone, Copy, Debug)]
pub enum BadOutput {
    /// A pipe that is not read.
    NeverRead,
    /// A pipe whose other end is closed.
    Closed,
    /// A file on a full disk.
    FullDisk,
}

impl Output {
    /// Reads `stream` in a thread.
    pub fn of(stream: impl std::io::Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let received = lines.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                received.lock().unwrap().push(line);
            }
        });
        Self { lines, reader: Some(reader) }
    }

    /// All lines so far.
    pub fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits for a line that contains `part`, and returns the first one.
    pub fn line(&self, part: &str) -> String {
        let found = || self.lines.lock().unwrap().iter().find(|line| line.contains(part)).cloned();
        wait_until(&format!("a line with {part:?}; so far:\n{}", self.text()), found)
    }
}

impl Process {
    /// Starts `program` with `arguments` and no environment but `variables`.
    pub fn start(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(&mut Self::command(program, arguments, variables))
    }

    /// The command of [`start`](Self::start), to be changed before it is spawned.
    pub fn command(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(variables.iter().copied());
        command
    }

    /// Starts `command` and keeps what it prints.
    pub fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Output::of(child.stdout.take().unwrap());
        let err = Output::of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Starts `command` with `output` as standard output and standard error. Returns the other end of the pipe that is not read.
    pub fn spawn_with(command: &mut Command, output: BadOutput) -> (Self, Option<PipeReader>) {
        let (reader, writer) = std::io::pipe().unwrap();
        let full_disk = || File::options().write(true).open("/dev/full").unwrap();
        let (reader, out, err): (_, Stdio, Stdio) = match output {
            BadOutput::NeverRead => (Some(reader), writer.try_clone().unwrap().into(), writer.into()),
            BadOutput::Closed => (None, writer.try_clone().unwrap().into(), writer.into()),
            BadOutput::FullDisk => (None, full_disk().into(), full_disk().into()),
        };
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        // The command still has its copies of the output, which would keep the pipe open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        (Self { child, out: Output::default(), err: Output::default() }, reader)
    }

    /// Waits until the process has exited and its output is complete.
    pub fn end(&mut self) -> ExitStatus {
        let status = wait_until("the process to end", || self.child.try_wait().unwrap());
        for output in [&mut self.out, &mut self.err] {
            output.reader.take().map(JoinHandle::join);
        }
        status
    }

    /// Sends the signal `name`, like `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether `char` in a line can make it look like another, or like several: line breaks, control characters and those that change the
/// direction of text.
pub fn is_forging(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Repeats `check` until it returns a value; fails the test after [`TEST_TIMEOUT`], saying what was waited for.
pub fn wait_until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(start.elapsed() < TEST_TIMEOUT, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
