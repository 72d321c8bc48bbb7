//! Writing by collections: rows in the types that Salesforce wants, sent a thousand at a request, each with an answer of its own.

use std::collections::HashMap;

use infill_crm::exchange::{Request, parse};
use infill_crm::{Error, Exchanged, Refusal, Update, WriteAnswer};
use infill_model::property::PropertyDef;
use infill_model::{PropertyName, RecordId, Value};

use super::{Fate, Salesforce, VENDOR, gone, ids};
use crate::blame::{self, Settled};
use crate::id::Id;
use crate::normalize;
use crate::request::{self, COLLECTION, COLLECTIONS, Row};
use crate::response::CompositeAnswer;

/// Rows that are not spread over more transactions: each runs the org's triggers once.
const SMALL_COLLECTION: usize = 20;

impl Salesforce {
    /// Writes as many rows as one request takes.
    async fn write_part(&self, name: &str, rows: &[Row<'_>]) -> Result<WriteAnswer, Error> {
        let collections: Vec<&[Row<'_>]> = rows.chunks(collection_size(rows.len())).collect();
        let request = request::update(self.version, name, self.manners, &collections)?;
        let answer = self.call(&request).await?;
        let composite: CompositeAnswer = parse(VENDOR, &request, &answer)?;
        let mut settled = blame::settle(&request, &collections, composite, self.transport.now());
        self.tell_quota(&request, &mut settled).await;
        if let Some(fault) = settled.plan_fault() {
            return Err(fault);
        }
        let mut written = self.answer(name, &mut settled).await;
        if !written.refused.is_empty() {
            written.exchanged.push(Exchanged::of(&request, &answer));
        }
        let n_answered = n_answered(&written);
        match settled.cut_short() {
            Some(error) if n_answered == 0 => Err(error),
            cut_short => {
                Ok(WriteAnswer { cut_short: cut_short.filter(|_| n_answered < rows.len()), ..written })
            }
        }
    }

    /// Tells the quota what rows met of the org's limits, in the answer to `request`.
    pub(super) async fn tell_quota(&self, request: &Request, settled: &mut Settled) {
        for (reach, observation) in settled.observed.drain(..) {
            self.transport.observe(request.meter, reach, observation).await;
        }
    }

    /// What is known of rows, without what cut their write short.
    pub(super) async fn answer(&self, object: &str, settled: &mut Settled) -> WriteAnswer {
        let mut answer = WriteAnswer {
            confirmed: std::mem::take(&mut settled.confirmed),
            refused: std::mem::take(&mut settled.refused),
            ..WriteAnswer::default()
        };
        if !settled.missing.is_empty() {
            self.settle_missing(object, settled, &mut answer).await;
        }
        answer
    }

    /// Writes rows by collections, in as many requests as it takes, and adds to the answer there is.
    pub(super) async fn write_parts(
        &self,
        name: &str,
        rows: &[Row<'_>],
        mut written: WriteAnswer,
    ) -> Result<WriteAnswer, Error> {
        for part in rows.chunks(COLLECTION * COLLECTIONS) {
            match self.write_part(name, part).await {
                Ok(answer) => {
                    written.confirmed.extend(answer.confirmed);
                    written.refused.extend(answer.refused);
                    written.gone.extend(answer.gone);
                    written.exchanged.extend(answer.exchanged);
                    written.cut_short = answer.cut_short;
                }
                Err(error) if n_answered(&written) == 0 => return Err(error),
                Err(error) => written.cut_short = Some(error),
            }
            if written.cut_short.is_some() {
                break;
            }
        }
        Ok(written)
    }

    /// Adds what became of the records that Salesforce said are not there.
    async fn settle_missing(&self, object: &str, settled: &mut Settled, answer: &mut WriteAnswer) {
        let missing = std::mem::take(&mut settled.missing);
        let ids: Vec<Id> = missing.iter().map(|(_, id, _)| *id).collect();
        // The rest of the batch is written: a look-up that fails must not lose that, and leaves its rows unconfirmed.
        let fates = match self.look_up(object, &ids).await {
            Ok(fates) => fates,
            Err(error) => {
                tracing::warn!(error = %error, "missing records not looked up");
                return;
            }
        };
        for (record, id, refusal) in missing {
            match fates.get(&id) {
                // It was something else that is missing: the target of a lookup.
                Some(Fate::Alive) => answer.refused.push((record, refusal)),
                Some(Fate::Deleted { survivor }) => answer.gone.push((record, gone(*survivor))),
                None => answer.gone.push((record, gone(None))),
            }
        }
    }
}

/// Rows in each collection of a request: what comes again after a lock or an exhausted trigger comes in smaller transactions, because
/// fewer rows than fill a request are spread over all of its collections.
const fn collection_size(n_rows: usize) -> usize {
    let spread = n_rows.div_ceil(COLLECTIONS);
    if spread < SMALL_COLLECTION {
        SMALL_COLLECTION
    } else if spread > COLLECTION {
        COLLECTION
    } else {
        spread
    }
}

/// The rows of an update, in the types that Salesforce wants, and the refusals of rows that name a record which another row has named already:
/// 15 and 18 characters may mean one record, and Salesforce refuses both when it finds it twice.
pub(super) fn rows<'a>(
    updates: &'a [Update],
    targets: &[&PropertyDef],
) -> Result<(Vec<Row<'a>>, Refused), Error> {
    let targets: HashMap<&PropertyName, &PropertyDef> =
        targets.iter().map(|target| (&target.name, *target)).collect();
    let encode = |name: &PropertyName, value: &Value| {
        targets.get(name).map_or_else(|| value.clone(), |target| normalize::encode(target, value))
    };
    let mut seen = HashMap::new();
    let mut rows = Vec::with_capacity(updates.len());
    let mut twice = Vec::new();
    for ((id, record), update) in ids(updates.iter().map(|update| &update.record))?.into_iter().zip(updates) {
        if let Some(first) = seen.insert(id, record) {
            twice.push((record.clone(), named_twice(first, record)));
            continue;
        }
        let fields = update.properties.iter().map(|(name, value)| (name, encode(name, value))).collect();
        rows.push(Row { id, record, fields });
    }
    Ok((rows, twice))
}

/// Rows refused, each with its reason.
pub(super) type Refused = Vec<(RecordId, Refusal)>;

fn named_twice(first: &RecordId, second: &RecordId) -> Refusal {
    Refusal {
        code: "record_named_twice".to_owned(),
        message: format!("\"{second}\" and \"{first}\" are one record; take one of them out of the slice"),
        property: None,
        correlation_id: None,
    }
}

/// Records that an answer says something of.
const fn n_answered(answer: &WriteAnswer) -> usize {
    answer.confirmed.len() + answer.refused.len() + answer.gone.len()
}
