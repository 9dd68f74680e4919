//! The two access keys of a resource, and which tokens are still good for them.
//!
//! Changing a key kills the tokens that were issued to its holder, so every key that was ever in use has a generation,
//! and every token carries the one it was issued under.

use serde::{Deserialize, Serialize};

use crate::AccessKey;

/// Which of a resource's two keys: callers are moved to one while the other is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeySlot {
    /// The first.
    Primary,
    /// The second.
    Secondary,
}

/// Under what a token was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Generation {
    /// What identities get tokens under: they hold no key, so changing one does not touch them.
    pub(crate) const IDENTITY: Self = Self(0);

    /// The key id of tokens of this generation.
    pub(crate) fn key_id(self) -> String {
        ["local-", &self.0.to_string()].concat()
    }

    /// The generation of tokens with this key id.
    pub(crate) fn of_key_id(id: &str) -> Option<Self> {
        id.strip_prefix("local-")?.parse().ok().map(Self)
    }
}

/// The keys in use.
pub(crate) struct Keys {
    current: [(Generation, AccessKey); 2],
    newest: u64,
}

impl Keys {
    pub(crate) fn new([primary, secondary]: [AccessKey; 2]) -> Self {
        Self { current: [(Generation(1), primary), (Generation(2), secondary)], newest: 2 }
    }

    pub(crate) fn get(&self, slot: KeySlot) -> &AccessKey {
        &self.current[slot as usize].1
    }

    /// Both, with what tokens are issued under.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Generation, &AccessKey)> {
        self.current.iter().map(|(generation, key)| (*generation, key))
    }

    pub(crate) fn replace(&mut self, slot: KeySlot, key: AccessKey) {
        self.newest += 1;
        self.current[slot as usize] = (Generation(self.newest), key);
    }

    /// Whether tokens of the generation are still good, as far as keys are concerned.
    pub(crate) fn is_current(&self, generation: Generation) -> bool {
        generation == Generation::IDENTITY || self.iter().any(|(current, _)| current == generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_key_starts_a_generation_of_its_own() {
        let [old, kept, new] = ["YQ==", "Yg==", "Yw=="].map(|key| AccessKey::new(key).unwrap());
        let mut keys = Keys::new([old.clone(), kept.clone()]);
        keys.replace(KeySlot::Primary, new.clone());
        assert!(keys.get(KeySlot::Primary) == &new && keys.get(KeySlot::Secondary) == &kept);
        let current = |number| keys.is_current(Generation(number));
        assert_eq!([0, 1, 2, 3, 4].map(current), [true, false, true, true, false]);
        keys.replace(KeySlot::Primary, old);
        assert!(!keys.is_current(Generation(1)), "an old key that comes back does not bring its tokens back");
    }

    #[test]
    fn a_key_id_names_its_generation() {
        assert_eq!(Generation(12).key_id(), "local-12");
        assert_eq!(Generation::of_key_id("local-12"), Some(Generation(12)));
        assert_eq!(Generation::of_key_id("elsewhere-12"), None);
    }
}
