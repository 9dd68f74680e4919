//! What is in the zip, and with which modes: a lost exec bit costs an app two minutes of silence and then its life.

use std::fs::File;
use std::io::Read as _;

use zip::ZipArchive;

use crate::packaged;

const MIB: u64 = 1 << 20;

fn package() -> ZipArchive<File> {
    ZipArchive::new(File::open(packaged("handler.zip")).unwrap()).unwrap()
}

fn handler() -> Vec<u8> {
    let mut bytes = Vec::new();
    package().by_name("handler").unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn cases_65_and_66_the_package_holds_what_the_host_reads_and_nothing_else() {
    let package = package();
    let mut names: Vec<_> = package.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "AccessToken/function.json",
            "SendMessage/function.json",
            "SignalRInfo/function.json",
            "handler",
            "host.json",
            "negotiate/function.json"
        ]
    );
}

#[test]
fn case_66_the_handler_can_be_executed_and_the_rest_can_be_read() {
    let mut package = package();
    for at in 0..package.len() {
        let file = package.by_index(at).unwrap();
        let name = file.name().unwrap();
        let expected = if name == "handler" { 0o100_755 } else { 0o100_644 };
        assert_eq!(file.unix_mode(), Some(expected), "{name}");
    }
}

#[test]
fn the_bytes_of_the_package_do_not_depend_on_when_it_was_made() {
    let mut package = package();
    for at in 0..package.len() {
        let file = package.by_index(at).unwrap();
        assert_eq!(file.last_modified().map(|time| time.year()), Some(1980), "{}", file.name().unwrap());
    }
}

/// By the layout of an ELF file: a dynamic one names the program that has to load it (segment type 3).
#[test]
fn case_66_the_handler_is_for_linux_on_x86_64_and_loads_without_help() {
    let elf = handler();
    let number = |at: usize, size: usize| {
        elf[at..at + size].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "64 bits, little endian");
    assert_eq!(number(18, 2), 62, "x86-64");
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let kinds: Vec<_> = (0..count).map(|segment| number(table + segment * size, 4)).collect();
    assert!(!kinds.contains(&3), "it asks for a loader");
    assert!(kinds.contains(&1), "nothing of it would be loaded at all");
}

#[test]
fn the_handler_is_small_and_tells_nothing_of_where_it_was_built() {
    let elf = handler();
    assert!((elf.len() as u64) < 10 * MIB);
    let text = String::from_utf8_lossy(&elf);
    for path in [env!("CARGO_MANIFEST_DIR"), "/.cargo/registry", "/home/", "/root/"] {
        assert!(!text.contains(path), "{path}");
    }
}
