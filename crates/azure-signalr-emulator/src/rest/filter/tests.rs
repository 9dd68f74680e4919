//! Tests of filters: examples, errors, and laws for generated filters.

use proptest::prelude::*;

use super::expression::{Boolean, Comparison, Condition, Number, Operator, Text};
use super::parser::{self, MAX_DEPTH};
use super::*;

const ANN: Subject<'_> = Subject { connection: "c-1", user: Some("x-Ann"), groups: &["red", "blue"] };
const ANONYMOUS: Subject<'_> = Subject { connection: "c-2", user: None, groups: &[] };

fn is(filter: &str, subject: Subject<'_>) -> bool {
    Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}")).matches(subject)
}

fn error(filter: &str) -> String {
    Filter::parse(filter).expect_err(filter).to_string()
}

#[test]
fn functions_and_operators_have_their_values() {
    for filter in [
        "true",
        "userId eq 'x-Ann'",
        "userId ne 'x-ann'",
        "USERID eq 'x-Ann' and connectionid eq 'c-1' and 'red' in GROUPS",
        "startswith(userId, 'x-')",
        "endswith(userId,'Ann')",
        "contains(userId, '-A')",
        "not contains(userId, 'z')",
        "indexof(userId, 'A') eq 2",
        "indexof(userId, 'z') eq -1",
        "length(userId) eq 5 and length(userId) ge 5 and length(userId) le 5",
        "length(userId) gt 4 and length(userId) lt 6",
        "length(groups) eq 2",
        "concat(connectionId, concat('/', userId)) eq 'c-1/x-Ann'",
        "substring(userId, 2) eq 'Ann'",
        "substring(userId, 2, 1) eq 'A'",
        "substring(userId, 9, 1) eq ''",
        "tolower(userId) eq 'x-ann' and toupper(userId) eq 'X-ANN'",
        "trim('  a ') eq 'a'",
        "userId in ('a', 'x-Ann')",
        "length(userId) in (1, 5)",
        "'red' in groups and 'blue' in (groups) and not ('green' in groups)",
        "startswith(userId, 'x') eq true",
        "connectionId gt 'c-0'",
        "length('😀') eq 2 and indexof('😀a', 'a') eq 2",
    ] {
        assert!(is(filter, ANN), "{filter}");
    }
}

#[test]
fn and_binds_tighter_than_or() {
    assert!(is("true or true and false", ANN));
    assert!(!is("(true or true) and false", ANN));
}

#[test]
fn a_quote_inside_a_text_is_written_twice() {
    let subject = Subject { user: Some("it's"), ..ANN };
    assert!(is("userId eq 'it''s'", subject));
}

#[test]
fn a_missing_user_equals_null_and_has_no_other_property() {
    for filter in ["userId eq null", "null eq userId", "userId ne 'a'", "userId in ('a', null)"] {
        assert!(is(filter, ANONYMOUS), "{filter}");
    }
    for filter in [
        "userId ne null",
        "startswith(userId, 'x')",
        "not startswith(userId, 'x')",
        "length(userId) ge 0",
        "length(userId) lt 0",
        "userId in groups",
        "startswith(userId, 'x') and true",
        "startswith(userId, 'x') or false",
    ] {
        assert!(!is(filter, ANONYMOUS), "{filter}");
    }
    assert!(is("startswith(userId, 'x') or true", ANONYMOUS));
    assert!(is("not (startswith(userId, 'x') and false)", ANONYMOUS));
}

#[test]
fn an_error_names_the_character_and_what_was_expected() {
    assert_eq!(
        error("userId eq"),
        "character 10 of the filter: expected a value: a text in quotes, a number, true, false, null, userId, connectionId or a function, found the end"
    );
    assert_eq!(error("userId = 'a'"), "character 8 of the filter: expected a word, a text or a number, found `= 'a'`");
    assert_eq!(error("true AND true"), "character 6 of the filter: expected `and`, `or` or the end, found `AND true`");
    assert_eq!(
        error("userId like 'a'"),
        "character 8 of the filter: expected `eq`, `ne`, `gt`, `ge`, `lt`, `le` or `in`, found `like 'a'`"
    );
    assert_eq!(error("(true"), "character 6 of the filter: expected `)`, found the end");
    assert_eq!(
        error("not length(userId) gt 5"),
        "character 5 of the filter: expected a condition, such as `userId eq 'a'` or `'g' in groups`, found `length(userId) gt 5`"
    );
    assert!(error("not true eq false").contains("as in `not (a eq b)`"));
}

#[test]
fn ill_typed_filters_are_rejected() {
    for filter in [
        "",
        "   ",
        "userId",
        "'a'",
        "1",
        "null",
        "groups",
        "groups eq 'a'",
        "userId eq 1",
        "1 eq userId",
        "true eq 'a'",
        "true gt false",
        "userId eq groups",
        "1 in groups",
        "userId in ()",
        "userId in ('a', 1)",
        "userId in ('a', groups)",
        "userId in 'a'",
        "(userId eq 'a') eq true",
        "userId eq 'a' eq true",
        "tolower(1) eq 'a'",
        "length(1) eq 1",
        "length() eq 1",
        "length(userId, userId) eq 1",
        "substring(userId, -1) eq 'a'",
        "substring(userId, length(userId)) eq 'a'",
        "substring(userId, 1, 2, 3) eq 'a'",
        "matches(userId, 'a')",
        "role eq 'a'",
        "true and",
        "true true",
        "true)",
    ] {
        assert!(Filter::parse(filter).is_err(), "{filter}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |levels: usize| ["(".repeat(levels), "true".into(), ")".repeat(levels)].concat();
    assert!(Filter::parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(error(&nested(MAX_DEPTH + 1)), "the filter nests deeper than 64 levels at character 66");
    for deep in ["not ".repeat(1_000), "(".repeat(8_000), "trim(".repeat(1_000), "(not (".repeat(500)] {
        assert!(matches!(Filter::parse(&deep), Err(InvalidFilter::TooDeep { .. })));
    }
    let wide = vec!["true"; 900].join(" or ");
    assert!(is(&wide, ANONYMOUS));
    assert!(matches!(Filter::parse(&" ".repeat(MAX_FILTER_BYTES + 1)), Err(InvalidFilter::TooLong { .. })));
}

/// A filter over two facts without null, as text with as few parentheses as possible and as its value.
#[derive(Debug, Clone)]
enum SimpleFilter {
    User(bool),
    Group(bool),
    Not(Box<SimpleFilter>),
    And(Box<SimpleFilter>, Box<SimpleFilter>),
    Or(Box<SimpleFilter>, Box<SimpleFilter>),
}

impl SimpleFilter {
    fn any() -> impl Strategy<Value = Self> {
        let fact = prop_oneof![any::<bool>().prop_map(Self::User), any::<bool>().prop_map(Self::Group)];
        fact.prop_recursive(5, 24, 2, |part| {
            prop_oneof![
                part.clone().prop_map(|part| Self::Not(part.into())),
                (part.clone(), part.clone()).prop_map(|(a, b)| Self::And(a.into(), b.into())),
                (part.clone(), part).prop_map(|(a, b)| Self::Or(a.into(), b.into())),
            ]
        })
    }

    fn value(&self) -> bool {
        match self {
            Self::User(truth) | Self::Group(truth) => *truth,
            Self::Not(part) => !part.value(),
            Self::And(a, b) => a.value() & b.value(),
            Self::Or(a, b) => a.value() | b.value(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::User(true) => "userId eq 'x-Ann'".into(),
            Self::User(false) => "userId eq 'x-ANN'".into(),
            Self::Group(true) => "'red' in groups".into(),
            Self::Group(false) => "'RED' in groups".into(),
            Self::Not(part) => format!("not ({})", part.text()),
            Self::And(a, b) => format!("{} and {}", a.factor(), b.factor()),
            Self::Or(a, b) => format!("{} or {}", a.text(), b.text()),
        }
    }

    fn factor(&self) -> String {
        match self {
            Self::Or(..) => format!("({})", self.text()),
            _ => self.text(),
        }
    }
}

fn text() -> impl Strategy<Value = Text> {
    let leaf = prop_oneof![
        Just(Text::Null),
        Just(Text::UserId),
        Just(Text::ConnectionId),
        "[-'a-zA-Zé😀 ]{0,4}".prop_map(Text::Literal),
    ];
    let substring = |(text, start, length): (Text, _, _)| Text::Substring(text.into(), start, length);
    leaf.prop_recursive(3, 8, 2, move |text| {
        prop_oneof![
            text.clone().prop_map(|text| Text::Lower(text.into())),
            text.clone().prop_map(|text| Text::Upper(text.into())),
            text.clone().prop_map(|text| Text::Trim(text.into())),
            (text.clone(), 0..6usize, prop::option::of(0..6usize)).prop_map(substring),
            (text.clone(), text).prop_map(|(a, b)| Text::Concat(a.into(), b.into())),
        ]
    })
}

fn boolean() -> impl Strategy<Value = Boolean> {
    prop_oneof![
        any::<bool>().prop_map(Boolean::Literal),
        (text(), text()).prop_map(|(a, b)| Boolean::StartsWith(a, b)),
        (text(), text()).prop_map(|(a, b)| Boolean::EndsWith(a, b)),
        (text(), text()).prop_map(|(a, b)| Boolean::Contains(a, b)),
    ]
}

/// Never null: a comparison of two nulls has no type.
fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::Literal),
        text().prop_map(Number::Length),
        (text(), text()).prop_map(|(a, b)| Number::IndexOf(a, b)),
        Just(Number::GroupCount),
    ]
}

fn tests<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + Clone + 'static,
    operators: &'static [Operator],
) -> impl Strategy<Value = Comparison<T>> {
    prop_oneof![
        (value.clone(), prop::sample::select(operators), value.clone())
            .prop_map(|(left, operator, right)| Comparison::Compare(left, operator, right)),
        (value.clone(), prop::collection::vec(value, 1..4)).prop_map(|(value, list)| Comparison::In(value, list)),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        boolean().prop_map(Condition::Boolean),
        tests(text().boxed(), &Operator::ALL).prop_map(Condition::Texts),
        tests(number().boxed(), &Operator::ALL).prop_map(Condition::Numbers),
        tests(boolean().boxed(), &[Operator::Equal, Operator::NotEqual]).prop_map(Condition::Booleans),
        text().prop_map(Condition::InGroups),
    ];
    leaf.prop_recursive(4, 16, 3, |part| {
        prop_oneof![
            part.clone().prop_map(|part| Condition::Not(part.into())),
            prop::collection::vec(part.clone(), 2..4).prop_map(Condition::And),
            prop::collection::vec(part, 2..4).prop_map(Condition::Or),
        ]
    })
}

fn not(condition: Condition) -> Condition {
    Condition::Not(condition.into())
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}") {
        let _ = Filter::parse(&text).map(|filter| filter.matches(ANN));
    }

    #[test]
    fn no_sequence_of_tokens_makes_the_parser_panic_and_filters_print_as_themselves(
        words in prop::collection::vec(prop::sample::select(vec![
            "userId", "groups", "connectionId", "'a'", "1", "-1", "null", "true", "eq", "gt", "in", "and", "or", "not",
            "(", "(", ")", ")", ",", "length(", "startswith(", "substring(", "concat(",
        ]), 0..14),
    ) {
        if let Ok(filter) = Filter::parse(&words.join(" ")) {
            prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
        }
    }

    #[test]
    fn a_printed_filter_parses_to_the_same(condition in condition()) {
        let filter = Filter(condition);
        let printed = filter.to_string();
        prop_assert_eq!(parser::parse(&printed), Ok(filter.0), "{}", printed);
    }

    #[test]
    fn values_agree_with_a_naive_evaluation(plain in SimpleFilter::any()) {
        prop_assert_eq!(is(&plain.text(), ANN), plain.value(), "{}", plain.text());
    }

    #[test]
    fn de_morgan_holds_with_null_too(a in condition(), b in condition()) {
        for subject in [ANN, ANONYMOUS] {
            let neither = not(Condition::Or(vec![a.clone(), b.clone()])).evaluate(subject);
            prop_assert_eq!(neither, Condition::And(vec![not(a.clone()), not(b.clone())]).evaluate(subject));
            prop_assert_eq!(not(not(a.clone())).evaluate(subject), a.evaluate(subject));
        }
    }
}
