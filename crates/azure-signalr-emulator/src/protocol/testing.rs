//! What the tests of both protocols make up: any JSON, deep enough to nest and small enough to read.

use proptest::prelude::*;
use serde_json::Value;

/// Any value without numbers that are no 64-bit integers nor finite.
pub(super) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9]{4}-01-01T00:00:00Z".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 20, |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..20).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), value, 0..20).prop_map(Value::from_iter),
        ]
    })
}
