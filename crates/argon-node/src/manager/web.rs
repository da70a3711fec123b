//! The manager's pages over HTTP, on the port of the protocol: which there are, who may read them, and what they answer.
//!
//! A page that a key opens is answered on a connection that no one else can read: loopback, TLS, or plain text where the
//! operator allows that. Pages without a key tell nothing but whether the manager is there.

pub mod exposition;
mod process;
mod store_use;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use argon_net::accept::{DoorCounts, HttpAnswer, HttpDoor, HttpMethod, HttpRequest, OpenKeys};
use argon_proto::handshake::Proven;
use argon_proto::key::Role;
use argon_proto::metrics_token::MetricsToken;
use bytes::Bytes;
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;

use self::exposition::Exposition;
use super::ingress::inbox::{Inbox, PeerEvent};
use super::key_book::KeyBook;
use crate::signals::{StopLevel, StopSignal};

/// Time for which a page of metrics is shared by all who ask.
const SHARED_FOR: Duration = Duration::from_millis(500);

/// Work of a page of metrics, in events of one small task.
const WEIGHT: u32 = 32;

const NO_PAGE: &str = "there is no such page here; there are /healthz, /readyz and /metrics. For people there is 'argon status'";
const NO_METHOD: &str = "this page is read with GET or HEAD";
const NOT_PRIVATE: &str =
    "this page is answered to other machines over https only, because the token would be read on the way";
const NO_TOKEN: &str = "this page needs a token: send 'Authorization: Bearer TOKEN', with the line that 'argon key \
                        --metrics-token' prints on the manager's machine";
const WRONG_TOKEN: &str =
    "that token does not open this manager; 'argon key --metrics-token' on its machine prints one that does";
const DRAINING: &str = "not ready: this manager was asked to stop, and waits for what runs";
const ENDING: &str = "this manager is ending";

/// One page.
struct Page {
    path: &'static str,
    access: Access,
    content: PageContent,
}

/// Who may read a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Everyone,
    /// A holder of a metrics token.
    Collector,
}

#[derive(Clone, Copy)]
enum PageContent {
    Alive,
    Ready,
    Metrics,
}

/// Every page.
const PAGES: [Page; 3] = [
    Page { path: "/healthz", access: Access::Everyone, content: PageContent::Alive },
    Page { path: "/readyz", access: Access::Everyone, content: PageContent::Ready },
    Page { path: "/metrics", access: Access::Collector, content: PageContent::Metrics },
];

/// The pages of one manager.
#[derive(Debug)]
pub(super) struct ManagerPages {
    pub(super) inbox: Inbox,
    pub(super) keys: Rc<RefCell<OpenKeys>>,
    pub(super) people: Rc<RefCell<KeyBook>>,
    /// Request to end this process.
    pub(super) stopping: StopSignal,
    /// File of the store, if there is one.
    pub(super) store: Option<PathBuf>,
    /// Peers that the port has turned away.
    pub(super) door: Rc<DoorCounts>,
    /// Answers by status.
    pub(super) answered: RefCell<BTreeMap<u16, u64>>,
    /// The last metrics, and until when they are shared.
    pub(super) shared: Mutex<Option<(Instant, Bytes)>>,
}

impl HttpDoor for ManagerPages {
    fn answer<'a>(&'a self, request: HttpRequest) -> Pin<Box<dyn Future<Output = HttpAnswer> + 'a>> {
        Box::pin(async move {
            let answer = self.page(&request).await;
            *self.answered.borrow_mut().entry(answer.status).or_default() += 1;
            answer
        })
    }
}

impl ManagerPages {
    async fn page(&self, request: &HttpRequest) -> HttpAnswer {
        let Some(page) = PAGES.iter().find(|page| page.path == request.path) else {
            return HttpAnswer::sentence(404, NO_PAGE);
        };
        if request.method == HttpMethod::Other {
            return HttpAnswer::sentence(405, NO_METHOD).with("Allow: GET, HEAD");
        }
        if page.access == Access::Collector
            && let Err(refused) = self.check_token(request)
        {
            return refused;
        }
        match page.content {
            PageContent::Alive => HttpAnswer::sentence(200, "alive"),
            PageContent::Ready if *self.stopping.borrow() >= StopLevel::Drain => {
                HttpAnswer::sentence(503, DRAINING)
            }
            PageContent::Ready => HttpAnswer::sentence(200, "ready"),
            PageContent::Metrics => match self.metrics().await {
                Some(body) => {
                    HttpAnswer { status: 200, content_type: exposition::TYPE, headers: Vec::new(), body }
                }
                None => HttpAnswer::sentence(503, ENDING),
            },
        }
    }

    /// Checks the token of a request.
    fn check_token(&self, request: &HttpRequest) -> Result<(), HttpAnswer> {
        let unauthorized =
            |why: &str| HttpAnswer::sentence(401, why).with("WWW-Authenticate: Bearer realm=\"argon\"");
        if !request.is_private {
            return Err(HttpAnswer::sentence(403, NOT_PRIVATE));
        }
        let given = request.authorization.as_deref().ok_or_else(|| unauthorized(NO_TOKEN))?;
        let (scheme, text) = given.split_once(' ').unwrap_or((given, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unauthorized(NO_TOKEN));
        }
        let token: MetricsToken = text.parse().map_err(|_| unauthorized(WRONG_TOKEN))?;
        if !self.keys.borrow().keys.iter().any(|key| token.is_of(key)) {
            return Err(unauthorized(WRONG_TOKEN));
        }
        let proven = Proven { role: Role::Observer, holder: token.holder().cloned(), key: 0 };
        self.people.borrow_mut().check(&proven).map_err(|refusal| unauthorized(&refusal.message))
    }

    /// The metrics; `None` if the manager is ending. Those of a moment ago serve, so that askers cost a small part of the
    /// manager's time, however many there are.
    async fn metrics(&self) -> Option<Bytes> {
        let mut shared = self.shared.lock().await;
        if let Some((until, body)) = &*shared
            && Instant::now() < *until
        {
            return Some(body.clone());
        }
        let (answer, counted) = oneshot::channel();
        self.inbox.open().push(PeerEvent::MetricsAsked { answer }, WEIGHT, 0);
        let mut page = counted.await.ok()?;
        self.count_door(&mut page);
        process::add(&mut page);
        if let Some(store) = self.store.clone() {
            // The disk may be slow.
            let used = tokio::task::spawn_blocking(move || store_use::StoreUse::of(&store)).await.ok()?;
            used.add(&mut page);
        }
        let body = page.into_body();
        *shared = Some((Instant::now() + SHARED_FOR, body.clone()));
        Some(body)
    }

    fn count_door(&self, page: &mut Exposition) {
        let mut refused = page.counter(
            "argon_handshakes_refused_total",
            "Connections that were turned away before they had proven a key.",
        );
        for (reason, count) in self.door.refused() {
            refused.sample(&[("reason", reason)], count);
        }
        let mut answered = page.counter("argon_http_answers_total", "Answers to HTTP requests.");
        for (status, count) in self.answered.borrow().iter() {
            answered.sample(&[("status", &status.to_string())], *count);
        }
    }
}
