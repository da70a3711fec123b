//! The floor of spreading: one process between a client and many connections, that passes each message on to the next
//! connection and what comes back to the client. A manager that has no queue to fill its writes from does at least that:
//! a system call to write and one to read, for each message. What a task costs it is measured against this.
//!
//! This file is both ends, the client and the many; `hub.rs` is the process between them.

mod epoll;
mod hub;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::process::processor_time;
use epoll::Epoll;

pub(crate) use hub::{HUB, hub};

/// Bytes of a message.
const MESSAGE_BYTES: usize = 64;
/// Messages under way: few enough that no socket's buffer fills.
const UNDER_WAY: usize = 2_048;

/// Options of `spread`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Numbers of connections
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "10,1000,10000")]
    peers: Vec<u64>,
    /// Messages of each row
    #[arg(long, value_name = "N", default_value = "300000")]
    messages: u64,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Measures with each number of connections, and prints a row for each.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut rows = Vec::new();
    for &peers in &options.peers {
        let cost =
            measure(peers, options.messages).map_err(|error| format!("the spreading broke: {error}"))?;
        let micros = cost.as_secs_f64() * 1e6;
        if !options.json {
            println!(
                "{peers:>8} connections: {micros:.2} µs of processor time to pass a message there and back"
            );
        }
        rows.push(json!({ "peers": peers, "message_us": micros }));
    }
    if options.json {
        println!("{}", json!({ "rows": rows }));
    }
    Ok(())
}

/// The processor time of the hub for one message and its answer.
fn measure(peers: u64, messages: u64) -> io::Result<Duration> {
    let mut hub = Hub::start(peers)?;
    let mut peers = Vec::new();
    let mut client = hub.connect()?;
    for _ in 0..hub.peers {
        peers.push(hub.connect()?);
    }
    let epoll = Epoll::new()?;
    for (place, peer) in peers.iter().enumerate() {
        epoll.add(peer, place)?;
    }
    let of_client = peers.len();
    epoll.add(&client, of_client)?;

    let warm = messages / 10;
    let (mut answered, mut begun) = (0, Duration::ZERO);
    let mut buffer = vec![0; 256 << 10];
    client.write_all(&vec![7; UNDER_WAY * MESSAGE_BYTES])?;
    let mut cut = 0;
    while answered < warm + messages {
        for place in epoll.wait()? {
            let from = if place == of_client { &mut client } else { &mut peers[place] };
            let count = from.read(&mut buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if place != of_client {
                from.write_all(&buffer[..count])?;
                continue;
            }
            let whole = (cut + count) / MESSAGE_BYTES;
            cut = (cut + count) % MESSAGE_BYTES;
            if answered < warm && answered + whole as u64 >= warm {
                begun = processor_time(hub.process.id());
            }
            answered += whole as u64;
            client.write_all(&buffer[..whole * MESSAGE_BYTES])?;
        }
    }
    let cost = processor_time(hub.process.id()).saturating_sub(begun);
    Ok(cost / u32::try_from(messages).unwrap_or(u32::MAX).max(1))
}

/// The process in the middle; it ends when its client does.
#[derive(Debug)]
struct Hub {
    process: Child,
    address: String,
    peers: u64,
}

impl Hub {
    fn start(peers: u64) -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([HUB, &peers.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut address)?;
        }
        Ok(Self { process, address: address.trim().to_owned(), peers })
    }

    fn connect(&mut self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
