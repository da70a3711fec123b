//! Types of the standard library and of users that write what is not obvious: each arrives as it was, or is refused in words.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, LinkedList};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroI128, NonZeroU8, Wrapping};
use std::ops::{Bound, Range, RangeInclusive};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde::de::IntoDeserializer;
use serde::{Deserializer, Serializer};

use super::*;

/// Asserts that each arrives, alone and inside of other values.
macro_rules! arrives {
    ($($value:expr),* $(,)?) => {$(
        let value = $value;
        assert_eq!(through(&value).as_ref(), Ok(&value), "{}", stringify!($value));
        let pair = (Some(value.clone()), vec![value]);
        assert_eq!(through(&pair).as_ref(), Ok(&pair), "{}", stringify!($value));
    )*};
}

fn refusal<T: Serialize + DeserializeOwned>(value: &T) -> String {
    through(value).err().expect("it is refused").to_string()
}

#[test]
fn types_of_the_standard_library_arrive() {
    let not_utf8 = OsString::from_vec(vec![b'a', 0xff, b'/']);
    arrives!(
        NonZeroU8::MAX,
        NonZeroI128::MIN,
        Wrapping(u64::MAX),
        Range { start: -1, end: 7 },
        RangeInclusive::new('a', 'z'),
        (Bound::Included(1), Bound::<u8>::Unbounded),
        Duration::MAX,
        SystemTime::UNIX_EPOCH + Duration::new(9, 1),
        IpAddr::from([0_u16; 8]),
        SocketAddr::from((Ipv4Addr::LOCALHOST, 80)),
        not_utf8,
        PathBuf::from("a/ü"),
        LinkedList::from([1.5, -0.0]),
        std::cmp::Reverse(i128::MIN),
        Box::<str>::from(""),
        Box::<[u8]>::from([0, 255]),
        Err::<(), _>("error".to_owned()),
        std::marker::PhantomData::<u8>,
        [[0_u16; 3]; 2],
        (1_u32, 2.5_f32, 'x', true),
        [(1_u32, f32::MIN_POSITIVE); 3],
        BTreeMap::from([(vec![0_u8, 255], [(); 4]), (Vec::new(), [(); 4])]),
        std::ffi::CString::new(vec![1, 255]).expect("without a zero byte"),
        RefCell::new(Cell::new(7)),
    );
    let heap = BinaryHeap::from(vec![3, 1, 2, 5, 4]);
    assert_eq!(through(&heap).map(BinaryHeap::into_sorted_vec), Ok(vec![1, 2, 3, 4, 5]));
    let lock = Mutex::new(vec![1_u8]);
    assert_eq!(through(&lock).expect("a lock").into_inner().expect("unpoisoned"), [1]);
}

#[test]
fn what_the_standard_library_cannot_write_is_refused_in_words() {
    let path = PathBuf::from(OsString::from_vec(vec![0xff]));
    assert!(refusal(&path).contains("path contains invalid UTF-8"), "{}", refusal(&path));
    let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert!(refusal(&early).contains("later than UNIX_EPOCH"), "{}", refusal(&early));
    let cell = RefCell::new(1);
    let _held = cell.borrow_mut();
    assert!(refusal(&cell).contains("borrowed"), "{}", refusal(&cell));
}

#[test]
fn every_bit_of_a_float_arrives_also_where_lists_pack_them() {
    let bits = [0x7fc0_1234_u32, 0xffc0_0001, 0x7f80_0001, 0x8000_0000, 1];
    let floats: Vec<f32> = bits.iter().map(|bits| f32::from_bits(*bits)).collect();
    let back = through(&floats).expect("floats travel");
    assert_eq!(back.iter().map(|float| float.to_bits()).collect::<Vec<_>>(), bits);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Letter(char),
    Number(u64),
    Signed(i64),
    Float(f64),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    big: u64,
    letter: char,
    scalars: Vec<Scalar>,
    bytes: Vec<u8>,
    address: IpAddr,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Outer {
    #[serde(flatten)]
    inner: Inner,
}

#[test]
fn lists_of_numbers_with_one_of_another_kind_arrive() {
    for odd in 0..4 {
        let mut list = vec![Scalar::Number(1), Scalar::Number(u64::MAX), Scalar::Number(3)];
        list.insert(odd, Scalar::Float(0.5));
        arrives!(list.clone());
        list.extend([Scalar::Text("text".to_owned()), Scalar::Letter('x'), Scalar::Signed(-1)]);
        arrives!(list);
    }
}

#[test]
fn flattened_and_untagged_fields_keep_their_kind() {
    let inner = Inner {
        big: u64::MAX,
        letter: 'ü',
        scalars: vec![Scalar::Letter('x'), Scalar::Number(1 << 63), Scalar::Signed(-1)],
        bytes: vec![0, 255],
        address: IpAddr::from([127, 0, 0, 1]),
    };
    arrives!(Outer { inner });
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
struct Name(Key);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    One,
    Two { x: u8 },
    Three(Box<Key>),
}

#[test]
fn maps_with_keys_of_every_shape_arrive() {
    let keys = [Key::One, Key::Two { x: 1 }, Key::Three(Box::new(Key::One))];
    arrives!(
        keys.iter().cloned().map(|key| (Name(key), 1)).collect::<HashMap<_, _>>(),
        keys.iter().cloned().map(|key| (Some(key), ())).collect::<BTreeMap<_, _>>(),
        BTreeMap::from([(BTreeMap::from([(1, 2)]), [0.5])]),
    );
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Open {
    Known,
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
struct Even(u8);

impl TryFrom<u8> for Even {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        if number.is_multiple_of(2) { Ok(Self(number)) } else { Err(format!("{number} is odd")) }
    }
}

impl From<Even> for u8 {
    fn from(even: Even) -> Self {
        even.0
    }
}

/// Its reader clamps what its writer writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
struct Percent(u8);

impl From<u8> for Percent {
    fn from(number: u8) -> Self {
        Self(number.min(100))
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

#[test]
fn conversions_arrive_or_are_refused_with_their_own_words() {
    arrives!(Open::Known, Open::Unknown, Even(2), Percent(100));
    assert!(refusal(&Even(3)).contains("3 is odd"), "{}", refusal(&Even(3)));
    assert!(refusal(&Percent(101)).contains("another value"), "{}", refusal(&Percent(101)));
}

mod elsewhere {
    #[derive(Clone, Debug, PartialEq)]
    pub(super) struct Span {
        seconds: i64,
        pub(super) nanos: i32,
    }

    impl Span {
        pub(super) fn new(seconds: i64, nanos: i32) -> Self {
            Self { seconds, nanos }
        }

        pub(super) fn seconds(&self) -> i64 {
            self.seconds
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "elsewhere::Span")]
struct SpanDef {
    #[serde(getter = "elsewhere::Span::seconds")]
    seconds: i64,
    nanos: i32,
}

impl From<SpanDef> for elsewhere::Span {
    fn from(of: SpanDef) -> Self {
        Self::new(of.seconds, of.nanos)
    }
}

/// As text where people read, as a number elsewhere.
mod dual {
    use super::*;

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(number)
        } else {
            serializer.serialize_u64(*number)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(deserializer)
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Foreign {
    #[serde(with = "SpanDef")]
    span: elsewhere::Span,
    #[serde(with = "dual")]
    dual: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FlatForeign {
    #[serde(flatten)]
    foreign: Foreign,
    #[serde(default, flatten)]
    rest: BTreeMap<String, u64>,
}

#[test]
fn remote_types_getters_and_functions_of_the_users_own_arrive() {
    let foreign = Foreign { span: elsewhere::Span::new(i64::MIN, -1), dual: u64::MAX };
    arrives!(foreign.clone(), FlatForeign { foreign, rest: BTreeMap::from([("x".to_owned(), 1)]) });
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Borrowing<'a> {
    #[serde(borrow)]
    text: std::borrow::Cow<'a, str>,
    bytes: &'a [u8],
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    more: Option<&'a str>,
}

#[test]
fn types_that_borrow_read_where_the_bytes_lie() {
    let value = Borrowing { text: "text".into(), bytes: &[1, 255], more: Some("more") };
    let bytes = to_vec(&value).expect("it is written");
    assert_eq!(check(&value, &bytes), Ok(()));
    let read: Borrowing<'_> = from_slice(&bytes).expect("it is read");
    assert!(matches!(read.text, std::borrow::Cow::Borrowed("text")));
    assert_eq!(read, value);
}

/// The entries of a hash table as one text: each copy of the table has an order of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
struct Joined(HashSet<String>);

impl From<Joined> for String {
    fn from(joined: Joined) -> Self {
        joined.0.into_iter().collect::<Vec<_>>().join(",")
    }
}

impl From<String> for Joined {
    fn from(text: String) -> Self {
        Self(text.split(',').map(str::to_owned).collect())
    }
}

/// Writes another number each time.
#[derive(Debug, Default, Deserialize)]
struct Counted {
    #[serde(skip)]
    writes: Cell<u64>,
    number: u64,
}

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.writes.set(self.writes.get() + 1);
        serializer.collect_map([("number", self.number * 1000 + self.writes.get())])
    }
}

// kind: what serde can express | a type that writes itself differently each time, a hash table inside a text | right |
//    it travels, always
#[test]
fn types_that_differ_from_themselves_are_never_refused() {
    for count in (2..6).cycle().take(400) {
        let joined = Joined((0..count).map(|n| n.to_string()).collect());
        assert_eq!(through(&joined).as_ref(), Ok(&joined));
        let map: HashMap<String, HashSet<u8>> =
            (0..count).map(|n| (n.to_string(), (0..count).collect())).collect();
        assert_eq!(through(&map).as_ref(), Ok(&map));
    }
    let counted = Counted { number: 7, ..Counted::default() };
    assert_eq!(through(&counted).expect("it travels").number, 7001);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Node(Box<Tree>),
    Named { next: Box<Tree> },
    List(Vec<Tree>),
}

// kind: what serde can express | a recursive enum 1,000 levels deep | loud | refused, also on a small stack
#[test]
fn recursive_enums_of_any_depth_arrive_or_are_refused_on_a_small_stack() {
    let steps: [fn(Tree) -> Tree; 3] = [
        |tree| Tree::Node(Box::new(tree)),
        |tree| Tree::Named { next: Box::new(tree) },
        |tree| Tree::List(vec![tree]),
    ];
    let deepest = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        steps.map(|step| {
            let of = |depth: u32| (0..depth).fold(Tree::Leaf, |tree, _| step(tree));
            assert_eq!(through(&of(100)), Ok(of(100)));
            refusal(&of(1000))
        })
    });
    for words in deepest.expect("a thread").join().expect("no overflow") {
        assert!(words.contains("levels deep"), "{words}");
    }
}

#[test]
fn a_text_is_a_variant_for_those_who_write_it_so() {
    let read: Open =
        Open::deserialize("known".into_deserializer()).map_err(|error: FormatError| error).expect("a name");
    assert_eq!(read, Open::Known);
    let written = to_vec("elsewhere").expect("a text");
    assert_eq!(from_slice::<Open>(&written), Ok(Open::Unknown));
}
