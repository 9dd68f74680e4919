//! [`AccessKeys`]: the keys of a service.

use std::sync::Arc;

use crate::access_key::AccessKey;

/// The access keys of a service: at least one, of which the first signs.
pub(crate) struct AccessKeys(Arc<[AccessKey]>);

impl AccessKeys {
    /// `keys`, or a generated one.
    pub(crate) fn new(keys: &[AccessKey]) -> Self {
        Self(if keys.is_empty() { [AccessKey::generate()].into() } else { keys.into() })
    }

    /// All keys. Another `Arc` means other keys.
    pub(crate) fn current(&self) -> Arc<[AccessKey]> {
        self.0.clone()
    }

    /// The key that signs.
    pub(crate) fn first(&self) -> AccessKey {
        self.0[0].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_one_is_generated() {
        assert_eq!(AccessKeys::new(&[]).current().len(), 1);
    }
}
