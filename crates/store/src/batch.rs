//! A batch: everything that one decision writes, with what must be true for it to be written at all.

use dispatch_model::{
    Id, Kind, Meta, Name, Noun, Object, object::to_stored, organization::Organization,
    secret::Secret,
};
use jiff::Timestamp;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    AuditRow, BlobDigest, CommitError, RunRecord, RunState, SealedKey, SecretValues, run::ROW_BYTES,
};

/// Writes for [`Store::commit`](crate::Store::commit): all or nothing. Objects are written in the order given,
/// and before everything else.
///
/// A batch is a user's request, with exactly one audit row, or the system's own: nothing else can be made.
#[must_use = "a batch is written by `Store::commit`"]
pub struct Batch {
    pub(crate) origin: Origin,
    pub(crate) objects: Vec<ObjectOp>,
    pub(crate) others: Vec<OtherOp>,
    bytes: usize,
}

/// A batch that nobody asked for yet.
#[derive(Debug)]
pub struct NewBatch(());

/// Proof that a batch is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its place in the order of all batches; its changes carry the same number.
    pub seq: u64,
}

pub(crate) enum Origin {
    Request(Box<AuditRow>),
    System(&'static str),
}

/// The columns of an object. `tags`, `spec` and `status` are JSON.
#[derive(Debug, Clone)]
pub(crate) struct ObjectRow {
    pub(crate) id: Uuid,
    pub(crate) organization: Id<Organization>,
    pub(crate) kind: Kind,
    pub(crate) name: Name,
    pub(crate) generation: u64,
    pub(crate) status_revision: u64,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) deleting: Option<Timestamp>,
    pub(crate) tags: String,
    pub(crate) spec: String,
    pub(crate) status: String,
}

/// What an object's spec holds on to.
#[derive(Debug, Clone)]
pub(crate) struct Holds {
    pub(crate) refs: Vec<Uuid>,
    pub(crate) blobs: Vec<BlobDigest>,
}

pub(crate) enum ObjectOp {
    Create(Box<ObjectRow>, Holds),
    UpdateSpec(Box<ObjectRow>, Holds),
    UpdateStatus(Box<ObjectRow>),
    UpdateStatusHolding(Box<ObjectRow>, Vec<BlobDigest>),
    Delete(Box<ObjectRow>),
    /// Writes nothing.
    Require(Box<ObjectRow>),
    /// Writes nothing: no object of this kind may refer to `target`.
    RequireUnreferred {
        kind: Kind,
        target: Uuid,
    },
}

pub(crate) enum OtherOp {
    Seal { organization: Id<Organization>, key: SealedKey, plain: Zeroizing<Vec<u8>> },
    DeleteSealed(SealedKey),
    PutBlob { digest: BlobDigest, bytes: Vec<u8> },
    InsertRun(RunRecord),
    UpdateRun(RunRecord, RunState),
}

impl NewBatch {
    /// For a user's request: its audit row is stored with it, or neither is.
    pub fn request(self, audit: AuditRow) -> Batch {
        Batch::of(Origin::Request(Box::new(audit)))
    }
}

impl Batch {
    pub const WRITES_MAX: usize = 4_096;
    pub const BYTES_MAX: usize = 256 << 20;

    /// Say whose request it is: `Batch::new().request(audit)`.
    #[expect(clippy::new_ret_no_self, reason = "a batch without an origin must not be writable")]
    pub const fn new() -> NewBatch {
        NewBatch(())
    }

    /// For what the system does by itself; `reason` is for its log.
    pub fn system(reason: &'static str) -> Self {
        Self::of(Origin::System(reason))
    }

    const fn of(origin: Origin) -> Self {
        Self { origin, objects: Vec::new(), others: Vec::new(), bytes: 0 }
    }

    /// Stores a new object as it is, times to the microsecond. Its name must be free: [`CommitError::Exists`].
    ///
    /// `refs` are the ids of other objects that it refers to (what `list_referring` finds it by), `blobs` what it
    /// keeps from being swept; each must be stored, before or in this batch: [`CommitError::BlobMissing`].
    pub fn create<K: Noun>(self, object: &Object<K>, refs: &[Uuid], blobs: &[BlobDigest]) -> Self {
        let op = ObjectOp::Create(Box::new(row(object)), holds(refs, blobs));
        self.object(op)
    }

    /// Stores spec, tags, `deleting` and `modified`; `refs` and `blobs` replace the earlier ones. The stored generation
    /// must be the object's, and grows by one: otherwise [`CommitError::Stale`], or `Gone`.
    pub fn update_spec<K: Noun>(
        self,
        object: &Object<K>,
        refs: &[Uuid],
        blobs: &[BlobDigest],
    ) -> Self {
        let op = ObjectOp::UpdateSpec(Box::new(row(object)), holds(refs, blobs));
        self.object(op)
    }

    /// Stores the status and nothing else; what it holds stays held. The stored status revision must be the object's, and grows by one:
    /// otherwise [`CommitError::Stale`], or `Gone`.
    pub fn update_status<K: Noun>(self, object: &Object<K>) -> Self {
        self.object(ObjectOp::UpdateStatus(Box::new(row(object))))
    }

    /// [`Batch::update_status`], and `blobs` is from now on what the status keeps from being swept, apart from what the
    /// spec holds. Each must be stored, before or in this batch: [`CommitError::BlobMissing`].
    pub fn update_status_holding<K: Noun>(self, object: &Object<K>, blobs: &[BlobDigest]) -> Self {
        self.object(ObjectOp::UpdateStatusHolding(Box::new(row(object)), blobs.to_vec()))
    }

    /// Deletes the object if neither counter has changed since it was read: otherwise [`CommitError::Stale`], or `Gone`.
    pub fn delete<K: Noun>(self, object: &Object<K>) -> Self {
        self.delete_meta(&object.meta)
    }

    /// The same by the object's head, which is all there is of one that cannot be read.
    pub fn delete_meta<K: Noun>(self, meta: &Meta<K>) -> Self {
        self.object(ObjectOp::Delete(Box::new(head(meta))))
    }

    /// Writes nothing, and holds only if the object is still of the generation that was read and is not marked for
    /// deletion: otherwise [`CommitError::Stale`], or `Gone`. For what the batch builds on. Preconditions are checked in
    /// the order given, between the writes.
    pub fn require<K: Noun>(self, meta: &Meta<K>) -> Self {
        self.object(ObjectOp::Require(Box::new(head(meta))))
    }

    /// Writes nothing, and holds only if no object of kind `K` refers to `target` at this place of the batch: otherwise
    /// [`CommitError::Referred`]. For what must not be taken from under somebody.
    pub fn require_unreferred<K: Noun>(self, target: Uuid) -> Self {
        self.object(ObjectOp::RequireUnreferred { kind: K::KIND, target })
    }

    /// Stores bytes encrypted. The key must be free: [`CommitError::AlreadySealed`].
    pub fn seal(
        mut self,
        organization: Id<Organization>,
        key: SealedKey,
        plain: Zeroizing<Vec<u8>>,
    ) -> Self {
        self.bytes += plain.len() + ROW_BYTES;
        self.other(OtherOp::Seal { organization, key, plain })
    }

    /// Deletes sealed bytes. None being there is fine.
    pub fn unseal_delete(self, key: SealedKey) -> Self {
        self.other(OtherOp::DeleteSealed(key))
    }

    /// [`Batch::seal`] for the values of a secret; `unseal_delete` is their end too.
    pub fn put_secret_values(
        self,
        organization: Id<Organization>,
        secret: Id<Secret>,
        version: u64,
        values: &SecretValues,
    ) -> Self {
        let key = SealedKey { owner: secret.uuid(), version };
        self.seal(organization, key, values.to_json())
    }

    /// Stores a blob, once. One that no object of this or an earlier batch holds may be swept at any time.
    pub fn put_blob(&mut self, bytes: Vec<u8>) -> BlobDigest {
        let digest = BlobDigest::of(&bytes);
        self.bytes += bytes.len() + ROW_BYTES;
        self.others.push(OtherOp::PutBlob { digest, bytes });
        digest
    }

    /// Stores a run whose id is new: otherwise [`CommitError::RunConflict`].
    pub fn insert_run(mut self, run: &RunRecord) -> Self {
        self.bytes += run.bytes();
        self.other(OtherOp::InsertRun(run.clone()))
    }

    /// Stores state, end and body of a run that is in state `expect`: otherwise [`CommitError::RunConflict`].
    pub fn update_run(mut self, run: &RunRecord, expect: RunState) -> Self {
        self.bytes += run.bytes();
        self.other(OtherOp::UpdateRun(run.clone(), expect))
    }

    /// How much it adds, roughly, in bytes; 0 if it only deletes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn check_size(&self) -> Result<(), CommitError> {
        let writes = self.objects.len() + self.others.len();
        let check = |what, found, limit| {
            if found > limit { Err(CommitError::TooLarge { what, found, limit }) } else { Ok(()) }
        };
        check("writes", writes, Self::WRITES_MAX)?;
        check("bytes", self.bytes, Self::BYTES_MAX)
    }

    fn object(mut self, op: ObjectOp) -> Self {
        if let ObjectOp::Create(row, _)
        | ObjectOp::UpdateSpec(row, _)
        | ObjectOp::UpdateStatus(row)
        | ObjectOp::UpdateStatusHolding(row, _) = &op
        {
            self.bytes += row.spec.len() + row.status.len() + row.tags.len() + ROW_BYTES;
        }
        self.objects.push(op);
        self
    }

    fn other(mut self, op: OtherOp) -> Self {
        self.others.push(op);
        self
    }
}

impl std::fmt::Debug for Batch {
    /// Without what is written: it may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let origin = match &self.origin {
            Origin::Request(audit) => audit.action.as_str(),
            Origin::System(reason) => reason,
        };
        let writes = self.objects.len() + self.others.len();
        f.debug_struct("Batch").field("origin", &origin).field("writes", &writes).finish()
    }
}

fn row<K: Noun>(object: &Object<K>) -> ObjectRow {
    ObjectRow {
        spec: to_stored::<K>(&object.spec),
        status: to_stored::<K>(&object.status),
        ..head(&object.meta)
    }
}

fn head<K: Noun>(meta: &Meta<K>) -> ObjectRow {
    ObjectRow {
        id: meta.id.uuid(),
        organization: meta.organization,
        kind: K::KIND,
        name: meta.name.clone(),
        generation: meta.generation,
        status_revision: meta.status_revision,
        created: meta.created,
        modified: meta.modified,
        deleting: meta.deleting,
        tags: serde_json::to_string(&meta.tags).expect("a map of texts is JSON"),
        spec: String::new(),
        status: String::new(),
    }
}

fn holds(refs: &[Uuid], blobs: &[BlobDigest]) -> Holds {
    Holds { refs: refs.to_vec(), blobs: blobs.to_vec() }
}
