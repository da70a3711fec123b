//! The process in the middle: each message of the client goes to the next connection, what comes back goes to the client,
//! everything of one turn together.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::MESSAGE_BYTES;
use super::epoll::Epoll;

/// The subcommand of the hub; for [`super`] only.
pub(crate) const HUB: &str = "spread-hub";

/// Runs the hub until its client is gone.
pub(crate) fn hub(peers: usize) -> Result<(), String> {
    serve(peers).map_err(|error| format!("the hub broke: {error}"))
}

fn serve(count: usize) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?);
    let accept = || -> io::Result<TcpStream> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let mut client = accept()?;
    let mut peers = Vec::new();
    let epoll = Epoll::new()?;
    for place in 0..count {
        peers.push(accept()?);
        epoll.add(&peers[place], place)?;
    }
    epoll.add(&client, count)?;
    let mut buffer = vec![0; 256 << 10];
    let mut back: Vec<u8> = Vec::new();
    let (mut kept, mut next) = (0, 0);
    loop {
        for place in epoll.wait()? {
            if place < count {
                let read = peers[place].read(&mut buffer[kept..])?;
                back.extend_from_slice(&buffer[kept..kept + read]);
                continue;
            }
            let read = client.read(&mut buffer[kept..])?;
            if read == 0 {
                return Ok(());
            }
            let end = kept + read;
            for message in buffer[..end].as_chunks::<MESSAGE_BYTES>().0 {
                peers[next].write_all(message)?;
                next = (next + 1) % count;
            }
            kept = end % MESSAGE_BYTES;
            buffer.copy_within(end - kept..end, 0);
        }
        client.write_all(&back)?;
        back.clear();
    }
}
