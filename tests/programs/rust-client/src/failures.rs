//! Errors of tasks in every shape, and numbers that other languages may not have.

use std::error::Error;
use std::fmt;

use argon::{Client, ErrorKind};
use serde::{Deserialize, Serialize};

/// An error with the text `bad` that writes itself as its attributes have it.
macro_rules! bad {
    ($($(#[$meta:meta])* $name:ident $body:tt)*) => {$(
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        $(#[$meta])*
        pub enum $name $body

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bad")
            }
        }
    )*};
}

bad! {
    #[serde(untagged)]
    Untagged { Less { x: u8 }, More { x: u8, y: u8 } }
    #[serde(tag = "kind")]
    Tagged { Found { list: Vec<Option<Option<u8>>> } }
    Skipped { #[serde(skip)] Hidden(u8), #[allow(dead_code)] Shown }
}

/// Without serde: its text travels.
#[derive(Debug)]
pub struct Wrapped<T>(T);

impl<T: fmt::Debug> fmt::Display for Wrapped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrapped {:?}", self.0)
    }
}

type Alias<T> = Result<T, Box<dyn Error + Send + Sync>>;

mod alias {
    pub(crate) type Result<T> = std::result::Result<T, super::Tagged>;
}

#[argon::task]
pub fn boxed() -> Result<u8, Box<dyn Error>> {
    Err("a boxed text".into())
}

#[argon::task]
pub fn aliased() -> alias::Result<u8> {
    Err(Tagged::Found { list: vec![None, Some(None), Some(Some(1))] })
}

#[argon::task]
pub fn generic() -> Result<u8, Wrapped<Vec<u8>>> {
    Err(Wrapped(vec![1]))
}

#[argon::task]
pub fn io() -> std::io::Result<()> {
    Err(std::io::Error::from_raw_os_error(2))
}

#[argon::task]
pub fn lossy() -> Result<(), Untagged> {
    Err(Untagged::More { x: 1, y: 2 })
}

#[argon::task]
pub fn hidden() -> Result<(), Skipped> {
    Err(Skipped::Hidden(1))
}

#[argon::task]
pub fn text(length: usize) -> Result<(), String> {
    Err("ü".repeat(length))
}

/// Not a `Result` by its last word: the whole travels, as a value.
#[argon::task]
pub fn disguised() -> Alias2 {
    Err(7)
}

type Alias2 = Result<u8, u16>;

#[argon::task]
pub fn boxed_alias() -> Result<(), String> {
    fn inner() -> Alias<()> {
        Err("inner")?;
        Ok(())
    }
    inner().map_err(|error| error.to_string())
}

pub async fn failures(client: &Client) -> Result<(), Box<dyn Error>> {
    let error = client.queue(boxed()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Failed, "a boxed text"));
    let error = client.queue(aliased()).await.unwrap_err();
    assert_eq!(error.own(), Some(Tagged::Found { list: vec![None, Some(None), Some(Some(1))] }));
    assert_eq!(error.own::<u64>(), None, "of another type");
    assert_eq!(client.queue(generic()).await.unwrap_err().message(), "wrapped [1]");
    assert!(client.queue(io()).await.unwrap_err().message().contains("os error 2"));
    let error = client.queue(lossy()).await.unwrap_err();
    assert_eq!((error.message(), error.own::<Untagged>()), ("bad", None), "never as another variant");
    let error = client.queue(hidden()).await.unwrap_err();
    assert_eq!((error.message(), error.own::<Skipped>()), ("bad", None));
    for length in [0, 1, 1 << 20] {
        let error = client.queue(text(length)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert_eq!(error.own::<String>().map(|text| text.len()), Some(2 * length));
    }
    assert_eq!(client.queue(disguised()).await?, Err(7));
    assert_eq!(client.queue(boxed_alias()).await.unwrap_err().message(), "inner");
    println!("failures");
    Ok(())
}

pub async fn numbers(client: &Client) -> Result<(), Box<dyn Error>> {
    let wide = u128::from(u64::MAX) + 1;
    let error = client.queue::<u128>(argon::perl("List::Util::max", (wide,))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("64 bits"), "{error}");
    let most: u64 = client.queue(argon::perl("List::Util::max", (u64::MAX, 1))).await?;
    assert_eq!(most, u64::MAX);
    let least: i64 = client.queue(argon::perl("List::Util::min", (i64::MIN, 1))).await?;
    assert_eq!(least, i64::MIN);
    let whole: u128 = client.queue(argon::python("builtins:int", (u128::MAX,))).await?;
    assert_eq!(whole, u128::MAX);
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for call in [argon::perl::<f64>("List::Util::max", (odd,)), argon::python("builtins:float", (odd,))] {
            assert_eq!(client.queue(call).await.unwrap_err().kind(), ErrorKind::Data);
        }
    }
    // What they return: a number that JSON has no word for is an error, never another number.
    for call in [argon::perl::<f64>("List::Util::max", ("nan",)), argon::python("builtins:float", ("nan",))] {
        let ended = client.queue(call).await;
        assert!(ended.as_ref().map_or(true, |number| number.is_nan()), "{ended:?}");
    }
    let error = client.queue::<u64>(argon::python("builtins:int", (wide,))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    println!("numbers");
    Ok(())
}
