//! What must be true of objects that a batch does not write (decision 3).

use dispatch_model::Kind;
use dispatch_store::{Batch, CommitError};
use tokio::task::JoinSet;

use crate::harness::{Harness, Probe};

fn batch() -> Batch {
    Batch::system("test")
}

pub(crate) async fn what_is_required_must_be_as_it_was_read(h: &Harness) {
    let (store, org, other) = (h.store(), h.organization(1), h.organization(2));
    let base = h.created(&org, "base").await;
    let with = |name: &str, meta| batch().create(&h.probe(&org, name), &[], &[]).require(meta);
    store.commit(with("first", &base.meta)).await.unwrap();

    // A status is nobody's business.
    let mut seen = base.clone();
    seen.status.seen = 1;
    store.commit(batch().update_status(&seen)).await.unwrap();
    store.commit(with("second", &base.meta)).await.unwrap();

    store.commit(batch().update_spec(&base, &[], &[])).await.unwrap();
    let stale = store.commit(with("third", &base.meta)).await;
    let id = base.meta.id.uuid();
    assert!(
        matches!(stale, Err(CommitError::Stale { kind: Kind::Function, id: i }) if i == id),
        "{stale:?}"
    );
    let now = h.load(&base).await.unwrap();
    store.commit(with("third", &now.meta)).await.unwrap();

    // In another organization there is no such object.
    let mut foreign = now.meta.clone();
    foreign.organization = other.organization();
    let gone = store.commit(with("fourth", &foreign)).await;
    assert!(matches!(gone, Err(CommitError::Gone { .. })), "{gone:?}");
    store.commit(batch().delete(&now)).await.unwrap();
    let gone = store.commit(with("fourth", &now.meta)).await;
    assert!(matches!(gone, Err(CommitError::Gone { .. })), "{gone:?}");
    let names: Vec<String> = h
        .store()
        .list::<Probe>(&org)
        .await
        .unwrap()
        .iter()
        .map(|stored| stored.meta().name.to_string())
        .collect();
    assert_eq!(names, ["first", "second", "third"], "nothing of a refused batch is stored");
}

pub(crate) async fn what_is_required_must_not_be_marked_for_deletion(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let mut base = h.created(&org, "base").await;
    base.meta.deleting = Some(h.now());
    store.commit(batch().update_spec(&base, &[], &[])).await.unwrap();
    let marked = h.load(&base).await.unwrap();
    assert_eq!(marked.meta.generation, 2);
    let refused = store.commit(batch().require(&marked.meta)).await;
    assert!(matches!(refused, Err(CommitError::Stale { .. })), "{refused:?}");
}

/// Of a deletion and of what refers to the same object, whoever is first wins.
pub(crate) async fn what_nobody_may_refer_to_is_looked_at_in_its_place(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let base = h.created(&org, "base").await;
    let id = base.meta.id.uuid();
    let user = h.probe(&org, "user");
    store.commit(batch().create(&user, &[id], &[]).require(&base.meta)).await.unwrap();
    let delete = || batch().require_unreferred::<Probe>(id).delete(&base);
    let refused = store.commit(delete()).await;
    assert!(
        matches!(refused, Err(CommitError::Referred { kind: Kind::Function, target }) if target == id),
        "{refused:?}"
    );
    // What the same batch has deleted before does not count, and what it deletes later does.
    let late = batch().require_unreferred::<Probe>(id).delete(&user).delete(&base);
    assert!(store.commit(late).await.is_err());
    let together = batch().delete(&user).require_unreferred::<Probe>(id).delete(&base);
    store.commit(together).await.unwrap();

    for round in 0..20 {
        let base = h.created(&org, &format!("base-{round}")).await;
        let (id, user) = (base.meta.id.uuid(), h.probe(&org, &format!("user-{round}")));
        let batches = [
            batch().create(&user, &[id], &[]).require(&base.meta),
            batch().require_unreferred::<Probe>(id).delete(&base),
        ];
        let mut commits = JoinSet::new();
        for batch in batches {
            let store = h.store();
            commits.spawn(async move { store.commit(batch).await.is_ok() });
        }
        let won = commits.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(won, 1, "{round}");
        assert_eq!(h.load(&user).await.is_some(), h.load(&base).await.is_some(), "{round}");
    }
}

pub(crate) async fn a_precondition_alone_writes_and_tells_nothing(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let base = h.created(&org, "base").await;
    let mut changes = store.watch();
    let both = batch().require(&base.meta).require_unreferred::<Probe>(base.meta.id.uuid());
    store.commit(both).await.unwrap();
    h.created(&org, "next").await;
    let next = changes.recv().await.unwrap();
    assert_ne!(next.id, base.meta.id.uuid());
    assert_eq!(h.load(&base).await.unwrap().meta, base.meta);
}
