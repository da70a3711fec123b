//! Clients inside tasks: what opens their sessions, and what sessions of one family may do to each other.

use crate::manager::{Manager, attempt, id, secret, task, token, worker_id};
use argon_core::scheduler::{ConnId, Effect, Input};
use argon_proto::handshake::RefusalCode;
use argon_proto::holder::OwnerName;
use argon_proto::{AttemptId, AttemptToken, Secret, SessionId};

fn refusals(manager: &mut Manager) -> Vec<(u64, RefusalCode)> {
    let refusal = |effect| {
        let Effect::Close { link, code, .. } = effect else { return None };
        Some((link.0, code))
    };
    manager.take_effects().into_iter().filter_map(refusal).collect()
}

fn opens(link: u64, session: SessionId, secret: Secret) -> Input {
    Input::SessionOpened {
        link: ConnId(link),
        owner: OwnerName::admin(),
        session,
        secret,
        previous: None,
        client: "thief".into(),
    }
}

fn child_opens(link: u64, parent: AttemptId, worker: u64, own: &Secret, token: AttemptToken) -> Input {
    Input::ChildSessionOpened {
        link: ConnId(link),
        session: SessionId::of_child(parent.task.session.family(), own),
        secret: own.clone(),
        previous: None,
        client: "inside".into(),
        parent,
        token,
        worker: worker_id(worker),
    }
}

#[test]
fn the_client_of_a_task_opens_with_the_token_of_its_attempt_at_its_worker_only() {
    let parent = attempt(1, 1, 1);
    let own = Secret::new([77; 32]);
    let wrong = [
        (11, token(12, parent)),
        (11, token(11, attempt(1, 1, 2))),
        (11, token(11, attempt(1, 2, 1))),
        (11, AttemptToken(0)),
        (12, token(11, parent)),
        (12, token(12, parent)),
        (13, token(11, parent)),
    ];
    for (worker, token) in wrong {
        let mut manager = Manager::with_one_running();
        manager.join(12, 1, &[]);
        manager.take_effects();
        manager.step(child_opens(50, parent, worker, &own, token));
        assert_eq!(refusals(&mut manager), [(50, RefusalCode::Session)], "worker {worker}");
    }
    let mut manager = Manager::with_one_running();
    manager.step(child_opens(50, parent, 11, &own, token(11, parent)));
    assert_eq!(refusals(&mut manager), []);
}

#[test]
fn sessions_of_one_family_are_not_each_others() {
    let parent = attempt(1, 1, 1);
    let (own, sibling) = (Secret::new([77; 32]), Secret::new([78; 32]));
    let mut manager = Manager::with_one_running();
    manager.step(child_opens(50, parent, 11, &own, token(11, parent)));
    let child = SessionId::of_child(parent.task.session.family(), &own);
    // The sibling, the parent and a stranger know its id, not its secret.
    for secret in [sibling, secret(1), secret(2)] {
        let Input::ChildSessionOpened { link, previous, client, parent, token, worker, .. } =
            child_opens(51, parent, 11, &secret, token(11, parent))
        else {
            panic!("not a child's opening")
        };
        let opened = Input::ChildSessionOpened {
            link,
            session: child,
            secret: secret.clone(),
            previous,
            client,
            parent,
            token,
            worker,
        };
        manager.step(opened);
        assert_eq!(refusals(&mut manager), [(51, RefusalCode::Session)]);
        manager.step(opens(52, child, secret));
        assert_eq!(refusals(&mut manager), [(52, RefusalCode::Session)]);
    }
    // Its own secret opens it as the client of its task only.
    manager.step(opens(53, child, own.clone()));
    assert_eq!(refusals(&mut manager), [(53, RefusalCode::Session)]);
    manager.step(child_opens(54, parent, 11, &own, token(11, parent)));
    assert_eq!(refusals(&mut manager), [(50, RefusalCode::Session)], "it reconnected");
}

#[test]
fn a_task_of_a_child_is_not_its_parents_to_cancel_or_acknowledge() {
    let parent = attempt(1, 1, 1);
    let own = Secret::new([77; 32]);
    let mut manager = Manager::with_one_running();
    manager.step(child_opens(50, parent, 11, &own, token(11, parent)));
    let mut child_task = task(1, 9);
    child_task.head.id.session = SessionId::of_child(parent.task.session.family(), &own);
    let child_id = child_task.head.id;
    manager.submit(50, child_task);
    manager.step(Input::OwnTasksCancelled { link: ConnId(1), ids: vec![child_id] });
    assert_eq!(manager.scheduler.task_state(child_id), Some("queued".to_owned()));
    manager.step(Input::OwnTasksCancelled { link: ConnId(50), ids: vec![child_id, id(1, 1)] });
    assert_eq!(manager.outcomes(50).len(), 1);
    assert_eq!(manager.outcomes(1), []);
}

#[test]
fn the_token_of_an_earlier_attempt_opens_no_session_in_a_later_one() {
    let mut manager = Manager::with_one_running();
    manager.join(12, 1, &[]);
    manager.lose(11);
    assert_eq!(manager.runs(12), [attempt(1, 1, 2)]);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    manager.take_effects();
    let (parent, own) = (attempt(1, 1, 1), Secret::new([77; 32]));
    manager.step(child_opens(50, parent, 11, &own, token(11, parent)));
    assert_eq!(refusals(&mut manager), [(50, RefusalCode::Session)]);
}
