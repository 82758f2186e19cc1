//! The audit log.

use dispatch_store::{AuditFilter, Batch};

use crate::harness::Harness;

pub(crate) async fn a_request_leaves_exactly_one_row(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let row = h.audit_row(&org, "create");
    let batch = Batch::new().request(row.clone()).create(&h.probe(&org, "a"), &[], &[]).create(
        &h.probe(&org, "b"),
        &[],
        &[],
    );
    store.commit(batch).await.unwrap();
    let mut bare = h.audit_row(&org, "reveal");
    (bare.organization, bare.kind, bare.name, bare.id, bare.source) = Default::default();
    bare.details = serde_json::Value::Null;
    store.commit(Batch::new().request(bare.clone())).await.unwrap();

    let log = store.audit(&h.system(), &AuditFilter::default()).await.unwrap();
    let rows: Vec<_> = log.iter().map(|entry| entry.row.clone()).collect();
    assert_eq!(rows, [bare, row], "newest first, as written");
    assert!(log[0].position > log[1].position);
}

pub(crate) async fn the_system_leaves_none(h: &Harness) {
    h.created(&h.organization(1), "hello").await;
    assert!(h.store().audit(&h.system(), &AuditFilter::default()).await.unwrap().is_empty());
}

pub(crate) async fn a_refused_request_leaves_none(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let object = h.created(&org, "hello").await;
    let batch = Batch::new().request(h.audit_row(&org, "create")).create(&object, &[], &[]);
    store.commit(batch).await.unwrap_err();
    assert!(store.audit(&h.system(), &AuditFilter::default()).await.unwrap().is_empty());
}

pub(crate) async fn rows_are_filtered_and_paged(h: &Harness) {
    let (store, a, b) = (h.store(), h.organization(1), h.organization(2));
    let mut rows = Vec::new();
    for scope in [&a, &b, &a, &a] {
        let row = h.audit_row(scope, "create");
        store.commit(Batch::new().request(row.clone())).await.unwrap();
        rows.push(row);
    }
    let check = async |filter: AuditFilter, expect: &[usize]| {
        let found = store.audit(&h.system(), &filter).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|entry| entry.row).collect();
        let expect: Vec<_> = expect.iter().map(|n| rows[*n].clone()).collect();
        assert_eq!(found, expect, "{filter:?}");
    };
    let all = AuditFilter::default;
    check(all(), &[3, 2, 1, 0]).await;
    check(AuditFilter { organization: Some(a.organization()), ..all() }, &[3, 2, 0]).await;
    check(AuditFilter { request_id: Some(rows[1].request_id), ..all() }, &[1]).await;
    check(AuditFilter { since: Some(rows[2].at), ..all() }, &[3, 2]).await;
    check(AuditFilter { limit: 3, ..all() }, &[3, 2, 1]).await;
    check(AuditFilter { limit: 0, ..all() }, &[3]).await;
    let last = store.audit(&h.system(), &AuditFilter { limit: 3, ..all() }).await.unwrap();
    check(AuditFilter { after: Some(last[2].position), ..all() }, &[0]).await;
}
