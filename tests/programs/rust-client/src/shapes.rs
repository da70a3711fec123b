//! Types that only a format which describes itself can carry, there and back.

use std::collections::HashMap;
use std::error::Error;

use argon::{Client, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    Flag(bool),
    Number(f64),
    Text(String),
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    #[serde(skip)]
    Internal,
    Started,
    LineRead {
        text: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event>,
    twice: Option<Option<u8>>,
    wide: i128,
    by_number: HashMap<u64, char>,
    #[serde(flatten)]
    rest: HashMap<String, Scalar>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Overlapping {
    Small { x: u8 },
    Large { x: u8, y: u8 },
}

#[argon::task]
pub fn same(records: Vec<Record>) -> Vec<Record> {
    records
}

#[argon::task]
pub fn field(data: Value, name: &str) -> Option<Value> {
    data.get(name).cloned()
}

#[argon::task]
pub fn kind(of: Overlapping) -> String {
    format!("{of:?}")
}

#[argon::task]
pub fn overlapping(x: u8, y: u8) -> Overlapping {
    Overlapping::Large { x, y }
}

pub async fn shapes(client: &Client) -> Result<(), Box<dyn Error>> {
    let full = Record {
        name: Some("full".to_owned()),
        events: vec![Event::Started, Event::LineRead { text: "a line".to_owned() }],
        twice: Some(None),
        wide: i128::MIN,
        by_number: (0..100).map(|n| (n, 'x')).collect(),
        rest: HashMap::from([
            ("flag".to_owned(), Scalar::Flag(true)),
            ("number".to_owned(), Scalar::Number(-0.5)),
            ("text".to_owned(), Scalar::Text("text".to_owned())),
            ("nothing".to_owned(), Scalar::Nothing),
        ]),
    };
    let bare = Record { name: None, events: Vec::new(), ..full.clone() };
    let records = vec![full, bare];
    assert_eq!(client.queue(same(records.clone())).await?, records);

    let data = json!({"list": [1, -2, 0.5, null, {"deep": true}]});
    assert_eq!(client.queue(field(data.clone(), "list")).await?, Some(data["list"].clone()));

    let error = client.queue(kind(Overlapping::Large { x: 1, y: 2 })).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("Overlapping") && error.message().contains("kind"), "{error}");
    assert_eq!(client.queue(kind(Overlapping::Small { x: 1 })).await?, "Small { x: 1 }");

    let error = client.queue(overlapping(1, 2)).await.unwrap_err();
    assert!(error.message().contains("what the task returned"), "{error}");

    let hidden = Record { events: vec![Event::Internal], ..records[0].clone() };
    let error = client.queue(same(vec![hidden])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("Event::Internal"), "{error}");

    let error = client.share(&Overlapping::Large { x: 1, y: 2 }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    println!("shapes");
    Ok(())
}
