//! Call functions on a pool of machines: the Rust client of Argon.
//!
//! Mark functions with [`task`](macro@task) and `main` with [`main`](macro@main), connect a [`Client`], and call them. They run on any worker of the
//! cluster: the client offers its own executable, a worker starts it as a runner, and nothing is deployed.
//!
//! ```no_run
//! #[argon::task]
//! fn area(width: u32, height: u32) -> u32 {
//!     width * height
//! }
//!
//! #[argon::main]
//! async fn main() -> Result<(), argon::Error> {
//!     let client = argon::Client::connect("127.0.0.1:8000").await?;
//!     println!("{}", client.call(area(6, 7)).await?);
//!
//!     let later = client.defer(area(4, 7)); // runs while we do other things
//!     let mut areas = client.map((1..1000).map(|n| area(n, n))); // a stream, in order
//!     while let Some(area) = areas.next().await {
//!         println!("{}", area?);
//!     }
//!     println!("{}", later.await?);
//!     Ok(())
//! }
//! ```
//!
//! Only named functions travel, not closures: what a task needs goes through its arguments, which are anything that
//! [serde] can represent. A value that many tasks need is [shared](Client::share): it goes to each machine once.
//!
//! * [`Client`]: `call` (also named `queue`), `defer`, `map`, `submit` and `collect`; [`blocking`] for programs without
//!   tokio.
//! * [`current_client`]: the pool from inside a task, without an address.
//! * [`Call`]: options of one call, such as a time limit; [`TaskOptions`] for all of them.
//! * [`perl`], [`perl_class`], [`python`]: functions in other languages, by name, with plain data.
//! * [`Error`]: how a call ended that gave no value: a panic with its place and backtrace, the task's own error, a death.
//! * [`Request`] and [`Running`]: the same session for any runtime, as bytes, with live output.
//!
//! A session keeps every task until its outcome is in hand, and comes back by itself after any loss, to the same
//! manager or another. `spec/delivery.md` has the guarantees.

#[cfg(test)]
extern crate self as argon;

mod address;
pub mod blocking;
mod call;
mod caller;
mod client;
mod connect_hooks;
mod deferred;
mod error;
mod foreign;
mod here;
mod hooks;
mod map;
mod octets;
mod options;
mod own;
mod program;
mod read;
mod request;
mod runner;
mod running;
mod session;
mod shared;
mod task_client;
mod task_identity;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use address::Addresses;
/// Makes `main` serve as a runner when a worker started the program for that, before anything else; an `async` main gets
/// a runtime of one thread. Beside another attribute for main it stands below: `#[tokio::main]`, then `#[argon::main]`.
///
/// ```no_run
/// #[argon::main]
/// fn main() {
///     println!("a worker that starts this program never comes here");
/// }
/// ```
pub use argon_macros::main;
/// Makes a function a task: calling it makes a [`Call`], which a client runs on a worker.
///
/// The arguments and the value are what serde can represent; arguments may borrow (`&str`, `&[u8]`). The body stays
/// callable here as `NAME::here`. A function that returns a `Result` gives its value when it is awaited, and its error as
/// [`Error::own`]; the error implements `Display`, and `Serialize` if it is to come back as its own type.
///
/// ```
/// # extern crate argon;
/// #[argon::task]
/// fn shout(text: &str) -> String {
///     text.to_uppercase()
/// }
///
/// assert_eq!(shout::here("quiet"), "QUIET"); // runs here
/// let call: argon::Call<String> = shout("quiet"); // runs when a client queues it
/// # drop(call);
/// ```
///
/// A task may be an `async fn`. It runs on a runtime (tokio's, of one thread) that ends with it: it awaits what it likes, also
/// other tasks, and what it spawns and does not await is dropped.
///
/// ```
/// # extern crate argon;
/// #[argon::task]
/// async fn sum_to(n: u64) -> Result<u64, argon::Error> {
///     if n == 0 {
///         return Ok(0);
///     }
///     let client = argon::current_client()?;
///     Ok(n + client.as_async().call(sum_to(n - 1)).await?)
/// }
/// ```
///
/// What cannot be a task or a call does not compile. A generic function, "a task is found by its name and cannot be generic":
///
/// ```compile_fail
/// #[argon::task]
/// fn of_any<T>(value: T) {}
/// ```
///
/// A reference that serde cannot read, "arguments borrow as `&str`, `&[u8]` or `&Path` only: take this `Vec` by value":
///
/// ```compile_fail
/// #[argon::task]
/// fn length(list: &Vec<u32>) -> usize { list.len() }
/// ```
///
/// A type without serde's traits, "the trait bound `Config: Serialize` is not satisfied":
///
/// ```compile_fail
/// struct Config { depth: u32 }
///
/// #[argon::task]
/// fn depth(config: Config) -> u32 { config.depth }
/// ```
///
/// A closure instead of a call, "expected `Call<_>`, found closure":
///
/// ```compile_fail
/// async fn wrong(client: argon::Client) {
///     let _: Result<u32, _> = client.call(|| 42).await;
/// }
/// ```
pub use argon_macros::task;
#[doc(inline)]
pub use argon_proto::conversation::LogRecord;
#[doc(inline)]
pub use argon_proto::key::{Key, ParseKeyError};
pub use argon_proto::{
    BlobHash, Codec, Outcome, OutcomeHead, Payload, Priority, Report, Runtime, Status, TaskId, Ticket,
};
#[doc(inline)]
pub use argon_session::{Blob, Blobs, ErrorKind, Waiting};
pub use call::Call;
pub use client::{Client, Connect};
pub use deferred::Deferred;
pub use error::Error;
pub use foreign::{perl, perl_class, python};
pub use hooks::OnInterrupt;
pub use map::{Completed, Map};
pub use options::{RetryOn, TaskOptions};
pub use request::Request;
pub use runner::serve_if_runner;
pub use running::{Asked, Event, Running};
pub use shared::Shared;
pub use task_client::current_client;
pub use task_identity::current_task;
