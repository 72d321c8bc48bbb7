//! Whether a condition holds for a record, and which of two records comes first.

use std::cmp::Ordering;

use super::catalog::Kind;
use super::record::Record;
use super::soql::{Compare, Condition, Literal, Name, Order};
use super::store::{Store, Table};
use super::value::Stored;

const DAY_MS: i64 = 86_400_000;

/// How two records are ordered.
pub(crate) fn compare_records(
    store: &Store,
    table: &Table,
    order: &[Order],
    a: &Record,
    b: &Record,
) -> Ordering {
    let held = |record: &Record, name: &Name| {
        let (table, record, id, field) = store.follow(table, record, &name.path)?;
        Some((table.value(record, id, field)?, field.kind))
    };
    for part in order {
        let ordering = match (held(a, &part.name), held(b, &part.name)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) if part.nulls_last => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) if part.nulls_last => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) if part.is_descending => compare(&b, &a),
            (Some(a), Some(b)) => compare(&a, &b),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

fn compare((a, kind): &(Stored, Kind), (b, _): &(Stored, Kind)) -> Ordering {
    match (a, b) {
        // As conditions compare them, so that a listing can go on above the last id.
        (Stored::Text(a), Stored::Text(b)) if matches!(kind, Kind::Id | Kind::Reference) => a.cmp(b),
        (Stored::Text(a), Stored::Text(b)) => a.to_lowercase().cmp(&b.to_lowercase()).then_with(|| a.cmp(b)),
        (Stored::Number(a), Stored::Number(b)) => a.total_cmp(b),
        (Stored::Bool(a), Stored::Bool(b)) => a.cmp(b),
        (Stored::Date(a), Stored::Date(b)) => a.cmp(b),
        (Stored::Time(a), Stored::Time(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

/// Whether a condition holds for a record.
pub(crate) fn holds(
    store: &Store,
    table: &Table,
    record: &Record,
    condition: &Condition,
    now_ms: i64,
) -> bool {
    let held = |name: &Name| {
        let (table, record, id, field) = store.follow(table, record, &name.path)?;
        table.value(record, id, field).map(|value| (value, field.kind))
    };
    match condition {
        Condition::All(terms) => terms.iter().all(|term| holds(store, table, record, term, now_ms)),
        Condition::Any(terms) => terms.iter().any(|term| holds(store, table, record, term, now_ms)),
        Condition::Not(inner) => !holds(store, table, record, inner, now_ms),
        Condition::Compare(name, compare, literal) => is_so(held(name), *compare, literal, now_ms),
        Condition::In(name, literals) => {
            let value = held(name);
            literals.iter().any(|literal| is_so(value.clone(), Compare::Equal, literal, now_ms))
        }
        Condition::Like(name, pattern) => held(name).is_some_and(|(value, kind)| {
            let (text, pattern) = (value.render(kind).to_lowercase(), pattern.to_lowercase());
            is_like(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>())
        }),
        Condition::Includes(name, wanted) => held(name).is_some_and(|(value, kind)| {
            let text = value.render(kind);
            let chosen: Vec<&str> = text.split(';').collect();
            wanted.iter().any(|joined| joined.split(';').all(|one| chosen.contains(&one)))
        }),
    }
}

fn is_so(held: Option<(Stored, Kind)>, compare: Compare, literal: &Literal, now_ms: i64) -> bool {
    let Some((value, kind)) = held else {
        return match compare {
            Compare::Equal => *literal == Literal::Null,
            Compare::NotEqual => *literal != Literal::Null,
            Compare::Less | Compare::LessOrEqual | Compare::Greater | Compare::GreaterOrEqual => false,
        };
    };
    // A literal may stand for a stretch of values: a day, or several. `low` is its first, `high` its last.
    let (low, high) = match (&value, literal) {
        (_, Literal::Null) => return compare == Compare::NotEqual,
        (Stored::Text(text), Literal::Text(wanted)) if matches!(kind, Kind::Id | Kind::Reference) => {
            let ordering = (**text).cmp(wanted.as_str());
            (ordering, ordering)
        }
        (Stored::Text(text), Literal::Text(wanted)) => {
            let ordering = text.to_lowercase().cmp(&wanted.to_lowercase());
            (ordering, ordering)
        }
        (Stored::Number(number), Literal::Number(wanted)) => {
            let ordering = number.total_cmp(wanted);
            (ordering, ordering)
        }
        (Stored::Bool(is), Literal::Bool(wanted)) => (is.cmp(wanted), is.cmp(wanted)),
        (Stored::Date(date), Literal::Date(wanted)) => (date.cmp(wanted), date.cmp(wanted)),
        (Stored::Time(ms), Literal::Time(wanted)) => (ms.cmp(wanted), ms.cmp(wanted)),
        (Stored::Time(_) | Stored::Date(_), Literal::Days(from, to)) => {
            let today = now_ms.div_euclid(DAY_MS);
            let day = day_number(&value);
            (day.cmp(&(today + from)), day.cmp(&(today + to - 1)))
        }
        (Stored::Time(_), Literal::Date(date)) => {
            let day = day_number(&Stored::Date(*date));
            (day_number(&value).cmp(&day), day_number(&value).cmp(&day))
        }
        _ => return compare == Compare::NotEqual,
    };
    match compare {
        Compare::Equal => low.is_ge() && high.is_le(),
        Compare::NotEqual => low.is_lt() || high.is_gt(),
        Compare::Less => low.is_lt(),
        Compare::LessOrEqual => high.is_le(),
        Compare::Greater => high.is_gt(),
        Compare::GreaterOrEqual => low.is_ge(),
    }
}

/// Days since the Unix epoch, in UTC.
fn day_number(value: &Stored) -> i64 {
    match value {
        Stored::Time(ms) => ms.div_euclid(DAY_MS),
        Stored::Date(date) => super::value::time(&date.to_string()).unwrap_or(0).div_euclid(DAY_MS),
        Stored::Text(_) | Stored::Number(_) | Stored::Bool(_) => 0,
    }
}

/// `%` is any text, `_` one character, a backslash takes the meaning from the next.
fn is_like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| is_like(text.get(skip..).unwrap_or_default(), rest)),
        ['_', rest @ ..] => matches!(text, [_, tail @ ..] if is_like(tail, rest)),
        ['\\', wanted, rest @ ..] | [wanted, rest @ ..] => {
            matches!(text, [first, tail @ ..] if first == wanted && is_like(tail, rest))
        }
    }
}
