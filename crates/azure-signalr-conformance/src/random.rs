//! Names that nobody else uses, so that cases may run beside each other and beside strangers.

/// A name: what it is for, and 40 random bits.
pub(crate) fn name(of: &str) -> String {
    let mut bytes = [0; 5];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes.iter().fold(of.to_owned(), |name, byte| format!("{name}{byte:02x}"))
}
