//! The promise of the format: any value of any shape arrives as it was, or is refused.

mod odd;
mod shapes;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use shapes::*;

const CASES: u32 = 256;

fn through<T: Serialize + DeserializeOwned>(value: &T) -> Result<T, FormatError> {
    let bytes = to_vec(value)?;
    check(value, &bytes)?;
    from_slice(&bytes)
}

/// Any value of a type, and lists and options of it, arrive as they are.
fn arrives<T: Shape + Serialize + DeserializeOwned>() {
    let name = std::any::type_name::<T>();
    let strategy = (T::any_shape(), Vec::<T>::any_shape(), Option::<T>::any_shape());
    let run = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(CASES) }).run(
        &strategy,
        |whole| {
            prop_assert_eq!(through(&whole.0), Ok(whole.0.clone()));
            prop_assert_eq!(through(&whole), Ok(whole));
            Ok(())
        },
    );
    run.unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// Any value arrives as it is or is refused; some values arrive, and some are refused.
fn arrives_or_is_refused<T: Shape + Serialize + DeserializeOwned>() {
    let name = std::any::type_name::<T>();
    let (mut arrived, mut refused) = (0, 0);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(CASES) });
    let run = runner.run(&(T::any_shape(), 0..1_u8), |whole| {
        if let Ok(read) = through(&whole) {
            prop_assert_eq!(read, whole);
        }
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut runner = TestRunner::deterministic();
    for _ in 0..CASES {
        let value = T::any_shape().new_tree(&mut runner).expect("a value").current();
        if through(&value).is_ok() { arrived += 1 } else { refused += 1 }
    }
    assert!(arrived > 0 && refused > 0, "{name}: {arrived} arrived, {refused} were refused");
}

macro_rules! arrive {
    ($($name:ident: $type:ty;)*) => {$(
        #[test]
        fn $name() {
            arrives::<$type>();
        }
    )*};
}

arrive! {
    numbers_arrive_bit_for_bit: Numbers;
    things_without_content_arrive: Zero;
    options_of_options_arrive: Options;
    structs_with_skipped_fields_arrive: SkipIf;
    renamed_and_defaulted_fields_arrive: Renamed;
    flattened_structs_and_enums_arrive: Flat;
    flattened_options_arrive: FlatOption;
    flattened_maps_arrive: FlatRest;
    flattened_maps_with_keys_that_are_numbers_arrive: FlatNumbers;
    flattened_tagged_enums_arrive: FlatTagged;
    maps_with_any_keys_arrive: Maps;
    types_that_ask_for_a_readable_format_arrive: Times;
    nested_containers_arrive: Deep;
    externally_tagged_enums_arrive: External;
    internally_tagged_enums_arrive: Tagged;
    adjacently_tagged_enums_arrive: Adjacent;
    untagged_enums_arrive: Untagged;
    renamed_variants_arrive: Loud;
    any_json_arrives: Json;
}

// kind: what serde can express | `#[serde(untagged)]` with variants that look alike | loud | the value is read back
//    where it is written
#[test]
fn untagged_variants_that_look_alike_arrive_or_are_refused() {
    arrives_or_is_refused::<Alike>();
    arrives_or_is_refused::<Covering>();
}

#[test]
fn skipped_places_of_a_tuple_arrive_or_are_refused() {
    arrives_or_is_refused::<TupleSkips>();
}

// kind: what serde can express | `skip_serializing_if` and `skip` | right | they arrive as they were, or are
//    refused where they are written
#[test]
fn skipped_fields_arrive_or_are_refused() {
    arrives_or_is_refused::<Lossy>();
}

/// The order of a hash table differs in each copy of it; only maps and sets may come back in another one.
#[test]
fn only_the_order_of_maps_and_sets_may_differ() {
    let written = |value: &serde_json::Value| to_vec(value).expect("plain data");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let (one, other) =
        (written(&json(r#"{"a":[1,"x"],"b":null}"#)), written(&json(r#"{"a":[2,"x"],"b":null}"#)));
    assert!(same::same(&one, &one) && !same::same(&one, &other));
    let (one, other) = (to_vec(&(1, 2)).expect("a pair"), to_vec(&(2, 1)).expect("a pair"));
    assert!(!same::same(&one, &other));
    let map = |order: [u8; 2]| order.map(|key| (key, "value"));
    struct Ordered([(u8, &'static str); 2]);
    impl Serialize for Ordered {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0)
        }
    }
    let (one, other) = (to_vec(&Ordered(map([1, 2]))), to_vec(&Ordered(map([2, 1]))));
    assert!(same::same(&one.expect("a map"), &other.expect("a map")));
}

#[derive(Debug, Serialize, Deserialize)]
struct Link(Option<Box<Link>>);

fn chain(links: u32) -> Link {
    (1..links).fold(Link(None), |rest, _| Link(Some(Box::new(rest))))
}

// kind: what serde can express | a value nested too deeply | loud | refused instead of a crash
#[test]
fn a_chain_that_would_overflow_the_stack_is_refused() {
    through(&chain(DEPTH_MAX / 2 - 1)).expect("it is read on this thread's stack");
    let error = through(&chain(DEPTH_MAX)).expect_err("too deep");
    assert!(error.to_string().contains("levels deep"), "{error}");
}

#[test]
fn bytes_that_are_not_a_value_are_refused_without_memory_for_what_they_announce() {
    for bytes in
        [&[8, 0xff, 0xff, 0xff, 0xff, 0x7f, 32][..], &[7, 0xff, 0xff, 0xff, 0x7f], &[6, 1], &[99], &[]]
    {
        assert!(from_slice::<Vec<u8>>(bytes).is_err(), "{bytes:?}");
        assert!(from_slice::<serde_json::Value>(bytes).is_err(), "{bytes:?}");
    }
    let written = to_vec(&(1_u8, "text")).expect("plain data");
    assert!((0..written.len()).all(|end| from_slice::<(u8, String)>(&written[..end]).is_err()));
}
