//! The stage `source-sync`: lists and freezes the ids of the slice page by page, reads the inputs and the target properties, and
//! stores rows with before-images, cut into batches.
//!
//! Ids are frozen before anything is written, because a write can move records out of an active list.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use infill_crm::{Crm, Cursor, Page, Pull, Record, Values};
use infill_model::message::Work;
use infill_model::plan::Only;
use infill_model::row::Gone;
use infill_model::slice::{Readiness, ResolvedSlice, Supplied, Supply};
use infill_model::{BatchNo, ChunkNo, Properties, PropertyName, RecordId, Row, Timestamp};
use infill_rules::batch::Cut;
use infill_rules::sample;
use infill_store::store::{Listing, ListingStep, NewBatch, Run};

use crate::context::Context;
use crate::verdict::{Failure, Verdict};
use crate::{seen, supplied};

/// Pages listed per message; then the message goes round, so that a long listing shares the worker.
const PAGES_PER_MESSAGE: usize = 20;

/// Reads of one chunk under way at once.
const READS_AT_ONCE: usize = 4;

/// How long until a list that is still processing is asked about again.
const PROCESSING_RECHECK: Duration = Duration::from_secs(10);

/// How a run is cut, by its plan, how far its listing is, and what was decided when that began.
#[must_use]
pub fn cut(run: &Run, listing: &Listing, crm: &dyn Crm) -> Cut {
    let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    // Lines of a file that cannot be used say nothing about the plan: they are no part of the canary. They come last, so the
    // number of lines left out is known for good before the first of them could be.
    let n_sound = |supply: Supply| supply.n_sound.saturating_sub(listing.left_out);
    let most = supplied::supply(run).map_or(usize::MAX, |supply| size_of(n_sound(supply)));
    let write_batch = listing.write_batch.unwrap_or_else(|| crm.limits(None).write_batch);
    Cut { canary: size(run.plan.canary).min(most), write_batch: size(write_batch) }
}

/// The listing of a run, with the size of its batches and what is read besides decided before its first page.
async fn listing(run: &Run, slice: &ResolvedSlice, crm: &dyn Crm) -> Result<Listing, infill_crm::Error> {
    let listing = run.listing.clone();
    if listing != Listing::default() {
        return Ok(listing);
    }
    let most = most(run);
    let n_records = slice.size.map(|size| most.map_or(size, |most| size.min(most))).or(most);
    let targets: Vec<PropertyName> = targets(run).cloned().collect();
    let besides = match run.plan.source.undoes {
        None => crm.deciding(&run.plan.source.object, &targets).await?,
        // What is put back was there before, and is not checked.
        Some(_) => Vec::new(),
    };
    Ok(Listing { write_batch: Some(crm.limits(n_records).write_batch), besides, ..listing })
}

/// At most this many rows: by the run's cap and by the plan's sample.
pub(crate) fn most(run: &Run) -> Option<u64> {
    run.cap.into_iter().chain(run.plan.source.sample).min()
}

fn size_of(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
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
    let mut listing = listing(run, &slice, crm.as_ref()).await?;
    let mut held = Held::default();
    // Where the CRM tells the size, whoever started the run knows already what a cap cuts off; but not how many are new.
    let is_size_told = slice.size.is_some() && run.plan.source.only != Some(Only::New);
    let is_size_untold = !is_size_told && run.plan.source.sample.is_none();
    for _ in 0..PAGES_PER_MESSAGE {
        let mut page = next_page(context, run, crm.as_ref(), &slice, &listing).await?;
        held.take(&mut page);
        let after = page.after;
        let n_left_out = leave_out_seen(context, run, &mut page).await?;
        listing.left_out = listing.left_out.saturating_add(n_left_out);
        let cut = cut(run, &listing, crm.as_ref());
        if let Some(cap) = run.cap
            && is_size_untold
            && cuts(cap, &listing, &page)
        {
            let text = format!("capped at {cap} records; the slice goes on, and the rest is not touched");
            context.store.warn_run(run.id, &text).await?;
        }
        let step = match run.plan.source.sample {
            None => take_page(&listing, page, run.cap, cut),
            Some(_) => draw_page(&listing, page, &run.plan.name, size_of(most(run).unwrap_or(u64::MAX)), cut),
        };
        listing.clone_from(&step.to);
        let cut_chunks = !step.chunks.is_empty();
        if !context.store.freeze(run.id, &step).await? {
            // Another delivery of this message is listing too and is ahead.
            return Ok(Verdict::Drop);
        }
        for (no, records) in (step.from.1..).zip(step.chunks) {
            // One whose values did not all come along is claimed and read.
            if let Some((as_of, found)) = held.take_chunk(records) {
                let record = |(id, properties)| Record { id, properties, changed: None };
                let rows = found
                    .into_iter()
                    .map(|found| row(run, &listing, record(found), Properties::new()))
                    .collect();
                store_rows(context, run, ChunkNo(no), cut, rows, as_of).await?;
            }
        }
        held.keep(&listing.tail);
        if let Some(after) = after {
            let now = context.clock.now();
            let why = format!("{} is still being listed by the CRM", slice.label);
            return Ok(Verdict::Wait { until: now.saturating_add(after).unwrap_or(now), why });
        }
        if listing.done {
            return Ok(Verdict::Complete);
        }
        if cut_chunks && let Some(now) = context.store.run(run.id).await? {
            if now.is_paused() {
                return Ok(Verdict::Drop);
            }
            crate::advance::move_on(context, now, &claimant(listing.chunks)).await?;
        }
    }
    Ok(Verdict::Then(Work::SourceSync { chunk: None }))
}

/// The next ids of the slice, without those that were listed before.
async fn next_page(
    context: &Context,
    run: &Run,
    crm: &dyn Crm,
    slice: &ResolvedSlice,
    listing: &Listing,
) -> Result<Fresh, Failure> {
    let cursor = listing.cursor.clone().map(Cursor);
    if supplied::supply(run).is_some() {
        let Page { records, next, .. } = supplied::page(context, run, cursor.as_ref()).await?;
        return Ok(Fresh { records, values: None, next, after: None, last: None });
    }
    let page = crm.list(slice, &pull(run, listing), cursor.as_ref()).await?;
    let n_page = page.records.len();
    let fresh = drop_repeated(listing.last.clone(), page);
    let n_repeated = n_page.saturating_sub(fresh.records.len());
    if n_repeated > 0 {
        let text = format!("{n_repeated} ids came twice in the listing and are worked on once");
        context.store.warn_run(run.id, &text).await?;
    }
    Ok(fresh)
}

/// Drops ids that an earlier run has seen, if the plan takes new ones alone; says how many.
async fn leave_out_seen(context: &Context, run: &Run, page: &mut Fresh) -> Result<u64, Failure> {
    let seen = seen::left_out(context, run, &page.records).await?;
    page.records.retain(|id| !seen.contains(id));
    Ok(seen.len().try_into().unwrap_or(u64::MAX))
}

/// What a listing is asked for. The values of a sample are read once it is drawn; how many records hold the new ones, nobody
/// knows beforehand.
fn pull(run: &Run, listing: &Listing) -> Pull {
    let source = &run.plan.source;
    match source.sample {
        None => Pull {
            properties: properties(run, listing),
            most: run.cap.filter(|_| source.only != Some(Only::New)),
        },
        Some(_) => Pull::default(),
    }
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

/// A page of ids, none of which was listed before.
#[derive(Debug)]
struct Fresh {
    records: Vec<RecordId>,
    /// Their values, where they came along.
    values: Option<Values>,
    next: Option<Cursor>,
    /// There is nothing yet: ask again after so long.
    after: Option<Duration>,
    /// The last id listed, where listings ascend.
    last: Option<RecordId>,
}

/// Drops ids that came before. Listings of a CRM ascend.
fn drop_repeated(mut last: Option<RecordId>, page: Page) -> Fresh {
    let Page { mut records, mut values, next, after } = page;
    let mut is_fresh = Vec::with_capacity(records.len());
    for id in &records {
        is_fresh.push(last.as_ref().is_none_or(|last| comes_after(id, last)));
        if is_fresh.last() == Some(&true) {
            last = Some(id.clone());
        }
    }
    retain(&mut records, &is_fresh);
    if let Some(values) = &mut values {
        retain(&mut values.properties, &is_fresh);
    }
    Fresh { records, values, next, after, last }
}

/// Keeps the items at the places that say so.
fn retain<T>(items: &mut Vec<T>, keeps: &[bool]) {
    let mut keeps = keeps.iter();
    items.retain(|_| keeps.next() == Some(&true));
}

/// Values that came along with ids, until their chunk is full. What is not held is read, so that nothing hangs on it.
#[derive(Debug, Default)]
struct Held {
    as_of: Option<Timestamp>,
    records: HashMap<RecordId, Properties>,
}

impl Held {
    /// Takes the values out of a page.
    fn take(&mut self, page: &mut Fresh) {
        let Some(Values { as_of, properties }) = page.values.take() else { return };
        self.as_of = Some(self.as_of.map_or(as_of, |known| known.min(as_of)));
        self.records.extend(page.records.iter().cloned().zip(properties));
    }

    /// The values of a chunk, if those of all its records are here, and since when they may have changed.
    fn take_chunk(&mut self, chunk: Vec<RecordId>) -> Option<(Timestamp, Vec<(RecordId, Properties)>)> {
        let as_of = self.as_of?;
        if !chunk.iter().all(|id| self.records.contains_key(id)) {
            return None;
        }
        Some((as_of, chunk.into_iter().filter_map(|id| self.records.remove_entry(&id)).collect()))
    }

    /// Forgets all but these.
    fn keep(&mut self, tail: &[RecordId]) {
        if self.records.len() > tail.len() {
            let tail: HashSet<&RecordId> = tail.iter().collect();
            self.records.retain(|id, _| tail.contains(id));
        }
        if self.records.is_empty() {
            // The room of a large page is not needed while batches are worked on.
            *self = Self::default();
        }
    }
}

/// Whether the cap is reached with this page and the slice goes on.
fn cuts(cap: u64, listing: &Listing, page: &Fresh) -> bool {
    let room = size_of(cap.saturating_sub(listing.ids));
    let n_fresh = page.records.len();
    n_fresh > room || (n_fresh == room && page.next.is_some())
}

/// Takes one page into the listing: applies the cap, cuts chunks.
fn take_page(listing: &Listing, page: Fresh, cap: Option<u64>, cut: Cut) -> ListingStep {
    let Fresh { mut records, next, last, .. } = page;
    let room = cap.map_or(u64::MAX, |cap| cap.saturating_sub(listing.ids));
    records.truncate(size_of(room));
    let ids = listing.ids.saturating_add(records.len().try_into().unwrap_or(u64::MAX));
    let done = next.is_none() || cap.is_some_and(|cap| ids >= cap);
    let mut tail = listing.tail.clone();
    tail.extend(records);
    let (chunks, tail) = cut.chunks(tail, listing.chunks, done);
    let n_chunks = listing.chunks.saturating_add(chunks.len().try_into().unwrap_or(u32::MAX));
    let cursor = if done { None } else { next.map(|cursor| cursor.0) };
    let Listing { left_out, write_batch, .. } = *listing;
    let besides = listing.besides.clone();
    let to = Listing { cursor, done, ids, chunks: n_chunks, tail, last, left_out, write_batch, besides };
    ListingStep { from: (listing.ids, listing.chunks), to, chunks }
}

/// Takes one page into the sample, which waits in the tail until the slice is seen to its end. Until then the listing
/// counts the ids it saw, so that every step starts from a place of its own; then it counts the sample.
fn draw_page(listing: &Listing, page: Fresh, seed: &str, size: usize, cut: Cut) -> ListingStep {
    let Fresh { records, next, last, .. } = page;
    let Listing { left_out, write_batch, .. } = *listing;
    let besides = listing.besides.clone();
    let seen = listing.ids.saturating_add(records.len().try_into().unwrap_or(u64::MAX));
    let from = (listing.ids, listing.chunks);
    let drawn = sample::draw(seed, size, listing.tail.clone(), records);
    if let Some(Cursor(cursor)) = next {
        let to = Listing {
            cursor: Some(cursor),
            ids: seen,
            tail: drawn,
            last,
            left_out,
            write_batch,
            besides,
            ..Listing::default()
        };
        return ListingStep { from, to, chunks: Vec::new() };
    }
    let ids = drawn.len().try_into().unwrap_or(u64::MAX);
    let (chunks, tail) = cut.chunks(drawn, 0, true);
    let n_chunks = chunks.len().try_into().unwrap_or(u32::MAX);
    let to = Listing {
        cursor: None,
        done: true,
        ids,
        chunks: n_chunks,
        tail,
        last,
        left_out,
        write_batch,
        besides,
    };
    ListingStep { from, to, chunks }
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
    let _room = context.room(run).await;
    let mut supplied = supplied::for_records(context, run, &chunk.records).await?;
    let is_sound = |id: &RecordId| supplied.get(id).is_none_or(|line| line.fault.is_none());
    let sound: Vec<RecordId> = chunk.records.iter().filter(|id| is_sound(id)).cloned().collect();
    let properties = properties(run, &run.listing);
    let pulled_at = context.clock.now();
    let object = &run.plan.source.object;
    let size = usize::try_from(crm.limits(None).read_batch.max(1)).unwrap_or(usize::MAX);
    let reads: Vec<_> = sound.chunks(size).map(|ids| crm.read(object, ids, &properties)).collect();
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
        .map(|id| {
            let line = supplied.remove(&id);
            if let Some(Supplied { fault: Some(fault), .. }) = line {
                return Row { refused: Some(fault), ..empty_row(id) };
            }
            match records.remove(&id) {
                Some(record) => {
                    row(run, &run.listing, record, line.map(|line| line.inputs).unwrap_or_default())
                }
                None => {
                    let gone = gone.remove(&id).unwrap_or(Gone { survivor: None });
                    Row { gone: Some(gone), ..empty_row(id) }
                }
            }
        })
        .collect();
    store_rows(context, run, no, cut(run, &run.listing, crm.as_ref()), rows, pulled_at).await?;
    Ok(Verdict::Complete)
}

/// Stores the rows of a chunk as batches.
async fn store_rows(
    context: &Context,
    run: &Run,
    no: ChunkNo,
    cut: Cut,
    rows: Vec<Row>,
    pulled_at: Timestamp,
) -> Result<(), Failure> {
    let rows = seen::mark_same(context, run, rows).await?;
    let batches: Vec<NewBatch> = cut
        .batches(no.0, rows)
        .into_iter()
        .map(|(no, rows)| NewBatch { no: BatchNo(no), rows, pulled_at })
        .collect();
    context.store.store_chunk(run.id, no, &batches, context.clock.now()).await?;
    Ok(())
}

fn targets(run: &Run) -> impl Iterator<Item = &PropertyName> {
    run.plan.writeback.properties.iter().map(|write| &write.name)
}

/// Exactly what is needed: the targets, the inputs that no file has, and what checks go by.
fn properties(run: &Run, listing: &Listing) -> Vec<PropertyName> {
    let Supply { inputs: supplied, .. } = supplied::supply(run).unwrap_or_default();
    let inputs = run.plan.inputs.iter().filter(|name| !supplied.contains(name));
    let all: BTreeSet<&PropertyName> = inputs.chain(targets(run)).chain(&listing.besides).collect();
    all.into_iter().cloned().collect()
}

/// A row of which nothing is known.
fn empty_row(record: RecordId) -> Row {
    let (inputs, before) = (Properties::new(), Properties::new());
    Row { record, inputs, before, gone: None, refused: None, same_as: None }
}

fn row(run: &Run, listing: &Listing, record: Record, mut supplied: Properties) -> Row {
    let Record { id, mut properties, changed: _ } = record;
    let before: Properties = targets(run)
        .chain(&listing.besides)
        .map(|name| (name.clone(), properties.get(name).cloned().unwrap_or_default()))
        .collect();
    let inputs = run
        .plan
        .inputs
        .iter()
        .map(|name| {
            let value = supplied.remove(name).or_else(|| properties.remove(name));
            (name.clone(), value.unwrap_or_default())
        })
        .collect();
    Row { record: id, inputs, before, gone: None, refused: None, same_as: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<u64>) -> Vec<RecordId> {
        range.map(|id| RecordId::from(id.to_string())).collect()
    }

    fn page(range: std::ops::Range<u64>, next: Option<&str>, after: &Listing) -> Fresh {
        let next = next.map(|cursor| Cursor(cursor.into()));
        drop_repeated(after.last.clone(), Page::of_ids(ids(range), next))
    }

    const CUT: Cut = Cut { canary: 5, write_batch: 100 };

    #[test]
    fn pages_become_chunks_and_the_rest_waits_in_the_tail() {
        let start = Listing::default();
        let step = take_page(&start, page(1..1_251, Some("x"), &start), None, CUT);
        assert_eq!((step.to.ids, step.to.chunks, step.to.tail.len()), (1_250, 1, 245));
        assert_eq!(step.chunks[0].len(), 1_005);
        let last = take_page(&step.to, page(1_251..1_300, None, &step.to), None, CUT);
        assert!(last.to.done && last.to.tail.is_empty());
        assert_eq!((last.from, last.to.ids, last.chunks[0].len()), ((1_250, 1), 1_299, 294));
    }

    #[test]
    fn a_cap_ends_the_listing() {
        let start = Listing::default();
        let step = take_page(&start, page(1..251, Some("x"), &start), Some(5), CUT);
        assert!(step.to.done);
        assert_eq!((step.to.ids, step.to.cursor.as_ref(), step.chunks[0].len()), (5, None, 5));
    }

    #[test]
    fn a_cap_cuts_when_the_slice_goes_on() {
        let start = Listing::default();
        let cuts_at = |cap, next| cuts(cap, &start, &page(1..11, next, &start));
        assert_eq!([cuts_at(9, None), cuts_at(10, Some("x"))], [true; 2]);
        assert_eq!([cuts_at(10, None), cuts_at(11, None), cuts_at(11, Some("x"))], [false; 3]);
        let later = take_page(&start, page(1..11, Some("x"), &start), Some(15), CUT).to;
        assert!(cuts(15, &later, &page(11..21, None, &later)));
    }

    #[test]
    fn an_id_that_comes_again_is_taken_once_and_counted() {
        let start = Listing::default();
        let step = take_page(&start, page(1..4, Some("x"), &start), None, CUT);
        let fresh = page(3..6, None, &step.to);
        assert_eq!(fresh.records, ids(4..6));
        assert_eq!(take_page(&step.to, fresh, None, CUT).to.ids, 5);
        assert!(comes_after(&"10".into(), &"9".into()));
    }

    #[test]
    fn values_that_came_along_fill_the_chunks_they_are_whole_in() {
        let values = |range: std::ops::Range<u64>| Values {
            as_of: Timestamp::UNIX_EPOCH,
            properties: range.map(|id| [("Name".into(), id.into())].into()).collect(),
        };
        let page = |range: std::ops::Range<u64>, last: Option<&str>| {
            let page = Page { values: Some(values(range.clone())), ..Page::of_ids(ids(range), None) };
            drop_repeated(last.map(RecordId::from), page)
        };
        let mut held = Held::default();
        assert_eq!(held.take_chunk(ids(1..2)), None, "nothing came along");
        let mut first = page(1..5, Some("2"));
        assert_eq!(first.records, ids(3..5), "those that came before are left out with their values");
        held.take(&mut first);
        held.keep(&first.records);
        held.take(&mut page(5..9, None));
        let (as_of, chunk) = held.take_chunk(ids(3..7)).expect("all are here");
        assert_eq!(as_of, Timestamp::UNIX_EPOCH);
        let found: Vec<_> = chunk.iter().map(|(id, values)| (id.as_str(), values["Name"].as_u64())).collect();
        assert_eq!(found, [("3", Some(3)), ("4", Some(4)), ("5", Some(5)), ("6", Some(6))]);
        assert_eq!(held.take_chunk(ids(6..8)), None, "one of them was taken");
        held.keep(&ids(8..9));
        assert_eq!(held.take_chunk(ids(7..8)), None, "forgotten");
        assert!(held.take_chunk(ids(8..9)).is_some() && held.records.is_empty());
    }

    #[test]
    fn a_sample_is_frozen_when_the_slice_is_seen_to_its_end() {
        let start = Listing::default();
        let first = draw_page(&start, page(1..2_001, Some("x"), &start), "Note", 50, CUT);
        assert_eq!((first.to.done, first.to.ids, first.to.tail.len()), (false, 2_000, 50));
        assert!(first.chunks.is_empty());
        let last = draw_page(&first.to, page(2_001..3_001, None, &first.to), "Note", 50, CUT);
        assert_eq!((last.from, last.to.done, last.to.ids, last.to.chunks), ((2_000, 0), true, 50, 1));
        assert_eq!(last.chunks, [sample::draw("Note", 50, Vec::new(), ids(1..3_001))]);
        let few = draw_page(&start, page(1..8, None, &start), "Note", 50, CUT);
        assert_eq!((few.to.ids, few.chunks[0].len()), (7, 7));
        let none = draw_page(&start, page(1..1, None, &start), "Note", 50, CUT);
        assert_eq!((none.to.ids, none.to.chunks, none.to.done), (0, 0, true));
    }
}
