//! A project of a test's own, and the doctor's visit to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use uuid::Uuid;

/// The key of the service that tests set up.
pub(crate) const KEY: &str = "the-key-of-this-test";

/// A folder that goes with its test.
pub(crate) struct Project(pub(crate) PathBuf);

impl Project {
    /// A clone that nobody has set up yet.
    pub(crate) fn cloned() -> Self {
        let project = Self::package();
        project.write("Cargo.toml", "");
        project
    }

    /// A clone that is set up for `func start`, with the service at this port of this machine.
    pub(crate) fn set_up(service: u16) -> Self {
        let project = Self::cloned();
        let example = repository("local.settings.json.example");
        let official =
            "Endpoint=http://localhost;Port=8888;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;";
        assert!(example.contains(official));
        let ours = format!("Endpoint=http://localhost;Port={service};AccessKey={KEY};");
        project.write("local.settings.json", &example.replace(official, &ours));
        project
    }

    /// What is deployed, unpacked.
    pub(crate) fn package() -> Self {
        let project = Self(std::env::temp_dir().join(format!("doctor-{}", Uuid::new_v4())));
        for file in [
            "host.json",
            "negotiate/function.json",
            "SendMessage/function.json",
            "SignalRInfo/function.json",
            "AccessToken/function.json",
        ] {
            project.write(file, &repository(file));
        }
        project.handler(&elf(62, false), 0o755);
        project
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The file that the host would start.
    pub(crate) fn handler(&self, bytes: &[u8], mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.join("handler");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        let path = self.0.join(name);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }

    /// Writes `wrong` where `right` stands in a file.
    pub(crate) fn change(&self, name: &str, right: &str, wrong: &str) {
        let text = fs::read_to_string(self.0.join(name)).unwrap();
        assert!(text.contains(right), "{right} is not in {name}");
        self.write(name, &text.replace(right, wrong));
    }

    /// Everything the doctor says without further arguments.
    pub(crate) fn visit(&self) -> Report {
        self.visit_with(&[], &[])
    }

    pub(crate) fn visit_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Report {
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

/// The text of a file of this repository.
pub(crate) fn repository(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).unwrap()
}

/// A 64-bit ELF header for this machine type with one segment, perhaps that of an interpreter.
pub(crate) fn elf(machine: u8, interpreter: bool) -> Vec<u8> {
    let mut file = vec![0; 64 + 56];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (file[16], file[18], file[20], file[32]) = (3, machine, 1, 64);
    (file[52], file[54], file[56], file[64]) = (64, 56, 1, if interpreter { 3 } else { 1 });
    file
}

/// What the doctor said.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Report {
    /// Exactly one thing is wrong: `subject`, for this reason, with this cure.
    pub(crate) fn finds_only(&self, subject: &str, what: &str, mend: &str) {
        self.finds(subject, what, mend);
        assert_eq!(self.out.matches("WRONG").count(), 1, "{}", self.out);
    }

    /// `subject` is wrong, for this reason, with this cure right below.
    pub(crate) fn finds(&self, subject: &str, what: &str, mend: &str) {
        let lines: Vec<_> = self.out.lines().collect();
        let said = |pair: &[&str]| {
            let found =
                pair[0].trim_start().strip_prefix("WRONG  ").and_then(|rest| rest.strip_prefix(subject));
            found.is_some_and(|rest| rest.contains(what))
                && pair[1].trim_start().starts_with("mend: ")
                && pair[1].contains(mend)
        };
        assert!(lines.windows(2).any(said), "no {subject}: {what}, mend: {mend} in\n{}", self.out);
        assert_eq!((self.code, self.err.as_str()), (78, ""));
        assert!(self.out.contains("\nNot well: "), "{}", self.out);
    }

    /// Nothing is wrong.
    pub(crate) fn is_well(&self) {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        assert!(self.out.contains("\nAll is well: ") && !self.out.contains("WRONG"), "{}", self.out);
    }

    /// `subject` is as it should be, and that was looked at.
    pub(crate) fn approves(&self, subject: &str, what: &str) {
        self.says("ok     ", subject, what);
    }

    /// `subject` was left out, and what would change that is said.
    pub(crate) fn leaves_out(&self, subject: &str, what: &str) {
        self.says("-      ", subject, what);
    }

    fn says(&self, verdict: &str, subject: &str, what: &str) {
        let mut lines = self
            .out
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix(verdict)?.strip_prefix(subject));
        assert!(lines.any(|rest| rest.contains(what)), "no {verdict}{subject}: {what} in\n{}", self.out);
    }
}
