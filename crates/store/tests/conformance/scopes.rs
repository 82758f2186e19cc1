//! No row of one organization is ever read or written in the scope of another (decision 7).

use dispatch_store::{
    Batch, CommitError, OrgScope, Page, ReadError, RunFilter, RunState, Scope, SealedKey,
    SecretValues,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::harness::{Harness, Probe, names, organizations};

pub(crate) async fn another_organizations_objects_never_appear(h: &Harness) {
    let store = h.store();
    let (ours, theirs) = (h.organization(1), h.organization(2));
    let used = h.id();
    let foreign = h.probe(&theirs, "theirs");
    store.commit(Batch::system("test").create(&foreign, &[used], &[])).await.unwrap();
    assert_eq!(seen(h, &theirs, &foreign.meta.name, used).await, 5, "its owner sees it");
    assert_eq!(seen(h, &ours, &foreign.meta.name, used).await, 0);

    // With one of ours of the same name and with the same reference beside it, too.
    let own = h.probe(&ours, "theirs");
    store.commit(Batch::system("test").create(&own, &[used], &[])).await.unwrap();
    assert_eq!(seen(h, &ours, &foreign.meta.name, used).await, 5 - 1, "all but its id");
    let listed = store.list::<Probe>(&ours).await.unwrap();
    assert_eq!(organizations(&listed), [ours.organization()]);
    let referring = store.list_referring::<Probe>(&ours, used).await.unwrap();
    assert_eq!(organizations(&referring), [ours.organization()]);
    let page = Page { after: None, limit: 100 };
    let page = store.list_page::<Probe>(&ours, &page).await.unwrap();
    assert_eq!(organizations(&page), [ours.organization()]);
    let got = store.get::<Probe>(&ours, &own.meta.name).await.unwrap().unwrap();
    assert_eq!(got.meta().id, own.meta.id);
}

/// How many of the five reads of objects find something. The id asked for is that of organization 2.
async fn seen(h: &Harness, scope: &OrgScope, name: &dispatch_model::Name, used: Uuid) -> usize {
    let store = h.store();
    let foreign = store.get::<Probe>(&h.organization(2), name).await.unwrap().unwrap();
    let page = Page { after: None, limit: 100 };
    [
        store.get::<Probe>(scope, name).await.unwrap().is_some(),
        store.get_by_id::<Probe>(scope, foreign.meta().id).await.unwrap().is_some(),
        !store.list::<Probe>(scope).await.unwrap().is_empty(),
        !store.list_page::<Probe>(scope, &page).await.unwrap().is_empty(),
        !store.list_referring::<Probe>(scope, used).await.unwrap().is_empty(),
    ]
    .into_iter()
    .filter(|seen| *seen)
    .count()
}

pub(crate) async fn another_organizations_secrets_never_appear(h: &Harness) {
    let store = h.store();
    let (ours, theirs) = (h.organization(1), h.organization(2));
    let values: SecretValues = [("password", "hunter2".to_owned())].into_iter().collect();
    let secret = h.id();
    let key = SealedKey { owner: h.id(), version: 1 };
    let batch = Batch::system("test")
        .put_secret_values(theirs.organization(), secret.into(), 1, &values)
        .seal(theirs.organization(), key, Zeroizing::new(b"body".to_vec()));
    store.commit(batch).await.unwrap();
    assert!(store.secret_values(&theirs, secret.into(), 1).await.unwrap().is_some());
    assert!(store.sealed(&theirs, key).await.unwrap().is_some());
    assert!(store.secret_values(&ours, secret.into(), 1).await.unwrap().is_none());
    assert!(store.sealed(&ours, key).await.unwrap().is_none());
}

pub(crate) async fn another_organizations_runs_never_appear(h: &Harness) {
    let store = h.store();
    let (ours, theirs) = (h.organization(1), h.organization(2));
    let function = h.id();
    let run = h.run(&theirs, function, RunState::Done);
    store.commit(Batch::system("test").insert_run(&run)).await.unwrap();
    let of_function = RunFilter { function: Some(function), ..RunFilter::default() };
    let seen = async |scope: &OrgScope| {
        [
            store.run(scope, run.id).await.unwrap().is_some(),
            !store.runs(scope, &RunFilter::default()).await.unwrap().runs.is_empty(),
            !store.runs(scope, &of_function).await.unwrap().runs.is_empty(),
        ]
    };
    assert_eq!(seen(&theirs).await, [true; 3]);
    assert_eq!(seen(&ours).await, [false; 3]);
}

pub(crate) async fn another_organizations_objects_cannot_be_written(h: &Harness) {
    let store = h.store();
    let (ours, theirs) = (h.organization(1), h.organization(2));
    let foreign = h.created(&theirs, "theirs").await;
    let mut forged = foreign.clone();
    forged.meta.organization = ours.organization();
    for batch in [
        Batch::system("test").update_spec(&forged, &[], &[]),
        Batch::system("test").update_status(&forged),
        Batch::system("test").delete(&forged),
    ] {
        let refused = store.commit(batch).await;
        assert!(matches!(refused, Err(CommitError::Gone { .. })), "{refused:?}");
    }
    assert_eq!(h.load(&foreign).await.unwrap().meta, foreign.meta);
}

pub(crate) async fn the_system_sees_everything(h: &Harness) {
    let store = h.store();
    for (number, name) in [(2, "b"), (1, "b"), (1, "a")] {
        h.created(&h.organization(number), name).await;
    }
    let listed = store.list::<Probe>(&*h.system()).await.unwrap();
    assert_eq!(names(&listed), ["a", "b", "b"]);
    let narrowed = h.system().organization(h.organization(2).organization());
    assert_eq!(names(&store.list::<Probe>(&narrowed).await.unwrap()), ["b"]);
}

pub(crate) async fn a_name_that_two_organizations_use_is_ambiguous_for_the_system(h: &Harness) {
    h.created(&h.organization(1), "hello").await;
    let name = "hello".parse().unwrap();
    assert_eq!(found(h, &*h.system(), &name).await.unwrap(), 1);
    h.created(&h.organization(2), "hello").await;
    let refused = found(h, &*h.system(), &name).await;
    assert!(matches!(refused, Err(ReadError::Ambiguous { .. })), "{refused:?}");
    assert_eq!(found(h, &h.organization(2), &name).await.unwrap(), 1);
}

async fn found(
    h: &Harness,
    scope: &impl Scope,
    name: &dispatch_model::Name,
) -> Result<usize, ReadError> {
    Ok(h.store().get::<Probe>(scope, name).await?.into_iter().count())
}
