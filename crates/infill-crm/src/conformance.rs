//! What any [`Crm`] must do, whatever the vendor: one suite, run by each vendor's tests.
//!
//! Every function returns the laws that were broken, one sentence each, and an empty list when all hold; the
//! caller asserts that it is empty. The first group is pure. The second makes calls and wants an account (a
//! simulator, recorded answers) whose records the caller knows.

use std::collections::BTreeSet;

use infill_model::property::{PropertyDef, PropertyKind};
use infill_model::slice::ResolvedSlice;
use infill_model::{ObjectType, PropertyName, RecordId, Value};

use crate::crm::{Account, Crm, Pull, Update, Written};
use crate::error::Error;

/// Collects the laws that do not hold.
#[derive(Debug, Default)]
struct Broken(Vec<String>);

impl Broken {
    fn unless(&mut self, holds: bool, law: impl FnOnce() -> String) {
        if !holds {
            self.0.push(law());
        }
    }
}

/// Looks that a listing or a job may take until it is over.
const MOST_LOOKS: usize = 100;

/// The sizes of batches and pages are usable, however many records a run has.
#[must_use]
pub fn limits(crm: &dyn Crm) -> Vec<String> {
    let mut broken = Broken::default();
    for n_records in [None, Some(0), Some(1), Some(1_000), Some(100_000), Some(u64::MAX)] {
        let limits = crm.limits(n_records);
        for (name, size) in [
            ("id_page", limits.id_page),
            ("read_batch", limits.read_batch),
            ("write_batch", limits.write_batch),
            ("calls_per_write", limits.calls_per_write),
        ] {
            broken.unless(size > 0, || format!("limits for {n_records:?}: {name} is at least 1"));
        }
        let is_whole = limits.write_call > 0 && limits.write_batch.is_multiple_of(limits.write_call.max(1));
        broken.unless(is_whole, || format!("limits for {n_records:?}: a batch is a whole number of calls"));
    }
    broken.0
}

/// Normalising is idempotent and does not tell an unset value from the empty text; what may be checked may be
/// normalised without becoming invalid.
#[must_use]
pub fn values(crm: &dyn Crm, properties: &[PropertyDef], values: &[Value]) -> Vec<String> {
    let mut broken = Broken::default();
    for property in properties {
        let name = &property.name;
        let empty = crm.normalize(property, &Value::String(String::new()));
        broken.unless(empty == crm.normalize(property, &Value::Null), || {
            format!("{name}: the empty text and null are one value")
        });
        for value in values {
            let once = crm.normalize(property, value);
            let twice = crm.normalize(property, &once);
            broken.unless(once == twice, || {
                format!("{name}: normalising {value} twice gives {twice}, once {once}")
            });
            if crm.check(property, value, &[]).is_ok() {
                broken.unless(crm.check(property, &once, &[]).is_ok(), || {
                    format!("{name}: {value} is accepted, and so must be its normal form {once}")
                });
            }
        }
    }
    broken.0
}

/// Options of an enumeration are accepted, anything else is refused with a code, a message and the property;
/// clearing is accepted wherever writing is.
#[must_use]
pub fn checks(crm: &dyn Crm, properties: &[PropertyDef]) -> Vec<String> {
    const NO_OPTION: &str = "surely no option of any property";
    let mut broken = Broken::default();
    for property in properties {
        let name = &property.name;
        if property.read_only.is_some() {
            broken.unless(crm.check(property, &Value::String("x".to_owned()), &[]).is_err(), || {
                format!("{name}: a read-only property accepts nothing")
            });
            continue;
        }
        broken.unless(crm.check(property, &Value::Null, &[]).is_ok(), || format!("{name}: may be cleared"));
        if !matches!(property.kind, PropertyKind::Enumeration | PropertyKind::MultiEnumeration) {
            continue;
        }
        for option in &property.options {
            broken.unless(crm.check(property, &Value::String(option.value.clone()), &[]).is_ok(), || {
                format!("{name}: its option {:?} is accepted", option.value)
            });
        }
        match crm.check(property, &Value::String(NO_OPTION.to_owned()), &[]) {
            Ok(()) => broken.unless(property.external_options, || {
                format!("{name}: a value that is none of its options is refused")
            }),
            Err(refusal) => {
                broken.unless(!property.external_options, || {
                    format!("{name}: options that live elsewhere cannot be refused here")
                });
                broken.unless(refusal.property.as_ref() == Some(name), || {
                    format!("{name}: a refusal names its property")
                });
                broken.unless(!refusal.code.is_empty() && !refusal.message.is_empty(), || {
                    format!("{name}: a refusal has a code and a message")
                });
            }
        }
    }
    broken.0
}

/// A record's address is HTTPS and names the record.
#[must_use]
pub fn record_address(
    crm: &dyn Crm,
    account: &Account,
    object: &ObjectType,
    record: &RecordId,
) -> Vec<String> {
    let mut broken = Broken::default();
    if let Some(address) = crm.record_address(account, object) {
        let url = address.of(record);
        broken.unless(url.starts_with("https://"), || format!("record_address: {url} is HTTPS"));
        broken.unless(url.contains(record.as_str()), || format!("record_address: {url} names {record}"));
    }
    broken.0
}

/// A listing has no id twice, pages within the limit, says the same when repeated, and can be resumed anywhere.
///
/// Values that it brings are those of its records, with every property asked for and no other.
///
/// # Errors
/// When a call fails.
pub async fn listing(crm: &dyn Crm, slice: &ResolvedSlice, pull: &Pull) -> Result<Vec<String>, Error> {
    let mut broken = Broken::default();
    let most = crm.limits(slice.size).id_page;
    let mut pages = Vec::new();
    let mut cursor = None;
    let mut n_looks = 0;
    loop {
        let page = crm.list(slice, pull, cursor.as_ref()).await?;
        if page.after.is_some() {
            n_looks += 1;
            broken.unless(n_looks <= MOST_LOOKS, || "listing: it never gets ready".to_owned());
            broken.unless(page.records.is_empty(), || "listing: a page to come has records".to_owned());
            broken.unless(page.next.is_some(), || "listing: a page to come has no place".to_owned());
            cursor = page.next;
            if cursor.is_none() || n_looks > MOST_LOOKS {
                return Ok(broken.0);
            }
            continue;
        }
        let size = u32::try_from(page.records.len()).unwrap_or(u32::MAX);
        broken.unless(size <= most, || format!("listing: a page holds {size} ids"));
        if let Some(values) = &page.values {
            let wanted: BTreeSet<&PropertyName> = pull.properties.iter().collect();
            let n_values = values.properties.len();
            broken.unless(n_values == page.records.len(), || {
                format!("listing: {n_values} records have values")
            });
            let is_wanted =
                values.properties.iter().all(|found| found.keys().collect::<BTreeSet<_>>() == wanted);
            broken.unless(is_wanted, || format!("listing: values are of others than {wanted:?}"));
        }
        // A listing that begins with a job begins with another one each time.
        if cursor.is_some() || page.values.is_none() {
            let again = crm.list(slice, pull, cursor.as_ref()).await?;
            broken.unless(page == again, || format!("listing: the page at {cursor:?} differs when repeated"));
        }
        cursor.clone_from(&page.next);
        pages.push(page.records);
        if cursor.is_none() {
            break;
        }
    }
    let ids: Vec<RecordId> = pages.concat();
    let distinct: BTreeSet<&RecordId> = ids.iter().collect();
    broken.unless(distinct.len() == ids.len(), || "listing: an id comes twice".to_owned());
    if let Some(size) = slice.size {
        let counted = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        broken.unless(size == counted, || format!("listing: {size} announced, {counted} listed"));
    }
    Ok(broken.0)
}

/// A read accounts for every id once, as found or as gone, with every property asked for and no other.
///
/// # Errors
/// When the call fails.
pub async fn reading(
    crm: &dyn Crm,
    object: &ObjectType,
    records: &[RecordId],
    properties: &[PropertyName],
) -> Result<Vec<String>, Error> {
    let mut broken = Broken::default();
    let answer = crm.read(object, records, properties).await?;
    let asked: BTreeSet<&RecordId> = records.iter().collect();
    let found: Vec<&RecordId> =
        answer.records.iter().map(|record| &record.id).chain(answer.gone.iter().map(|(id, _)| id)).collect();
    let accounted: BTreeSet<&RecordId> = found.iter().copied().collect();
    broken.unless(accounted == asked, || format!("reading: asked {asked:?}, accounted for {accounted:?}"));
    broken.unless(accounted.len() == found.len(), || "reading: an id is accounted for twice".to_owned());
    let wanted: BTreeSet<&PropertyName> = properties.iter().collect();
    for record in &answer.records {
        let got: BTreeSet<&PropertyName> = record.properties.keys().collect();
        broken.unless(got == wanted, || format!("reading: {} has {got:?}, asked {wanted:?}", record.id));
    }
    Ok(broken.0)
}

/// A write answers only for what went in, and for each record at most once; only one that leaves records out was cut short.
///
/// # Errors
/// When the call fails or the batch is refused.
pub async fn writing(
    crm: &dyn Crm,
    object: &ObjectType,
    targets: &[&PropertyDef],
    updates: &[Update],
) -> Result<Vec<String>, Error> {
    let mut broken = Broken::default();
    let mut job = None;
    let mut n_looks = 0;
    let answer = loop {
        match crm.write(object, targets, updates, job.as_ref()).await? {
            Written::Answered(answer) => break answer,
            Written::Later { .. } if n_looks > MOST_LOOKS => {
                broken.0.push("writing: its job never ends".to_owned());
                return Ok(broken.0);
            }
            Written::Later { job: kept, .. } => {
                while n_looks <= MOST_LOOKS && crm.look(&kept).await?.is_some() {
                    n_looks += 1;
                }
                n_looks += 1;
                job = Some(kept);
            }
        }
    };
    let sent: BTreeSet<&RecordId> = updates.iter().map(|update| &update.record).collect();
    let answered: Vec<&RecordId> = answer
        .confirmed
        .iter()
        .chain(answer.refused.iter().map(|(id, _)| id))
        .chain(answer.gone.iter().map(|(id, _)| id))
        .collect();
    let distinct: BTreeSet<&RecordId> = answered.iter().copied().collect();
    broken.unless(distinct.is_subset(&sent), || format!("writing: sent {sent:?}, answered {distinct:?}"));
    broken.unless(distinct.len() == answered.len(), || "writing: a record is answered for twice".to_owned());
    broken.unless(answer.cut_short.is_none() || distinct.len() < sent.len(), || {
        "writing: cut short, and yet every record has an answer".to_owned()
    });
    Ok(broken.0)
}
