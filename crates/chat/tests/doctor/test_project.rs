//! A temporary project folder, and the report of `chat doctor` run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use uuid::Uuid;

/// The access key of the test service.
pub(crate) const KEY: &str = "the-key-of-this-test";

/// The setting with the connection string of the service.
pub(crate) const SIGNALR: &str = "AzureSignalRConnectionString";

/// Tests of the form `NAME = REPORT => SUBJECT, PROBLEM, FIX;`. `finds_only` and `finds` are the methods of [`Report`].
macro_rules! problem_tests {
    ($finds:ident: $($name:ident = $report:expr => $subject:expr, $problem:expr, $fix:expr;)+) => {$(
        #[test]
        fn $name() {
            $report.$finds($subject, $problem, $fix);
        }
    )+};
}
pub(crate) use problem_tests;

/// A project folder, deleted when dropped.
pub(crate) struct Project(pub(crate) PathBuf);

impl Project {
    /// A clone that is not set up for `func start`.
    pub(crate) fn cloned() -> Self {
        let project = Self::package();
        project.write("Cargo.toml", "");
        project
    }

    /// A clone that is set up for `func start`, with the service at this local port.
    pub(crate) fn set_up(service: u16) -> Self {
        let project = Self::cloned();
        let example = repository("local.settings.json.example");
        let official = "Endpoint=http://localhost;Port=8888;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;";
        assert!(example.contains(official));
        let test_service = format!("Endpoint=http://localhost;Port={service};AccessKey={KEY};");
        project.write("local.settings.json", &example.replace(official, &test_service));
        project
    }

    /// An unpacked deployment package.
    pub(crate) fn package() -> Self {
        let project = Self(std::env::temp_dir().join(format!("doctor-{}", Uuid::new_v4())));
        for file in [
            "host.json", "negotiate/function.json", "SendMessage/function.json", "SignalRInfo/function.json",
            "AccessToken/function.json", "Me/function.json", "Features/function.json", "Rooms/function.json",
            "RoomMembers/function.json", "RoomMember/function.json", "History/function.json",
            "RemoveMessage/function.json",
        ] {
            project.write(file, &repository(file));
        }
        project.handler(&elf(62, false), 0o755);
        project
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Writes the file that the host starts.
    pub(crate) fn handler(&self, bytes: &[u8], mode: u32) -> &Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.join("handler");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub(crate) fn remove(&self, name: &str) -> &Self {
        let path = self.0.join(name);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        self
    }

    /// Replaces `right` by `wrong` in a file.
    pub(crate) fn change(&self, name: &str, right: &str, wrong: &str) -> &Self {
        let text = fs::read_to_string(self.0.join(name)).unwrap();
        assert!(text.contains(right), "{right} is not in {name}");
        self.write(name, &text.replace(right, wrong))
    }

    /// Runs the doctor without arguments.
    pub(crate) fn run(&self) -> Report {
        self.run_with(&[], &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Report {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
        command.arg("doctor").args(arguments).current_dir(&self.0);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).envs(variables.iter().copied());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Report { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Reads a file of this repository.
pub(crate) fn repository(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).unwrap()
}

/// A 64-bit ELF header for this machine type with one segment, of an interpreter or not.
pub(crate) fn elf(machine: u8, interpreter: bool) -> Vec<u8> {
    let mut file = vec![0; 64 + 56];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (file[16], file[18], file[20], file[32]) = (3, machine, 1, 64);
    (file[52], file[54], file[56], file[64]) = (64, 56, 1, if interpreter { 3 } else { 1 });
    file
}

/// The output and exit code of the doctor.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Report {
    /// Asserts that there is one problem: `subject`, with this text and fix.
    pub(crate) fn finds_only(&self, subject: &str, what: &str, fix: &str) {
        self.finds(subject, what, fix);
        assert_eq!(self.out.matches("PROBLEM").count(), 1, "{}", self.out);
    }

    /// Asserts that `subject` has a problem with this text, and this fix in the next line.
    pub(crate) fn finds(&self, subject: &str, what: &str, fix: &str) {
        let lines: Vec<_> = self.out.lines().collect();
        let matches = |pair: &[&str]| {
            let found = pair[0].trim_start().strip_prefix("PROBLEM  ").and_then(|rest| rest.strip_prefix(subject));
            found.is_some_and(|rest| rest.contains(what))
                && pair[1].trim_start().starts_with("fix: ")
                && pair[1].contains(fix)
        };
        assert!(lines.windows(2).any(matches), "no {subject}: {what}, fix: {fix} in\n{}", self.out);
        assert_eq!((self.code, self.err.as_str()), (78, ""));
        assert!(self.out.contains(" found: "), "{}", self.out);
    }

    /// Asserts that there is no problem.
    pub(crate) fn passes(&self) {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        assert!(self.out.contains("\nNo problem found: ") && !self.out.contains("PROBLEM"), "{}", self.out);
    }

    /// Asserts that `subject` was checked and has no problem.
    pub(crate) fn is_ok(&self, subject: &str, what: &str) {
        self.has_line("ok       ", subject, what);
    }

    /// Asserts that `subject` was skipped, with this reason.
    pub(crate) fn skips(&self, subject: &str, what: &str) {
        self.has_line("skipped  ", subject, what);
    }

    fn has_line(&self, outcome: &str, subject: &str, what: &str) {
        let mut lines =
            self.out.lines().filter_map(|line| line.trim_start().strip_prefix(outcome)?.strip_prefix(subject));
        assert!(lines.any(|rest| rest.contains(what)), "no {outcome}{subject}: {what} in\n{}", self.out);
    }
}
