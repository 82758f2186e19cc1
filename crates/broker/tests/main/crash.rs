//! The process dies at every point between two steps, once; the same request, or a DELETE, sent
//! again to a new process ends where it would have ended.
//!
//! Dying is the end of the operation inside this process, and a real exit of a process of its own.

use std::path::Path;

use crate::support::{
    Answer, Broker, assert_gone, bind_body, code, names_with, new_id, provision_body, query,
};

/// More points than any verb has.
const ENOUGH: u32 = 200;

#[derive(Clone, Copy, Debug)]
enum Verb {
    Provision,
    Bind,
    Unbind,
    Deprovision,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Death {
    OfTheOperation,
    OfTheProcess,
}

impl Verb {
    async fn send(self, broker: &Broker, instance: &str, binding: &str) -> Answer {
        self.try_send(broker, instance, binding).await.expect("an answer")
    }

    async fn try_send(
        self,
        broker: &Broker,
        instance: &str,
        binding: &str,
    ) -> Result<Answer, reqwest::Error> {
        let path = format!("/v2/service_instances/{instance}");
        let binding_path = format!("{path}/service_bindings/{binding}");
        let ids = query();
        match self {
            Self::Provision => broker.try_send("PUT", &path, Some(provision_body())).await,
            Self::Bind => broker.try_send("PUT", &binding_path, Some(bind_body())).await,
            Self::Unbind => broker.try_send("DELETE", &format!("{binding_path}?{ids}"), None).await,
            Self::Deprovision => broker.try_send("DELETE", &format!("{path}?{ids}"), None).await,
        }
    }

    /// What it needs to be there.
    async fn prepare(self, broker: &Broker, instance: &str, binding: &str) {
        if matches!(self, Self::Bind) {
            assert_eq!(broker.provision(instance).await.0, 201);
        }
        if matches!(self, Self::Unbind | Self::Deprovision) {
            let credentials = broker.bound(instance, binding).await;
            let session = credentials.connect().await.expect("connected");
            let own = "CREATE TABLE kept (n int); SET ROLE NONE; CREATE TABLE own (n int)";
            session.batch_execute(own).await.expect("made");
        }
    }
}

/// Kills at every point; returns how many there are.
async fn check(verb: Verb, death: Death, then_delete: bool) -> u32 {
    for points in 0..ENOUGH {
        let data = tempfile::tempdir().expect("a directory");
        let (instance, binding) = (new_id(), new_id());
        let broker = Broker::on(data.path()).await;
        verb.prepare(&broker, &instance, &binding).await;
        broker.finish().await.expect("ended well");

        let died = match death {
            Death::OfTheOperation => dies(verb, data.path(), points, &instance, &binding).await,
            Death::OfTheProcess => exits(verb, data.path(), points, &instance, &binding).await,
        };

        let broker = Broker::on(data.path()).await;
        if !then_delete {
            converges(verb, &broker, &instance, &binding, points).await;
        }
        let status = broker.deprovision(&instance).await.0;
        assert!(matches!(status, 200 | 410), "{verb:?} killed after {points}: DELETE {status}");
        assert_gone(&instance).await;
        assert_eq!(broker.deprovision(&instance).await.0, 410);
        broker.finish().await.expect("ended well");
        if !died {
            return points;
        }
    }
    panic!("{verb:?} has no end");
}

/// Sends the request to a broker whose operation ends after that many points; whether it did.
async fn dies(verb: Verb, data: &Path, points: u32, instance: &str, binding: &str) -> bool {
    let (broker, steps) = Broker::killed_after(data, points).await;
    let (status, body) = verb.send(&broker, instance, binding).await;
    broker.finish().await.expect("ended well");
    let died = steps.was_killed();
    match died {
        true => assert_eq!(status, 500, "{verb:?} killed after {points}: {body}"),
        false => assert!(matches!(status, 200 | 201), "{verb:?} after {points}: {status} {body}"),
    }
    died
}

/// Sends the request to a broker whose process exits after that many points; whether it did.
async fn exits(verb: Verb, data: &Path, points: u32, instance: &str, binding: &str) -> bool {
    let broker = Broker::exits_after(data, points).await;
    let answer = verb.try_send(&broker, instance, binding).await;
    let exited = broker.kill();
    assert_eq!(exited, answer.is_err(), "{verb:?} after {points}: {answer:?}");
    exited
}

/// The repeated request succeeds, and all that it promises is there.
async fn converges(verb: Verb, broker: &Broker, instance: &str, binding: &str, points: u32) {
    let (status, body) = verb.send(broker, instance, binding).await;
    match verb {
        Verb::Provision | Verb::Bind => {
            assert!(matches!(status, 200 | 201), "{verb:?} {points}: {status} {body}");
        }
        Verb::Unbind | Verb::Deprovision => {
            assert!(matches!(status, 200 | 410), "{verb:?} {points}: {status} {body}");
        }
    }
    if matches!(verb, Verb::Deprovision) {
        assert_gone(instance).await;
        return;
    }
    let other = broker.credentials(instance, &new_id()).await;
    let session = other.connect().await.expect("connected");
    match verb {
        Verb::Unbind => {
            let short = instance.split('-').next().expect("a part");
            assert_eq!(names_with(&format!("u_{short}_")).await, [other.get("username")]);
            session.batch_execute("DROP TABLE kept; DROP TABLE own").await.expect("kept");
            assert_eq!(broker.unbind(instance, binding).await.0, 410);
        }
        _ => {
            let credentials = broker.credentials(instance, binding).await;
            let first = credentials.connect().await.expect("connected");
            first.batch_execute("CREATE TABLE t (n int)").await.expect("made");
            session.batch_execute("DROP TABLE t").await.expect("shared");
        }
    }
    assert_eq!(code(other.connect_to("postgres").await), "42501");
}

#[tokio::test]
async fn a_provision_that_was_cut_off_anywhere_is_completed_by_its_repetition() {
    let points = check(Verb::Provision, Death::OfTheOperation, false).await;
    assert!(points >= 2 * 7 + 3, "every statement and every entry has its points: {points}");
}

#[tokio::test]
async fn a_provision_that_was_cut_off_anywhere_is_removed_by_a_delete() {
    check(Verb::Provision, Death::OfTheOperation, true).await;
}

#[tokio::test]
async fn a_bind_that_was_cut_off_anywhere_is_completed_by_its_repetition() {
    let points = check(Verb::Bind, Death::OfTheOperation, false).await;
    assert!(points >= 2 * 4 + 3, "every statement and every entry has its points: {points}");
}

#[tokio::test]
async fn an_unbind_that_was_cut_off_anywhere_is_completed_by_its_repetition() {
    let points = check(Verb::Unbind, Death::OfTheOperation, false).await;
    assert!(points >= 2 * 4 + 3, "every statement and every entry has its points: {points}");
}

#[tokio::test]
async fn a_deprovision_that_was_cut_off_anywhere_is_completed_by_its_repetition() {
    let points = check(Verb::Deprovision, Death::OfTheOperation, false).await;
    assert!(points >= 2 * 5 + 3, "every statement and every entry has its points: {points}");
}

#[tokio::test]
async fn a_provision_survives_the_death_of_the_process() {
    check(Verb::Provision, Death::OfTheProcess, false).await;
}

#[tokio::test]
async fn a_provision_that_died_with_the_process_is_removed_by_a_delete() {
    check(Verb::Provision, Death::OfTheProcess, true).await;
}

#[tokio::test]
async fn a_bind_survives_the_death_of_the_process() {
    check(Verb::Bind, Death::OfTheProcess, false).await;
}

#[tokio::test]
async fn an_unbind_survives_the_death_of_the_process() {
    check(Verb::Unbind, Death::OfTheProcess, false).await;
}

#[tokio::test]
async fn a_deprovision_survives_the_death_of_the_process() {
    check(Verb::Deprovision, Death::OfTheProcess, false).await;
}
