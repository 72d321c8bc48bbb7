//! The seam between Infill and one vendor.
//!
//! Shaped so that three kinds of vendor fit without a special case above it: batch sizes are data
//! ([`Limits`]), answers are matched by record id and never by position, and a row is confirmed only when its own id was seen
//! in the answer.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use infill_model::letter::RecordAddress;
use infill_model::property::PropertyDef;
use infill_model::row::Gone;
use infill_model::slice::{ResolvedSlice, Selection};
use infill_model::{ListId, ObjectType, Properties, PropertyName, RecordId, Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::action::{self, ActionCall, ActionPlan, Outputs, Unfit};
use crate::error::Error;
use crate::exchanged::Exchanged;

/// One account in one CRM.
///
/// Every method spends from the connection's quota before each call and may return
/// [`infill_model::Class::Throttled`] with the moment to come back at.
#[async_trait]
pub trait Crm: Send + Sync + Debug {
    /// Which account the credentials reach, its time zone and its limits.
    async fn account(&self) -> Result<Account, Error>;

    /// Tells the account's time zone (an IANA name) to a connector that has not asked for it: the vendor may not say any more
    /// when the day begins anew once it is spent. Not needed by vendors without a day's budget.
    fn learn_time_zone(&self, _name: &str) {}

    /// The sizes for a run of about so many records; `None` when nobody knows how many they are. What a run's batches are cut
    /// to is asked once and kept with the run.
    fn limits(&self, n_records: Option<u64>) -> Limits;

    /// The live definitions of an object's properties.
    async fn catalog(&self, object: &ObjectType) -> Result<Catalog, Error>;

    /// Adds to definitions out of the catalog what is not asked for every property of an object: the options of each kind of
    /// record ([`PropertyDef::options_by`]).
    async fn complete(
        &self,
        _object: &ObjectType,
        properties: Vec<PropertyDef>,
    ) -> Result<Vec<PropertyDef>, Error> {
        Ok(properties)
    }

    /// The properties that tell which options a record takes of these. They are read with every row, so that [`Crm::check`] knows
    /// them. Asked once for a run, before its first page.
    async fn deciding(
        &self,
        _object: &ObjectType,
        _properties: &[PropertyName],
    ) -> Result<Vec<PropertyName>, Error> {
        Ok(Vec::new())
    }

    /// The lists (or what the vendor calls them) of the account.
    async fn lists(&self) -> Result<Vec<ListInfo>, Error>;

    /// Finds the slice and checks that it exists and holds records of `object`. Asked again when it is still
    /// processing.
    async fn resolve(&self, object: &ObjectType, selection: &Selection) -> Result<ResolvedSlice, Error>;

    /// One page of the slice, from `cursor` on, in ascending and repeatable order. It may bring the values that are asked for
    /// along with the ids, and it may be empty for now: see [`Page::after`].
    async fn list(&self, slice: &ResolvedSlice, pull: &Pull, cursor: Option<&Cursor>) -> Result<Page, Error>;

    /// Reads at most [`Limits::read_batch`] records by id. Every id asked for is in the answer, as a record or
    /// as gone; a record merged into another is gone with its survivor.
    async fn read(
        &self,
        object: &ObjectType,
        records: &[RecordId],
        properties: &[PropertyName],
    ) -> Result<ReadAnswer, Error>;

    /// Updates at most [`Limits::write_batch`] records by id, in as many calls as the vendor needs; can never create
    /// one. `targets` defines at least the properties of the updates, as the run found them when it was configured.
    ///
    /// A vendor may take the updates as a job and answer later. Making a job has no effect on any record; it is given back to be
    /// kept, and nothing is sent to it before this is called again with it. Then it is called with the same updates and the job
    /// whenever [`Crm::look`] says so, until it answers: by whoever comes, after a crash at any instant. An update that the job
    /// does not know is left out of the answer.
    ///
    /// # Errors
    /// When no record has an answer: the vendor refused the batch as a whole ([`infill_model::Class::Rejected`], with
    /// the guilty records named where the vendor names them), or the call failed. [`Error::delivery`] says whether the
    /// vendor may have committed. When some records have an answer and then a call fails, that is no error of the whole
    /// but [`WriteAnswer::cut_short`]. An error about a job leaves the job as it was: it is asked again.
    async fn write(
        &self,
        object: &ObjectType,
        targets: &[&PropertyDef],
        updates: &[Update],
        job: Option<&Job>,
    ) -> Result<Written, Error>;

    /// How long to leave a job alone that is under way; `None` when [`Crm::write`] gets on with it now. Spares whoever waits
    /// for a job from loading its rows.
    async fn look(&self, _job: &Job) -> Result<Option<Duration>, Error> {
        Ok(None)
    }

    /// The value as the vendor stores it, so that what was sent and what is read back compare equal. Pure.
    fn normalize(&self, property: &PropertyDef, value: &Value) -> Value;

    /// Checks a value before any call is spent on it: an option that does not exist, text that is no
    /// number. `known` is what is known of the record: what is wanted, then what was read; nothing where the value is for any
    /// record. Pure.
    ///
    /// # Errors
    /// The refusal the vendor would have answered with, in our words.
    fn check(&self, property: &PropertyDef, value: &Value, known: &[&Properties]) -> Result<(), Refusal>;

    /// The record that an update of this one locks as well, where what is known of it tells: what is wanted, then what was read. Rows
    /// that share one are sent side by side, so that they wait for each other as little as the vendor allows. Pure.
    fn parent(&self, _known: &[&Properties]) -> Option<RecordId> {
        None
    }

    /// Checks an action of a plan against the live account: its objects and fields are there and may be written, literal values
    /// are allowed. What it found is kept with the run and handed back with every call; opaque to everyone else.
    ///
    /// # Errors
    /// Every fault at once; that of an action of another vendor, when this one performs none.
    async fn prepare(&self, action: &ActionPlan<'_>) -> Result<String, Unfit> {
        Err(action::not_performed(action.kind))
    }

    /// Performs an action for one row.
    ///
    /// # Errors
    /// `rejected`, `gone` or `conflict` when the row is at fault; any other class is of the call, and the row may go again.
    async fn perform(&self, call: &ActionCall<'_>) -> Result<Outputs, Error> {
        Err(action::unprepared(call.kind))
    }

    /// Where a person opens records of this kind, where the account tells.
    fn record_address(&self, account: &Account, object: &ObjectType) -> Option<RecordAddress>;
}

/// An account, as the CRM describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The vendor's id of it (a HubSpot portal id).
    pub id: String,
    /// What to show a person.
    pub label: String,
    /// IANA time zone; the day's budget starts anew at its midnight.
    pub time_zone: String,
    /// Host of the vendor's screens.
    pub ui_domain: Option<String>,
    /// Calls allowed in a day, where the vendor says.
    pub daily_limit: Option<u64>,
    /// Calls already spent today by everyone, where the vendor says.
    pub daily_used: Option<u64>,
}

impl Account {
    /// Calls left today, where the vendor says.
    #[must_use]
    pub fn left_today(&self) -> Option<u64> {
        Some(self.daily_limit?.saturating_sub(self.daily_used?))
    }
}

/// The largest sizes, in records: what one message handles, in one call where the vendor takes that, else in several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ids on one page of a listing.
    pub id_page: u32,
    /// Whether a listing brings the values along, so that nothing is read besides.
    pub lists_values: bool,
    /// Records in one read.
    pub read_batch: u32,
    /// Records in one write: the size batches are cut to.
    pub write_batch: u32,
    /// Records that one call of a write takes: a whole batch, or one where each record is a call of its own.
    pub write_call: u32,
    /// Calls that writing so many takes: one, or those of a job.
    pub calls_per_write: u32,
    /// Calls a run makes at most besides those for rows: for the account, the catalog, the slice.
    pub looks: u32,
    /// What calls cost.
    pub costs: Costs,
}

/// What calls cost of the day, in the vendor's units; for forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// A page of ids.
    pub list: u32,
    /// A read.
    pub read: u32,
    /// A call of a write.
    pub write: u32,
}

impl Costs {
    /// Every call counts as one.
    pub const CALLS: Self = Self { list: 1, read: 1, write: 1 };
}

/// Properties of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The object.
    pub object: ObjectType,
    /// Every property the credentials may see, sorted by name.
    pub properties: Vec<PropertyDef>,
}

impl Catalog {
    /// The definition of a name, exactly as spelt.
    #[must_use]
    pub fn get(&self, name: &PropertyName) -> Option<&PropertyDef> {
        self.properties.binary_search_by(|def| def.name.cmp(name)).ok().and_then(|i| self.properties.get(i))
    }
}

/// A list in the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListInfo {
    /// Its id.
    pub id: ListId,
    /// Its name.
    pub name: String,
    /// The kind of record it holds.
    pub object: ObjectType,
    /// The vendor's word for its kind: `static`, `active`, `snapshot`.
    pub kind: String,
    /// How many records, where the vendor says.
    pub size: Option<u64>,
}

/// A place to resume a listing from; opaque to all but the vendor's crate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// What is pulled of a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pull {
    /// The properties whose values are wanted, where a listing can bring them; none when ids are all that is wanted.
    pub properties: Vec<PropertyName>,
    /// At most this many records, from the start of the slice on.
    pub most: Option<u64>,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The ids, ascending.
    pub records: Vec<RecordId>,
    /// Their values, where the listing brings them.
    pub values: Option<Values>,
    /// Where to go on; `None` on the last page.
    pub next: Option<Cursor>,
    /// The vendor is still computing what comes next: ask again with `next` after so long. Until then there are no records.
    pub after: Option<Duration>,
}

impl Page {
    /// A page of nothing but ids.
    #[must_use]
    pub const fn of_ids(records: Vec<RecordId>, next: Option<Cursor>) -> Self {
        Self { records, values: None, next, after: None }
    }
}

/// The values that a listing brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// They may have changed since this moment.
    pub as_of: Timestamp,
    /// For each record of the page, at its place, the properties asked for; one the record does not have is `Null`.
    pub properties: Vec<Properties>,
}

/// One record as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// The properties asked for; one the record does not have is `Null`.
    pub properties: Properties,
    /// When the record was last changed, where the vendor says.
    pub changed: Option<Changed>,
}

/// The last change of a record: of any property, by anyone, the vendor's own automation included. Told to a person who looks into a
/// conflict; it proves none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// When.
    pub at: Timestamp,
    /// The vendor's id of the user who did it, where the vendor says.
    pub by: Option<String>,
}

/// The answer to a read: together, every id asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadAnswer {
    /// What was found.
    pub records: Vec<Record>,
    /// What was not.
    pub gone: Vec<(RecordId, Gone)>,
}

/// The new values of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The record.
    pub record: RecordId,
    /// Properties to set; `Null` clears.
    pub properties: Properties,
}

/// A write that the vendor carries out by itself and tells of when asked; opaque to all but the vendor's crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job(pub String);

/// What came of handing over updates.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each batch, and it is taken apart where it is given"
)]
pub enum Written {
    /// The vendor has answered.
    Answered(WriteAnswer),
    /// Hand over the same updates again, with this job, once it is kept.
    Later {
        /// The job.
        job: Job,
        /// How long it is left alone; zero: at once.
        after: Duration,
    },
}

impl Written {
    /// The answer, when there is one.
    #[must_use]
    pub fn answered(self) -> Option<WriteAnswer> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::Later { .. } => None,
        }
    }
}

/// The answer to a write that was not refused as a whole.
///
/// An id that went in and is in none of the three lists was left out: unconfirmed, to be read back, unless the write was
/// cut short by an error whose [`Error::delivery`] is `Refused`; then it certainly was not written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteAnswer {
    /// Ids the vendor says it updated.
    pub confirmed: Vec<RecordId>,
    /// Records the vendor refused, each with its words.
    pub refused: Vec<(RecordId, Refusal)>,
    /// Records that are no longer there.
    pub gone: Vec<(RecordId, Gone)>,
    /// What stopped the write before every record had its answer.
    pub cut_short: Option<Error>,
    /// The calls in which records were refused, as they went over the wire.
    pub exchanged: Vec<Exchanged>,
}

/// Why one record's values are not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The vendor's code, or ours from a check before the call.
    pub code: String,
    /// The vendor's message, or ours; says what to change.
    pub message: String,
    /// The property at fault, where known.
    pub property: Option<PropertyName>,
    /// The vendor's correlation id.
    pub correlation_id: Option<String>,
}
