//! Checks the file that the host starts: it exists, is executable, and was built for the right system.
//!
//! Azure runs it on x86-64 Linux with unspecified libraries, so in a package it must be one static file. Beside the sources it may also
//! be built for this machine, as `func start` needs it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use object::elf::{EM_X86_64, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, LittleEndian};

use super::report::Finding;

/// Holds the headers of every file that a linker writes.
const MAX_HEADER_BYTES: u64 = 64 * 1024;

/// What the folder with the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FolderKind {
    /// An unpacked deployment package.
    Package,
    /// The sources, set up for `func start`.
    Project,
    /// The sources, not set up for `func start`.
    Clone,
}

impl FolderKind {
    fn of(folder: &Path) -> Self {
        match (folder.join("Cargo.toml").exists(), folder.join("local.settings.json").exists()) {
            (false, _) => Self::Package,
            (true, true) => Self::Project,
            (true, false) => Self::Clone,
        }
    }
}

/// The permission and the headers of a file.
#[derive(Debug)]
struct Executable {
    is_executable: bool,
    headers: Vec<u8>,
}

impl Executable {
    fn read(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut headers = Vec::new();
        File::open(path)?.take(MAX_HEADER_BYTES).read_to_end(&mut headers)?;
        Ok(Self { is_executable: is_executable(&metadata), headers })
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

/// Other systems have no such permission; `func` sets it in the package.
#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    true
}

/// The system that a file was built for.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// Linux on x86-64, as in Azure.
    LinuxX64 { is_static: bool },
    /// Linux on another processor.
    OtherLinux,
    /// Another system, or not an executable.
    NotLinux,
}

impl Target {
    fn of(headers: &[u8]) -> Self {
        let Ok(file) = FileHeader64::<LittleEndian>::parse(headers) else {
            let is_elf = FileHeader64::<Endianness>::parse(headers).is_ok() || headers.starts_with(b"\x7fELF");
            return if is_elf { Self::OtherLinux } else { Self::NotLinux };
        };
        if file.e_machine.get(LittleEndian) != EM_X86_64 {
            return Self::OtherLinux;
        }
        let segments = file.program_headers(LittleEndian, headers).unwrap_or_default();
        Self::LinuxX64 { is_static: segments.iter().all(|segment| segment.p_type(LittleEndian) != PT_INTERP) }
    }
}

/// Checks the file called `name` in `host.json`, in `folder`.
pub(super) fn check(folder: &Path, name: &str) -> Finding {
    evaluate(name, Executable::read(&folder.join(name)).ok().as_ref(), FolderKind::of(folder))
}

fn evaluate(name: &str, executable: Option<&Executable>, folder: FolderKind) -> Finding {
    let build = match folder {
        FolderKind::Package => "make package",
        FolderKind::Project | FolderKind::Clone => "cargo build && cp target/debug/handler .",
    };
    let Some(Executable { is_executable, headers }) = executable else {
        return match folder {
            FolderKind::Clone => Finding::skipped(name, format!("not built yet; `func start` needs it: {build}")),
            _ => Finding::problem(name, "does not exist, and host.json says to start it", build),
        };
    };
    if !is_executable {
        let problem = "is not executable: calls would hang for two minutes, then \"Initialization timed out\"";
        return Finding::problem(name, problem, format!("chmod +x {name}"));
    }
    match (Target::of(headers), folder) {
        (Target::LinuxX64 { is_static: false }, FolderKind::Package) => {
            Finding::problem(name, "is not static: it needs the libraries of the machine it was built on", build)
        }
        (Target::LinuxX64 { .. }, FolderKind::Package) => Finding::ok(name, "executable, static, for Linux on x86-64"),
        (Target::LinuxX64 { .. }, _) => Finding::ok(name, "executable, for Linux on x86-64"),
        (_, FolderKind::Project | FolderKind::Clone) if !cfg!(all(target_os = "linux", target_arch = "x86_64")) => {
            Finding::ok(name, "executable; for Azure build another with `make package`")
        }
        (Target::OtherLinux, _) => Finding::problem(
            name,
            "is built for another processor than x86-64, which is needed here and in Azure",
            build,
        ),
        (Target::NotLinux, _) => Finding::problem(name, "is not an executable for Linux", build),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u8, interpreter: bool) -> Executable {
        let mut head = vec![0; 64 + 56];
        head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        (head[16], head[18], head[20]) = (3, machine, 1);
        // One program header of 56 bytes after the file header of 64.
        (head[32], head[52], head[54], head[56]) = (64, 64, 56, 1);
        head[64] = if interpreter { 3 } else { 1 };
        Executable { is_executable: true, headers: head }
    }

    #[test]
    fn the_header_names_the_target() {
        for (program, expected) in [
            (elf(62, false), Target::LinuxX64 { is_static: true }),
            (elf(62, true), Target::LinuxX64 { is_static: false }),
            (elf(183, true), Target::OtherLinux),
            (Executable { is_executable: true, headers: b"\x7fELF\x01".to_vec() }, Target::OtherLinux),
            (Executable { is_executable: true, headers: b"\xcf\xfa\xed\xfe\x07\0\0\x01".to_vec() }, Target::NotLinux),
            (Executable { is_executable: true, headers: b"MZ\x90\0".to_vec() }, Target::NotLinux),
            (Executable { is_executable: true, headers: b"#!/bin/sh\n".to_vec() }, Target::NotLinux),
            (Executable { is_executable: true, headers: Vec::new() }, Target::NotLinux),
        ] {
            assert_eq!(Target::of(&program.headers), expected);
        }
    }

    #[test]
    fn a_package_needs_a_static_file_and_a_project_does_not() {
        assert!(!evaluate("handler", Some(&elf(62, false)), FolderKind::Package).is_problem());
        assert!(evaluate("handler", Some(&elf(62, true)), FolderKind::Package).is_problem());
        assert!(!evaluate("handler", Some(&elf(62, true)), FolderKind::Project).is_problem());
    }

    #[test]
    fn a_missing_file_is_a_problem_except_in_a_fresh_clone() {
        let problems = [FolderKind::Package, FolderKind::Project, FolderKind::Clone]
            .map(|folder| evaluate("handler", None, folder).is_problem());
        assert_eq!(problems, [true, true, false]);
    }
}
