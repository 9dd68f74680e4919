//! A buffer of lines, and the thread that writes it.

use std::cell::Cell;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::escape::to_one_line;

/// The most bytes that wait to be written; as many can be with the operating system.
pub const MAX_QUEUED_BYTES: usize = 1_024 * 1_024;

/// The wait for further lines after one has arrived, so that under load one write takes many lines.
const WRITE_INTERVAL: Duration = Duration::from_millis(2);

/// The interval of tries where the output does not block, but takes nothing.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// The capacity that a buffer keeps when it has been written.
const KEPT_BYTES: usize = 64 * 1_024;

thread_local! {
    /// Whether this is a thread that writes: the line in which it reports lost lines must not be lost.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

static STDOUT: OnceLock<LogWriter> = OnceLock::new();
static STDERR: OnceLock<LogWriter> = OnceLock::new();

/// Takes lines for an output, and never blocks.
#[derive(Debug)]
pub struct LogWriter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There is something to write, or to be done with.
    changed: Condvar,
    /// A buffer has been written.
    written: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whole lines, each with its line feed.
    lines: Vec<u8>,
    /// The number of lines that were dropped and not reported.
    lost: u64,
    /// Whether the thread waits for a line.
    is_idle: bool,
    /// Whether the thread writes lines that are no longer in `lines`.
    is_writing: bool,
    is_flushing: bool,
}

/// The writer of standard output. The first call starts its thread.
pub fn stdout() -> &'static LogWriter {
    STDOUT.get_or_init(|| LogWriter::start(unbuffered(io::stdout()), |lost| report(lost, "standard output")))
}

/// The writer of standard error. The first call starts its thread.
pub fn stderr() -> &'static LogWriter {
    STDERR.get_or_init(|| LogWriter::start(unbuffered(io::stderr()), |lost| report(lost, "standard error")))
}

/// Waits until the lines of both outputs have been written, until `deadline`.
pub(crate) fn flush(deadline: Instant) {
    for writer in [STDOUT.get(), STDERR.get()].into_iter().flatten() {
        writer.flush(deadline.saturating_duration_since(Instant::now()));
    }
}

fn report(lost: u64, output: &str) {
    tracing::warn!(lost, "{lost} lines of {output} were lost: they were not read, or could not be written");
}

/// The descriptor of `output`. Its own buffer would be written when the process exits, which may block.
#[cfg(unix)]
fn unbuffered(output: impl Write + Send + std::os::fd::AsFd + 'static) -> Box<dyn Write + Send> {
    match output.as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(std::fs::File::from(descriptor)),
        Err(_) => Box::new(output),
    }
}

/// `output` itself, which converts text for a console.
#[cfg(not(unix))]
fn unbuffered(output: impl Write + Send + 'static) -> Box<dyn Write + Send> {
    Box::new(output)
}

impl LogWriter {
    /// Starts a thread that writes to `out`. `report` is called by it with the number of lines that were lost.
    ///
    /// Without a thread, for want of memory, lines are lost.
    fn start(out: impl Write + Send + 'static, report: impl Fn(u64) + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        drop(thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.write_lines(out, report)));
        Self(shared)
    }

    /// Writes `line` soon, in the order of the calls; a line that does not fit into the buffer is lost.
    pub fn write_line(&self, line: &str) {
        self.push(line.as_bytes());
    }

    pub(crate) fn push(&self, line: &[u8]) {
        let line = to_one_line(line);
        let mut queue = self.0.lock();
        let is_full = queue.lines.len() + line.len() >= MAX_QUEUED_BYTES;
        if is_full && !IS_WRITER.get() {
            queue.lost += 1;
            return;
        }
        queue.lines.extend_from_slice(&line);
        queue.lines.push(b'\n');
        if queue.is_idle {
            queue.is_idle = false;
            self.0.changed.notify_one();
        }
    }

    /// Waits until all lines have been written, or could not be; at most for `timeout`.
    pub fn flush(&self, timeout: Duration) {
        let mut queue = self.0.lock();
        queue.is_flushing = true;
        self.0.changed.notify_one();
        let has_more = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        let waited = self.0.written.wait_timeout_while(queue, timeout, has_more);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_flushing = false;
    }
}

impl Shared {
    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lines(&self, mut out: impl Write, report: impl Fn(u64)) {
        IS_WRITER.set(true);
        let mut lines = Vec::new();
        let mut is_writable = true;
        loop {
            let lost = self.next(&mut lines, is_writable);
            // The line of the report follows those that were not lost.
            if lost > 0 {
                report(lost);
            }
            let unwritten = write(&mut out, &lines);
            is_writable = unwritten.is_empty();
            self.lock().lost += unwritten.iter().filter(|byte| **byte == b'\n').count() as u64;
            lines.clear();
            lines.shrink_to(KEPT_BYTES);
        }
    }

    /// Waits for lines, moves them to `lines`, which is empty, and returns the number of lost lines to report: where the output takes none,
    /// that has to wait.
    fn next(&self, lines: &mut Vec<u8>, is_writable: bool) -> u64 {
        let mut queue = self.lock();
        queue.is_writing = false;
        self.written.notify_all();
        while queue.lines.is_empty() && (queue.lost == 0 || !is_writable) {
            queue.is_idle = true;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.is_idle = false;
        let waited = self.changed.wait_timeout_while(queue, WRITE_INTERVAL, |queue| !queue.is_flushing);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(&mut queue.lines, lines);
        queue.is_writing = true;
        if is_writable { std::mem::take(&mut queue.lost) } else { 0 }
    }
}

/// Writes `lines`, and returns the rest that could not be written.
fn write<'a>(out: &mut impl Write, mut lines: &'a [u8]) -> &'a [u8] {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(0) => return lines,
            Ok(written) => lines = &lines[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_INTERVAL),
            Err(_) => return lines,
        }
    }
    // Has an effect only where the output has a buffer.
    let _ = out.flush();
    lines
}

/// Each call of `write` is one line, with or without a line feed at its end; it never fails. Do not use it with `write!`, which calls
/// `write` several times.
impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    /// Does nothing: the thread writes lines soon after they arrive.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::mpsc::{self, Receiver};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    /// The outcome of one write: a number of bytes at most, or a failure.
    type Outcome = Result<usize, ErrorKind>;

    /// An output that waits for permission for each write, and sends what it has written.
    struct TestOutput {
        outcomes: Receiver<Outcome>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for TestOutput {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            // Without a test that gives permission, the output stalls for ever.
            let Ok(outcome) = self.outcomes.recv() else {
                loop {
                    thread::park();
                }
            };
            let written = outcome.map(|most| most.min(lines.len()))?;
            let _ = self.written.send(lines[..written].to_vec());
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct TestWriter {
        writer: LogWriter,
        outcomes: mpsc::Sender<Outcome>,
        written: Receiver<Vec<u8>>,
        lost: Receiver<u64>,
    }

    impl TestWriter {
        fn start() -> Self {
            let (outcomes, of_output) = mpsc::channel();
            let (to_test, written) = mpsc::channel();
            let (report, lost) = mpsc::channel();
            let out = TestOutput { outcomes: of_output, written: to_test };
            let writer = LogWriter::start(out, move |lost| report.send(lost).unwrap_or_default());
            Self { writer, outcomes, written, lost }
        }

        fn next_write(&self, outcome: Outcome) {
            self.outcomes.send(outcome).unwrap();
        }

        fn written(&self) -> String {
            String::from_utf8(self.written.recv_timeout(TIMEOUT).unwrap()).unwrap()
        }

        fn lost(&self) -> u64 {
            self.lost.recv_timeout(TIMEOUT).unwrap()
        }

        /// Writes one line with permission, which the thread takes out of the buffer, and a second without: then the output stalls.
        fn stall(&self) {
            self.next_write(Ok(usize::MAX));
            self.writer.write_line("first");
            assert_eq!(self.written(), "first\n");
            self.writer.write_line("stalled");
            while !self.writer.0.lock().lines.is_empty() {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn lines_are_written_in_the_order_of_the_calls() {
        let test = TestWriter::start();
        (0..1_000).for_each(|number| test.writer.write_line(&number.to_string()));
        (0..1_000).for_each(|_| test.next_write(Ok(usize::MAX)));
        let mut lines = VecDeque::new();
        while lines.len() < 1_000 {
            lines.extend(test.written().lines().map(|line| line.parse::<u32>().unwrap()));
        }
        assert!(lines.into_iter().eq(0..1_000));
    }

    #[test]
    fn a_stalled_output_blocks_no_caller_and_every_line_is_written_or_counted() {
        let test = TestWriter::start();
        test.stall();
        let line = "x".repeat(1_000);
        (0..5_000).for_each(|_| test.writer.write_line(&line));
        assert!(test.writer.0.lock().lines.len() <= MAX_QUEUED_BYTES);
        (0..2).for_each(|_| test.next_write(Ok(usize::MAX)));
        assert_eq!(test.written(), "stalled\n");
        let lost = test.lost();
        assert_eq!(test.written().lines().count() as u64 + lost, 5_000);
        assert_eq!(lost, 5_000 - MAX_QUEUED_BYTES as u64 / 1_001);
    }

    #[test]
    fn a_report_of_lost_lines_fits_into_a_full_buffer() {
        let test = TestWriter::start();
        test.stall();
        let line = "x".repeat(MAX_QUEUED_BYTES / 128 - 1);
        (0..128).for_each(|_| test.writer.write_line(&line));
        let queued = test.writer.0.lock().lines.len();
        IS_WRITER.set(true);
        test.writer.write_line("the report");
        IS_WRITER.set(false);
        test.writer.write_line("another line");
        let queue = test.writer.0.lock();
        assert_eq!((queue.lines.len(), queue.lost), (queued + "the report\n".len(), 1));
    }

    #[test]
    fn failed_writes_are_counted_and_reported_once_the_output_works() {
        for failure in [ErrorKind::BrokenPipe, ErrorKind::StorageFull, ErrorKind::PermissionDenied] {
            let test = TestWriter::start();
            for line in ["one", "two"] {
                test.next_write(Err(failure));
                test.writer.write_line(line);
                test.writer.flush(TIMEOUT);
            }
            assert!(test.lost.try_recv().is_err(), "{failure}: nothing is reported to an output that fails");
            test.next_write(Ok(usize::MAX));
            test.writer.write_line("three");
            assert_eq!(test.written(), "three\n");
            assert_eq!(test.lost(), 2, "{failure}");
        }
    }

    #[test]
    fn interrupted_and_partial_writes_are_continued() {
        let test = TestWriter::start();
        for outcome in [Err(ErrorKind::Interrupted), Ok(2), Err(ErrorKind::WouldBlock), Ok(usize::MAX)] {
            test.next_write(outcome);
        }
        test.writer.write_line("a line");
        assert_eq!((test.written(), test.written()), ("a ".to_owned(), "line\n".to_owned()));
    }

    #[test]
    fn a_flush_waits_for_the_lines_and_not_for_an_output_that_stalls() {
        let test = TestWriter::start();
        test.next_write(Ok(usize::MAX));
        test.writer.write_line("last");
        test.writer.flush(TIMEOUT);
        assert_eq!(test.written.try_recv().unwrap(), b"last\n");
        test.writer.write_line("stalled");
        test.writer.flush(Duration::from_millis(1));
    }

    #[test]
    fn each_write_is_one_line() {
        let test = TestWriter::start();
        (&test.writer).write_all(b"a\nb\n").unwrap();
        test.next_write(Ok(usize::MAX));
        assert_eq!(test.written(), "a\\nb\n");
    }
}
