//! The stage `source-sync`: lists and freezes the ids of the slice page by page, reads the inputs and the target properties, and
//! stores rows with before-images, cut into batches.
//!
//! Ids are frozen before anything is written, because a write can move records out of an active list.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use infill_crm::{Crm, Cursor, Record};
use infill_model::message::Work;
use infill_model::row::Gone;
use infill_model::slice::{Readiness, ResolvedSlice};
use infill_model::{BatchNo, ChunkNo, Properties, PropertyName, RecordId, Row};
use infill_rules::batch::Cut;
use infill_store::store::{Listing, ListingStep, NewBatch, Run};

use crate::context::Context;
use crate::verdict::{Failure, Verdict};

/// Pages listed per message; then the message goes round, so that a long listing shares the worker.
const PAGES_PER_MESSAGE: usize = 20;

/// Reads of one chunk under way at once.
const READS_AT_ONCE: usize = 4;

/// How long until a list that is still processing is asked about again.
const PROCESSING_RECHECK: Duration = Duration::from_secs(10);

/// How a run is cut, by its plan and its CRM.
#[must_use]
pub fn cut(run: &Run, crm: &dyn Crm) -> Cut {
    let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    Cut { canary: size(run.plan.canary), write_batch: size(crm.limits().write_batch) }
}

/// Lists from where the stored listing stands.
///
/// # Errors
/// As the CRM and the store.
pub async fn list(context: &Context, run: &Run, redelivered: bool) -> Result<Verdict, Failure> {
    if redelivered && !run.listing.done {
        // Whoever had the message may have claimed chunks without publishing them.
        crate::advance::move_on(context, run.clone(), &claimant(run.listing.chunks)).await?;
    }
    if run.listing.done {
        return Ok(Verdict::Complete);
    }
    let crm = context.connections.crm(&run.plan.connection).await?;
    let slice = match resolve(context, run, crm.as_ref()).await? {
        Ok(slice) => slice,
        Err(verdict) => return Ok(verdict),
    };
    let cut = cut(run, crm.as_ref());
    let mut listing = run.listing.clone();
    for _ in 0..PAGES_PER_MESSAGE {
        let cursor = listing.cursor.clone().map(Cursor);
        let page = crm.list_ids(&slice, cursor.as_ref()).await?;
        let (step, n_duplicates) = take_page(&listing, page.records, page.next, run.cap, cut);
        if n_duplicates > 0 {
            let text = format!("{n_duplicates} ids came twice in the listing and are worked on once");
            context.store.warn_run(run.id, &text).await?;
        }
        listing.clone_from(&step.to);
        let cut_chunks = !step.chunks.is_empty();
        if !context.store.freeze(run.id, &step).await? {
            // Another delivery of this message is listing too and is ahead.
            return Ok(Verdict::Drop);
        }
        if listing.done {
            return Ok(Verdict::Complete);
        }
        if cut_chunks && let Some(now) = context.store.run(run.id).await? {
            crate::advance::move_on(context, now, &claimant(listing.chunks)).await?;
        }
    }
    Ok(Verdict::Then(Work::SourceSync { chunk: None }))
}

/// Who claims after a step of the listing that ended with so many chunks.
pub(crate) fn claimant(chunks: u32) -> String {
    format!("list:{chunks}")
}

async fn resolve(
    context: &Context,
    run: &Run,
    crm: &dyn Crm,
) -> Result<Result<ResolvedSlice, Verdict>, Failure> {
    if let Some(slice) = &run.slice
        && slice.readiness == Readiness::Ready
    {
        return Ok(Ok(slice.clone()));
    }
    let Some(selection) = run.plan.source.selection() else {
        return Ok(Err(Verdict::Drop));
    };
    let slice = crm.resolve(&run.plan.source.object, &selection).await?;
    context.store.save_slice(run.id, &slice).await?;
    Ok(match slice.readiness {
        Readiness::Ready => Ok(slice),
        Readiness::Processing => {
            let now = context.clock.now();
            Err(Verdict::Wait {
                until: now.saturating_add(PROCESSING_RECHECK).unwrap_or(now),
                why: format!("{} is still being computed by the CRM", slice.label),
            })
        }
    })
}

/// Takes one page into the listing: drops ids that came before, applies the cap, cuts chunks.
fn take_page(
    listing: &Listing,
    page: Vec<RecordId>,
    next: Option<Cursor>,
    cap: Option<u64>,
    cut: Cut,
) -> (ListingStep, usize) {
    let from = (listing.ids, listing.chunks);
    let n_page = page.len();
    let mut fresh = Vec::with_capacity(n_page);
    let mut last = listing.last.clone();
    for id in page {
        if last.as_ref().is_none_or(|last| comes_after(&id, last)) {
            last = Some(id.clone());
            fresh.push(id);
        }
    }
    let n_duplicates = n_page.saturating_sub(fresh.len());
    let room = cap.map_or(u64::MAX, |cap| cap.saturating_sub(listing.ids));
    fresh.truncate(usize::try_from(room).unwrap_or(usize::MAX));
    let ids = listing.ids.saturating_add(fresh.len().try_into().unwrap_or(u64::MAX));
    let done = next.is_none() || cap.is_some_and(|cap| ids >= cap);
    let mut tail = listing.tail.clone();
    tail.extend(fresh);
    let (chunks, tail) = cut.chunks(tail, listing.chunks, done);
    let n_chunks = listing.chunks.saturating_add(chunks.len().try_into().unwrap_or(u32::MAX));
    let cursor = if done { None } else { next.map(|cursor| cursor.0) };
    (
        ListingStep { from, to: Listing { cursor, done, ids, chunks: n_chunks, tail, last }, chunks },
        n_duplicates,
    )
}

/// Whether `id` comes after `last`: by number where both are numbers, else it is only not the same.
fn comes_after(id: &RecordId, last: &RecordId) -> bool {
    match (id.as_str().parse::<u64>(), last.as_str().parse::<u64>()) {
        (Ok(id), Ok(last)) => id > last,
        _ => id != last,
    }
}

/// Reads the values of one chunk and stores them as batches.
///
/// # Errors
/// As the CRM and the store.
pub async fn read_chunk(context: &Context, run: &Run, no: ChunkNo) -> Result<Verdict, Failure> {
    let Some(chunk) = context.store.chunk(run.id, no).await? else { return Ok(Verdict::Drop) };
    if chunk.read {
        return Ok(Verdict::Complete);
    }
    let crm = context.connections.crm(&run.plan.connection).await?;
    let properties = properties(run);
    let pulled_at = context.clock.now();
    let object = &run.plan.source.object;
    let size = usize::try_from(crm.limits().read_batch.max(1)).unwrap_or(usize::MAX);
    let reads: Vec<_> = chunk.records.chunks(size).map(|ids| crm.read(object, ids, &properties)).collect();
    let answers: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut records: HashMap<RecordId, Record> = HashMap::with_capacity(chunk.records.len());
    let mut gone: HashMap<RecordId, Gone> = HashMap::new();
    for answer in answers {
        records.extend(answer.records.into_iter().map(|record| (record.id.clone(), record)));
        gone.extend(answer.gone);
    }
    let rows: Vec<Row> = chunk
        .records
        .into_iter()
        .map(|id| match records.remove(&id) {
            Some(record) => row(run, record),
            None => {
                let gone = gone.remove(&id).unwrap_or(Gone { survivor: None });
                Row { record: id, inputs: Properties::new(), before: Properties::new(), gone: Some(gone) }
            }
        })
        .collect();
    let batches: Vec<NewBatch> = cut(run, crm.as_ref())
        .batches(no.0, rows)
        .into_iter()
        .map(|(no, rows)| NewBatch { no: BatchNo(no), rows, pulled_at })
        .collect();
    context.store.store_chunk(run.id, no, &batches, context.clock.now()).await?;
    Ok(Verdict::Complete)
}

/// Exactly what is needed: the inputs and the targets.
fn properties(run: &Run) -> Vec<PropertyName> {
    let targets = run.plan.writeback.properties.iter().map(|write| &write.name);
    let all: BTreeSet<&PropertyName> = run.plan.inputs.iter().chain(targets).collect();
    all.into_iter().cloned().collect()
}

fn row(run: &Run, record: Record) -> Row {
    let Record { id, mut properties } = record;
    let before: Properties = run
        .plan
        .writeback
        .properties
        .iter()
        .map(|write| (write.name.clone(), properties.get(&write.name).cloned().unwrap_or_default()))
        .collect();
    let inputs = run
        .plan
        .inputs
        .iter()
        .map(|name| (name.clone(), properties.remove(name).unwrap_or_default()))
        .collect();
    Row { record: id, inputs, before, gone: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<u64>) -> Vec<RecordId> {
        range.map(|id| RecordId::from(id.to_string())).collect()
    }

    const CUT: Cut = Cut { canary: 5, write_batch: 100 };

    #[test]
    fn pages_become_chunks_and_the_rest_waits_in_the_tail() {
        let next = Some(Cursor("x".into()));
        let (step, _) = take_page(&Listing::default(), ids(1..1_251), next, None, CUT);
        assert_eq!((step.to.ids, step.to.chunks, step.to.tail.len()), (1_250, 1, 245));
        assert_eq!(step.chunks[0].len(), 1_005);
        let (last, _) = take_page(&step.to, ids(1_251..1_300), None, None, CUT);
        assert!(last.to.done && last.to.tail.is_empty());
        assert_eq!((last.from, last.to.ids, last.chunks[0].len()), ((1_250, 1), 1_299, 294));
    }

    #[test]
    fn a_cap_ends_the_listing() {
        let next = Some(Cursor("x".into()));
        let (step, _) = take_page(&Listing::default(), ids(1..251), next, Some(5), CUT);
        assert!(step.to.done);
        assert_eq!((step.to.ids, step.to.cursor.as_ref(), step.chunks[0].len()), (5, None, 5));
    }

    #[test]
    fn an_id_that_comes_again_is_taken_once_and_counted() {
        let (step, _) = take_page(&Listing::default(), ids(1..4), Some(Cursor("x".into())), None, CUT);
        let (step, n_duplicates) = take_page(&step.to, ids(3..6), None, None, CUT);
        assert_eq!((step.to.ids, n_duplicates), (5, 1));
        assert!(comes_after(&"10".into(), &"9".into()));
    }
}
