//! Closing and opening again.

use dispatch_store::{Batch, CommitError, ReadError, RunState, SecretValues};

use crate::harness::{Harness, Probe};

pub(crate) async fn everything_is_there_after_a_restart(h: &Harness) {
    let org = h.organization(1);
    let object = h.created(&org, "hello").await;
    let values: SecretValues = [("password", "hunter2".to_owned())].into_iter().collect();
    let secret = h.id();
    let mut batch = Batch::new().request(h.audit_row(&org, "create")).put_secret_values(
        org.organization(),
        secret.into(),
        1,
        &values,
    );
    let blob = batch.put_blob(b"source".to_vec());
    let run = h.run(&org, h.id(), RunState::Waiting);
    let holder = h.probe(&org, "holder");
    let batch = batch.insert_run(&run).create(&holder, &[secret], &[blob]);
    h.store().commit(batch).await.unwrap();

    h.restart().await;
    let store = h.store();
    assert_eq!(h.load(&object).await.unwrap().meta, object.meta);
    assert_eq!(store.secret_values(&org, secret.into(), 1).await.unwrap(), Some(values));
    assert_eq!(store.blob(&blob).await.unwrap(), Some(b"source".to_vec()));
    assert_eq!(store.run(&org, run.id).await.unwrap(), Some(run));
    assert_eq!(store.unfinished_runs(&h.system()).await.unwrap().len(), 1);
    assert_eq!(store.list_referring::<Probe>(&org, secret).await.unwrap().len(), 1);
    assert_eq!(store.audit(&h.system(), &Default::default()).await.unwrap().len(), 1);
}

pub(crate) async fn a_closed_store_says_so(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    store.clone().close().await;
    store.clone().close().await;
    let batch = Batch::system("test").create(&h.probe(&org, "hello"), &[], &[]);
    assert!(matches!(store.commit(batch).await, Err(CommitError::Closed)));
    assert!(matches!(store.list::<Probe>(&org).await, Err(ReadError::Closed)));
    store.record_run(h.run(&org, h.id(), RunState::Done));
    assert_eq!(store.counters().dropped_runs, 1);
}

pub(crate) async fn close_finishes_what_was_asked_for(h: &Harness) {
    let org = h.organization(1);
    let mut commits = tokio::task::JoinSet::new();
    for n in 0..100 {
        let (store, object) = (h.store(), h.probe(&org, &format!("n{n}")));
        commits.spawn(async move {
            match store.commit(Batch::system("test").create(&object, &[], &[])).await {
                Ok(_) => Some(object),
                Err(CommitError::Closed) => None,
                Err(other) => panic!("{other:?}"),
            }
        });
    }
    tokio::task::yield_now().await;
    h.restart().await;
    let stored: Vec<_> = commits.join_all().await.into_iter().flatten().collect();
    assert_eq!(h.store().list::<Probe>(&org).await.unwrap().len(), stored.len());
    for object in &stored {
        assert!(h.load(object).await.is_some());
    }
}
