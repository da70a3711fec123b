//! Machines without a key at the manager's door. `argon_core::newcomers` decides; this module keeps their connections, one
//! small task each, and brings it time and randomness.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use argon_core::Time;
use argon_core::newcomers::{Guest, Invitations, NotLetIn, Waiting, WaitingRoom};
use argon_net::accept::{Entrance, WaitingConnection, WaitingPeer};
use argon_net::random::{self, NoRandomness};
use argon_proto::Line;
use argon_proto::conversation::admin::{Newcomer, NewcomerList};
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::join::{JoinSecret, JoinToken, TokenId};
use argon_proto::key::{Pin, Role};
use argon_proto::limit::PAIR_WITHIN;
use argon_proto::pairing::PairingCode;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::output::{complain, complains_in_log};

/// Time for which a token is good unless the request has another.
pub const TOKEN_FOR: Duration = Duration::from_secs(600);
/// Machines with one token.
const USES_MAX: u32 = 10_000;
/// Longest time for which a token is good.
const FOR_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Time between two lines of the log about refused attempts.
const LOGGED_APART: Duration = Duration::from_secs(10);

/// Waiting machines, and join tokens that were given out.
#[derive(Debug)]
pub struct Newcomers {
    address: String,
    pin: Cell<Pin>,
    started: Instant,
    room: RefCell<WaitingRoom>,
    invitations: RefCell<Invitations>,
    /// Receivers of the decisions about machines.
    decisions: RefCell<FxHashMap<Guest, oneshot::Sender<Decision>>>,
    refusal_logged: Cell<Option<Instant>>,
}

/// Decision about a machine that waits.
#[derive(Debug)]
enum Decision {
    LetIn,
    SendAway(Refusal),
}

impl Newcomers {
    /// No newcomers. `address` is the one under which other machines reach this manager, `pin` that of the certificate that it
    /// shows.
    #[must_use]
    pub fn new(address: String, pin: Pin) -> Rc<Self> {
        Rc::new(Self {
            address,
            pin: Cell::new(pin),
            started: Instant::now(),
            room: RefCell::default(),
            invitations: RefCell::default(),
            decisions: RefCell::default(),
            refusal_logged: Cell::default(),
        })
    }

    /// The manager shows another certificate from now on.
    pub fn set_pin(&self, pin: Pin) {
        self.pin.set(pin);
    }

    /// Makes a token for one worker and shows it on standard error; not where programs read that, and may keep it.
    pub fn show_invitation(&self) {
        if complains_in_log() {
            return;
        }
        match self.invite(Role::Worker, 1, TOKEN_FOR, None) {
            Ok(token) => complain(format_args!(
                "to add a machine, run this there within {} minutes ('argon key --join worker' prints another line):\n\
                 argon join {token}",
                TOKEN_FOR.as_secs() / 60
            )),
            Err(why) => {
                tracing::warn!("there is no join token: {why}; machines are let in with 'argon approve'")
            }
        }
    }

    fn now(&self) -> Time {
        Time(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Makes a token.
    ///
    /// # Errors
    /// If that role has none, or a number is out of bounds.
    pub fn invite(
        &self,
        role: Role,
        uses: u32,
        within: Duration,
        address: Option<String>,
    ) -> Result<JoinToken, String> {
        if role == Role::Admin {
            return Err("the roles of join tokens are worker, client and observer".to_owned());
        }
        if uses == 0 || uses > USES_MAX {
            return Err(format!("a join token is for 1 to {USES_MAX} machines"));
        }
        if within.is_zero() || within > FOR_MAX {
            return Err("a join token is good for at most 7 days".to_owned());
        }
        let bytes = random::bytes().map_err(|error: NoRandomness| error.to_string())?;
        let address = address.unwrap_or_else(|| self.address.clone());
        let token = JoinToken { address, pin: self.pin.get(), secret: JoinSecret::new(bytes) };
        if token.to_string().parse() != Ok(token.clone()) {
            return Err(format!(
                "'{}' cannot stand in a join token; it must be HOST:PORT",
                Line::clean(&token.address)
            ));
        }
        self.invitations.borrow_mut().add(self.now(), token.secret.clone(), role, uses, within);
        Ok(token)
    }

    /// Waiting machines.
    pub fn list(&self) -> NewcomerList {
        let now = self.now();
        let mut room = self.room.borrow_mut();
        let waiting = room.list(now).map(|waiting| described(now, waiting)).collect();
        NewcomerList { waiting, broken_off: room.broken_off() }
    }

    /// Lets in the machine that shows this code, or sends it away.
    ///
    /// # Errors
    /// If no machine waits with it.
    pub fn decide(&self, code: PairingCode, let_in: bool) -> Result<Newcomer, String> {
        let now = self.now();
        let taken = self.room.borrow_mut().take(now, code);
        let waiting = taken.ok_or_else(|| self.nobody(code))?;
        let newcomer = described(now, &waiting);
        let decision = match let_in {
            true => Decision::LetIn,
            false => Decision::SendAway(Refusal::new(
                RefusalCode::Pairing,
                "the request was denied on the manager's machine",
            )),
        };
        let sender = self.decisions.borrow_mut().remove(&waiting.guest);
        match sender.map(|sender| sender.send(decision)) {
            Some(Ok(())) => Ok(newcomer),
            Some(Err(_)) | None => Err(format!("the machine with the code {code} has just left")),
        }
    }

    fn nobody(&self, code: PairingCode) -> String {
        let others = self.room.borrow_mut().list(self.now()).count();
        let others = match others {
            0 => "nobody waits".to_owned(),
            1 => "another one waits ('argon approve' shows it)".to_owned(),
            others => format!("{others} others wait ('argon approve' lists them)"),
        };
        format!(
            "no machine waits with the code {code}; {others}. If it shows that code, it asks another manager, its ten minutes \
             are over, or somebody is in between: then do not let it in"
        )
    }

    fn send_away(&self, guest: Guest, why: &str) {
        if let Some(sender) = self.decisions.borrow_mut().remove(&guest) {
            let _ = sender.send(Decision::SendAway(Refusal::new(RefusalCode::Pairing, why)));
        }
    }

    fn arrive(&self, peer: &WaitingPeer) -> Result<(Guest, oneshot::Receiver<Decision>), NotLetIn> {
        let (code, introduction) = (peer.code, peer.introduction.clone());
        let arrival = self.room.borrow_mut().on_arrival(self.now(), code, introduction, peer.from.ip())?;
        if let Some(oldest) = arrival.sent_away {
            self.send_away(oldest, "too many machines wait, and this one has waited for longest; ask again");
        }
        let (sender, decision) = oneshot::channel();
        self.decisions.borrow_mut().insert(arrival.guest, sender);
        Ok((arrival.guest, decision))
    }

    fn on_left(&self, guest: Guest) {
        self.room.borrow_mut().on_left(guest);
        self.decisions.borrow_mut().remove(&guest);
    }

    /// The log has one line for many refusals: strangers cause them.
    fn log_refusal(&self, from: SocketAddr, why: &str) {
        if self.refusal_logged.get().is_none_or(|last| last.elapsed() >= LOGGED_APART) {
            self.refusal_logged.set(Some(Instant::now()));
            tracing::warn!("a machine at {from} asked for a key and was refused: {why}");
        }
    }
}

/// The [`Entrance`] of a manager.
#[derive(Debug)]
pub struct ManagerEntrance(pub Rc<Newcomers>);

impl Entrance for ManagerEntrance {
    fn on_attempt(&self, from: SocketAddr) -> Result<(), Refusal> {
        let newcomers = &self.0;
        newcomers.room.borrow_mut().on_attempt(newcomers.now(), from.ip()).map_err(|why| {
            newcomers.log_refusal(from, &why.to_string());
            Refusal::new(RefusalCode::Pairing, why.to_string())
        })
    }

    fn on_arrival(&self, peer: WaitingPeer) {
        tokio::task::spawn_local(attend(Rc::clone(&self.0), peer));
    }

    fn secret(&self, token: TokenId) -> Result<JoinSecret, Refusal> {
        let secret = self.0.invitations.borrow().secret(self.0.now(), token);
        secret.map_err(|error| Refusal::new(RefusalCode::Token, error.to_string()))
    }

    fn redeem(&self, token: TokenId, from: SocketAddr) -> Result<Role, Refusal> {
        let redeemed = self.0.invitations.borrow_mut().redeem(self.0.now(), token);
        let role = redeemed.map_err(|error| Refusal::new(RefusalCode::Token, error.to_string()))?;
        tracing::info!(
            "a machine at {from} has joined with a token, and has a key for the role {}",
            role.name()
        );
        Ok(role)
    }
}

/// Keeps the connection of a machine until a person has decided, the machine is gone, or its time is over.
async fn attend(newcomers: Rc<Newcomers>, peer: WaitingPeer) {
    let from = peer.from;
    let arrived = newcomers.arrive(&peer);
    let who = format!(
        "{} of {}",
        who(peer.introduction.host(), peer.introduction.user()),
        from.ip().to_canonical()
    );
    let wants = peer.introduction.wants().name();
    let WaitingPeer { mut connection, .. } = peer;
    let (guest, decision) = match arrived {
        Ok(arrived) => arrived,
        Err(why) => {
            newcomers.log_refusal(from, &why.to_string());
            return connection.refuse(&Refusal::new(RefusalCode::Pairing, why.to_string())).await;
        }
    };
    // Not its code: who approves must read that from the other machine.
    tracing::info!(
        "{who} asks for a {wants}'s key; to let it in, run 'argon approve' with the code that it shows"
    );
    let decision = tokio::select! {
        decision = decision => decision.ok(),
        why = connection.wait() => {
            tracing::info!("{who} does not wait any more: {why}");
            newcomers.on_left(guest);
            return;
        }
        () = tokio::time::sleep(PAIR_WITHIN) => None,
    };
    newcomers.on_left(guest);
    conclude(connection, decision, &who, wants).await;
}

async fn conclude(connection: WaitingConnection, decision: Option<Decision>, who: &str, wants: &str) {
    match decision {
        Some(Decision::LetIn) => match connection.grant().await {
            Ok(()) => tracing::info!("{who} was let in, and has a {wants}'s key"),
            Err(why) => tracing::warn!("{who} was let in, but has not got its key: {why}"),
        },
        Some(Decision::SendAway(refusal)) => {
            tracing::info!("{who} was sent away: {}", refusal.message);
            connection.refuse(&refusal).await;
        }
        None => {
            tracing::info!("{who} was not let in within {} minutes", PAIR_WITHIN.as_secs() / 60);
            let why = format!(
                "the code was not approved within {} minutes; ask again, and run 'argon approve CODE' on the manager's machine",
                PAIR_WITHIN.as_secs() / 60
            );
            connection.refuse(&Refusal::new(RefusalCode::Pairing, why)).await;
        }
    }
}

fn described(now: Time, waiting: &Waiting) -> Newcomer {
    let who = &waiting.introduction;
    Newcomer {
        code: waiting.code,
        wants: who.wants().name().into(),
        host: who.host().into(),
        user: who.user().into(),
        from: waiting.from.to_string().into(),
        age_s: now.since(waiting.since).as_secs(),
    }
}

/// A machine and its user, as it says.
#[must_use]
pub fn who(host: &str, user: &str) -> String {
    let host = if host.is_empty() { "a machine" } else { host };
    if user.is_empty() { host.to_owned() } else { format!("{host} (user {user})") }
}
