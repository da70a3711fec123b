//! A network that misbehaves: a TCP proxy that throttles, cuts after a number of bytes, and goes silent without closing.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Interval at which a direction that cannot move looks whether its connection was cut.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Buffer of the proxy's kernel in each direction, small, so that the sender notices a slow link.
const BUFFER_BYTES: libc::c_int = 64 << 10;

/// A direction, seen from who dials the proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the dialler.
    There,
    /// To the dialler.
    Back,
}

/// A proxy on a loopback port of its own. It ends with this value.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    /// Bytes a second in each direction of each connection; 0 for no limit.
    rate: AtomicU64,
    accepted: AtomicUsize,
    is_over: AtomicBool,
    /// Cuts of the next connections; when it is empty they live.
    cuts: Mutex<VecDeque<(Way, u64)>>,
    pairs: Mutex<Vec<Arc<Pair>>>,
}

/// One connection, both of its halves.
#[derive(Debug)]
struct Pair {
    near: TcpStream,
    far: TcpStream,
    cut: Option<(Way, u64)>,
    is_cut: AtomicBool,
    is_silent: AtomicBool,
}

impl Proxy {
    /// A proxy to `target`, which it dials for each connection.
    #[must_use]
    pub fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        bound_buffers(listener.as_raw_fd());
        let address = listener.local_addr().expect("it is bound").to_string();
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            rate: AtomicU64::new(0),
            accepted: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            cuts: Mutex::default(),
            pairs: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || serve(&listener, &serving));
        Self { address, shared }
    }

    /// Address at which it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Connections that it has accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// Cuts that were ordered and have not met a connection yet.
    #[must_use]
    pub fn cuts_left(&self) -> usize {
        lock(&self.shared.cuts).len()
    }

    /// Bytes let through a second and direction.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.shared.rate.store(bytes_per_second, Ordering::Release);
    }

    /// The next connection without such an order is reset once it has carried this number of bytes one way.
    pub fn cut_next_after(&self, way: Way, bytes: u64) {
        lock(&self.shared.cuts).push_back((way, bytes));
    }

    /// Resets every connection that there is now.
    pub fn reset(&self) {
        lock(&self.shared.pairs).drain(..).for_each(|pair| pair.reset());
    }

    /// Stops forwarding on every connection that there is now, and closes none: each side sees a peer that is silent.
    pub fn silence(&self) {
        for pair in lock(&self.shared.pairs).iter() {
            pair.is_silent.store(true, Ordering::Release);
        }
    }

    /// Lets flow again what was silenced; nothing was lost.
    pub fn resume(&self) {
        for pair in lock(&self.shared.pairs).iter() {
            pair.is_silent.store(false, Ordering::Release);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // Wakes the accepting thread.
        drop(TcpStream::connect(&self.address));
        self.reset();
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((near, _)) = listener.accept() {
        if shared.is_over.load(Ordering::Acquire) {
            return;
        }
        shared.accepted.fetch_add(1, Ordering::AcqRel);
        // A target that is away is what a closed connection says.
        let Ok(far) = TcpStream::connect(&shared.target) else {
            continue;
        };
        bound_buffers(far.as_raw_fd());
        let cut = lock(&shared.cuts).pop_front();
        let (is_cut, is_silent) = (AtomicBool::new(false), AtomicBool::new(false));
        let pair = Arc::new(Pair { near, far, cut, is_cut, is_silent });
        lock(&shared.pairs).push(Arc::clone(&pair));
        for way in [Way::There, Way::Back] {
            let (pair, shared) = (Arc::clone(&pair), Arc::clone(shared));
            thread::spawn(move || {
                pair.carry(way, &shared.rate);
                lock(&shared.pairs).retain(|other| !other.is_cut.load(Ordering::Acquire));
            });
        }
    }
}

impl Pair {
    /// Moves bytes one way until the connection ends. The sockets close when the last holder of the pair lets go.
    fn carry(&self, way: Way, rate: &AtomicU64) {
        let (mut from, mut to) = match way {
            Way::There => (&self.near, &self.far),
            Way::Back => (&self.far, &self.near),
        };
        for stream in [from, to] {
            let _ = stream.set_nodelay(true);
            let _ = stream.set_write_timeout(Some(LOOK_EVERY));
            let _ = stream.set_read_timeout(Some(LOOK_EVERY));
        }
        let mut left = self.cut.filter(|(cut, _)| *cut == way).map(|(_, bytes)| bytes);
        let mut bytes = [0; 16 << 10];
        while !self.is_cut.load(Ordering::Acquire) {
            if left == Some(0) {
                return self.reset();
            }
            let room =
                left.map_or(bytes.len(), |left| bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            let count = match from.read(&mut bytes[..room]) {
                Ok(0) => return self.close(),
                Ok(count) => count,
                Err(error) if is_pause(&error) => continue,
                Err(_) => return self.reset(),
            };
            if !self.pass_on(&mut to, &bytes[..count], rate) {
                return self.reset();
            }
            left = left.map(|left| left - count as u64);
        }
    }

    fn pass_on(&self, to: &mut impl Write, mut bytes: &[u8], rate: &AtomicU64) -> bool {
        while !bytes.is_empty() {
            if self.is_cut.load(Ordering::Acquire) {
                return false;
            }
            if self.is_silent.load(Ordering::Acquire) {
                thread::park_timeout(LOOK_EVERY);
                continue;
            }
            match to.write(bytes) {
                Ok(count) => {
                    bytes = &bytes[count..];
                    let rate = rate.load(Ordering::Acquire);
                    if rate > 0 {
                        thread::park_timeout(Duration::from_secs_f64(count as f64 / rate as f64));
                    }
                }
                Err(error) if is_pause(&error) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// One side has closed: so does the other.
    fn close(&self) {
        if self.is_silent.load(Ordering::Acquire) {
            return;
        }
        self.is_cut.store(true, Ordering::Release);
        for stream in [&self.near, &self.far] {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }

    /// Both sides will see a reset, at once when the last thread lets go of the sockets.
    fn reset(&self) {
        self.is_cut.store(true, Ordering::Release);
        let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
        for stream in [&self.near, &self.far] {
            set_option(stream.as_raw_fd(), libc::SO_LINGER, &at_once);
        }
    }
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn bound_buffers(socket: RawFd) {
    set_option(socket, libc::SO_RCVBUF, &BUFFER_BYTES);
    set_option(socket, libc::SO_SNDBUF, &BUFFER_BYTES);
}

fn set_option<T>(socket: RawFd, option: libc::c_int, value: &T) {
    let length = libc::socklen_t::try_from(size_of::<T>()).expect("an option is small");
    // SAFETY: the descriptor is open while its owner is borrowed by the caller; the kernel reads `length` bytes of `value`.
    unsafe {
        libc::setsockopt(socket, libc::SOL_SOCKET, option, std::ptr::from_ref(value).cast(), length);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
