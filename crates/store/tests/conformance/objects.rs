//! Objects and their two counters (decision 2).

use dispatch_model::{Kind, Noun, Object, object::UnreadableForm};
use dispatch_store::{Batch, CommitError, Page, Stored};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::harness::{Harness, Probe, ProbeSpec, ProbeStatus, names};

fn update() -> Batch {
    Batch::system("test")
}

pub(crate) async fn an_object_is_read_as_it_was_written(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let mut object = h.probe(&org, "hello");
    object.meta.generation = 7;
    object.meta.status_revision = 3;
    object.meta.modified = h.now();
    object.meta.deleting = Some(h.now());
    object.spec.wish = "größer \"\\ \u{0}".to_owned();
    object.status.seen = 9;
    store.commit(update().create(&object, &[], &[])).await.unwrap();

    let check = |found: Option<Stored<Probe>>| {
        let found = found.unwrap().readable().unwrap();
        assert_eq!(found.meta, object.meta);
        assert_eq!((found.spec, found.status), (object.spec.clone(), object.status.clone()));
    };
    check(store.get(&org, &object.meta.name).await.unwrap());
    check(store.get_by_id(&org, object.meta.id).await.unwrap());
    check(store.list(&org).await.unwrap().pop());
    assert!(store.get::<Probe>(&org, &"Hello".parse().unwrap()).await.unwrap().is_none());
}

pub(crate) async fn a_name_is_taken_once_in_an_organization_and_kind(h: &Harness) {
    let store = h.store();
    let (a, b) = (h.organization(1), h.organization(2));
    h.created(&a, "hello").await;
    let again = h.probe(&a, "hello");
    match store.commit(update().create(&again, &[], &[])).await {
        Err(CommitError::Exists { kind: Kind::Function, name }) => {
            assert_eq!(name.as_str(), "hello");
        }
        other => panic!("{other:?}"),
    }
    h.created(&b, "hello").await;
    let other_kind: Object<Other> = h.object(&a, "hello", OtherSpec { size: 1 });
    store.commit(update().create(&other_kind, &[], &[])).await.unwrap();
}

pub(crate) async fn an_id_is_taken_once(h: &Harness) {
    let org = h.organization(1);
    let first = h.created(&org, "first").await;
    let mut second = h.probe(&org, "second");
    second.meta.id = first.meta.id;
    let refused = h.store().commit(update().create(&second, &[], &[])).await;
    assert!(matches!(refused, Err(CommitError::Exists { .. })), "{refused:?}");
}

pub(crate) async fn a_name_is_free_again_after_delete(h: &Harness) {
    let org = h.organization(1);
    let old = h.created(&org, "hello").await;
    let new = h.probe(&org, "hello");
    // In one batch, in the order given.
    h.store().commit(update().delete(&old).create(&new, &[], &[])).await.unwrap();
    assert!(h.load(&old).await.is_none());
    assert!(h.load(&new).await.is_some());
}

pub(crate) async fn a_spec_is_saved_only_over_the_generation_that_was_read(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let first = h.created(&org, "hello").await;
    let mut changed = first.clone();
    changed.spec.wish = "more".to_owned();
    changed.status.seen = 99;
    changed.meta.tags.clear();
    changed.meta.modified = h.now();
    changed.meta.deleting = Some(h.now());
    store.commit(update().update_spec(&changed, &[], &[])).await.unwrap();

    let found = h.load(&first).await.unwrap();
    assert_eq!(found.meta.generation, 2);
    assert_eq!(found.meta.status_revision, 0);
    assert_eq!(found.spec, changed.spec);
    assert_eq!(found.status.seen, 0, "an update of the spec leaves the status alone");
    assert_eq!(found.meta.tags, changed.meta.tags);
    assert_eq!(found.meta.modified, changed.meta.modified);
    assert_eq!(found.meta.deleting, changed.meta.deleting);
    assert_eq!(found.meta.created, first.meta.created);

    let stale = store.commit(update().update_spec(&changed, &[], &[])).await;
    let id = first.meta.id.uuid();
    assert!(
        matches!(stale, Err(CommitError::Stale { kind: Kind::Function, id: i }) if i == id),
        "{stale:?}"
    );
    store.commit(update().update_spec(&found, &[], &[])).await.unwrap();
    assert_eq!(h.load(&first).await.unwrap().meta.generation, 3);
}

pub(crate) async fn a_status_is_saved_only_over_the_revision_that_was_read(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let first = h.created(&org, "hello").await;
    let mut seen = first.clone();
    seen.status.seen = 1;
    seen.spec.wish = "not this".to_owned();
    store.commit(update().update_status(&seen)).await.unwrap();
    let found = h.load(&first).await.unwrap();
    assert_eq!((found.meta.generation, found.meta.status_revision), (1, 1));
    assert_eq!(found.status.seen, 1);
    assert_eq!(found.spec, first.spec, "an update of the status leaves the spec alone");

    let stale = store.commit(update().update_status(&seen)).await;
    assert!(matches!(stale, Err(CommitError::Stale { .. })), "{stale:?}");
}

pub(crate) async fn a_change_of_the_spec_does_not_make_a_status_unsaveable(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let read_before_the_call = h.created(&org, "hello").await;
    let put = read_before_the_call.clone();
    store.commit(update().update_spec(&put, &[], &[])).await.unwrap();

    let mut answer = read_before_the_call;
    answer.status.seen = 1;
    store.commit(update().update_status(&answer)).await.unwrap();
    let found = h.load(&answer).await.unwrap();
    assert_eq!((found.meta.generation, found.meta.status_revision), (2, 1));
}

pub(crate) async fn delete_needs_both_counters(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let first = h.created(&org, "hello").await;
    store.commit(update().update_status(&first)).await.unwrap();
    let second = h.load(&first).await.unwrap();
    store.commit(update().update_spec(&second, &[], &[])).await.unwrap();
    for old in [&first, &second] {
        let stale = store.commit(update().delete(old)).await;
        assert!(matches!(stale, Err(CommitError::Stale { .. })), "{stale:?}");
    }
    let mut third = h.load(&first).await.unwrap();
    for (generation, revision) in [(2, 0), (1, 1), (3, 1), (2, 2)] {
        (third.meta.generation, third.meta.status_revision) = (generation, revision);
        let stale = store.commit(update().delete(&third)).await;
        assert!(matches!(stale, Err(CommitError::Stale { .. })), "{stale:?}");
    }
    (third.meta.generation, third.meta.status_revision) = (2, 1);
    store.commit(update().delete(&third)).await.unwrap();
    assert!(h.load(&first).await.is_none());
}

pub(crate) async fn what_is_gone_cannot_be_saved(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let object = h.created(&org, "hello").await;
    store.commit(update().delete(&object)).await.unwrap();
    // One of the same name is another object.
    h.created(&org, "hello").await;
    for batch in [
        update().update_spec(&object, &[], &[]),
        update().update_status(&object),
        update().delete(&object),
    ] {
        let gone = store.commit(batch).await;
        assert!(matches!(gone, Err(CommitError::Gone { .. })), "{gone:?}");
    }
}

pub(crate) async fn a_list_is_in_the_order_of_names(h: &Harness) {
    let org = h.organization(1);
    for name in ["b", "a-1", "a", "B", "a_1", "0"] {
        h.created(&org, name).await;
    }
    let listed = h.store().list::<Probe>(&org).await.unwrap();
    assert_eq!(names(&listed), ["0", "B", "a", "a-1", "a_1", "b"], "by bytes");
}

pub(crate) async fn a_list_is_paged_by_name(h: &Harness) {
    let org = h.organization(1);
    for name in ["e", "d", "c", "b", "a"] {
        h.created(&org, name).await;
        h.created(&h.organization(2), name).await;
    }
    let mut page = Page { after: None, limit: 2 };
    let mut pages = Vec::new();
    loop {
        let listed = h.store().list_page::<Probe>(&org, &page).await.unwrap();
        let Some(last) = listed.last() else { break };
        page.after = Some(last.meta().name.clone());
        pages.push(names(&listed).concat());
    }
    assert_eq!(pages, ["ab", "cd", "e"]);
}

pub(crate) async fn a_page_has_bounds(h: &Harness) {
    let org = h.organization(1);
    let objects: Vec<_> =
        (0..=Page::LIMIT_MAX).map(|n| h.probe(&org, &format!("n{n:05}"))).collect();
    let batch = objects.iter().fold(update(), |batch, object| batch.create(object, &[], &[]));
    h.store().commit(batch).await.unwrap();
    for (limit, expect) in [(0, 1), (1, 1), (Page::LIMIT_MAX, 1_000), (usize::MAX, 1_000)] {
        let page = Page { after: None, limit };
        let listed = h.store().list_page::<Probe>(&org, &page).await.unwrap();
        assert_eq!(listed.len(), expect, "limit {limit}");
    }
    assert_eq!(h.store().list::<Probe>(&org).await.unwrap().len(), 1_001, "a list is complete");
}

pub(crate) async fn a_kind_sees_only_its_own(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let object = h.created(&org, "hello").await;
    let id = object.meta.id.uuid();
    assert!(store.get::<Other>(&org, &object.meta.name).await.unwrap().is_none());
    assert!(store.get_by_id::<Other>(&org, id.into()).await.unwrap().is_none());
    assert!(store.list::<Other>(&org).await.unwrap().is_empty());
    let page = Page { after: None, limit: 9 };
    assert!(store.list_page::<Other>(&org, &page).await.unwrap().is_empty());
}

pub(crate) async fn objects_are_found_by_what_they_refer_to(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let (secret, image) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let (a, b) = (h.probe(&org, "a"), h.probe(&org, "b"));
    let other: Object<Other> = h.object(&org, "c", OtherSpec { size: 1 });
    let batch = update().create(&b, &[secret, image], &[]).create(&a, &[image, image], &[]).create(
        &other,
        &[image],
        &[],
    );
    store.commit(batch).await.unwrap();
    let check = async |to: Uuid, expect: &str| {
        let found = store.list_referring::<Probe>(&org, to).await.unwrap();
        assert_eq!(names(&found).concat(), expect, "{to}");
    };
    check(secret, "b").await;
    check(image, "ab").await;
    check(Uuid::from_u128(3), "").await;

    store.commit(update().update_spec(&b, &[secret], &[])).await.unwrap();
    store.commit(update().update_status(&a)).await.unwrap();
    check(image, "a").await;
    check(secret, "b").await;
    let b = h.load(&b).await.unwrap();
    store.commit(update().delete(&b)).await.unwrap();
    check(secret, "").await;
}

pub(crate) async fn a_form_of_a_newer_version_is_one_unreadable_object(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let newer: Object<Newer> = h.object(&org, "new", ProbeSpec { wish: "new".to_owned() });
    store.commit(update().create(&newer, &[], &[])).await.unwrap();
    h.created(&org, "old").await;

    let listed = store.list::<Probe>(&org).await.unwrap();
    assert_eq!(names(&listed), ["new", "old"]);
    match &listed[0] {
        Stored::Unreadable { meta, why: UnreadableForm::Newer { found: 2, known: 1 } } => {
            assert_eq!(meta.tags, newer.meta.tags);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(listed[1], Stored::Readable(_)));
    let read_by_the_newer = store.get::<Newer>(&org, &"old".parse().unwrap()).await.unwrap();
    assert!(matches!(read_by_the_newer, Some(Stored::Readable(_))));
}

pub(crate) async fn a_damaged_form_is_one_unreadable_object_that_can_be_deleted(h: &Harness) {
    let (store, org) = (h.store(), h.organization(1));
    let strange: Object<Strange> = h.object(&org, "strange", OtherSpec { size: 1 });
    store.commit(update().create(&strange, &[], &[])).await.unwrap();
    let name = "strange".parse().unwrap();
    let found = store.get::<Probe>(&org, &name).await.unwrap().unwrap();
    match &found {
        Stored::Unreadable { why: UnreadableForm::Damaged { .. }, .. } => {}
        other => panic!("{other:?}"),
    }
    store.commit(update().delete_meta(found.meta())).await.unwrap();
    assert!(store.get::<Probe>(&org, &name).await.unwrap().is_none());
}

/// Another kind.
enum Other {}

/// The kind of `Probe` with another spec.
enum Strange {}

/// The kind of `Probe` in a later release.
enum Newer {}

#[derive(Clone, Serialize, Deserialize)]
struct OtherSpec {
    size: u32,
}

impl Noun for Other {
    const KIND: Kind = Kind::Image;
    type Spec = OtherSpec;
    type Status = ProbeStatus;
}

impl Noun for Strange {
    const KIND: Kind = Kind::Function;
    type Spec = OtherSpec;
    type Status = ProbeStatus;
}

impl Noun for Newer {
    const KIND: Kind = Kind::Function;
    const VERSION: u32 = 2;
    type Spec = ProbeSpec;
    type Status = ProbeStatus;
}
