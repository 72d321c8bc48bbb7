//! A query taken apart, as far as listing its records needs: what it selects from, and on what condition.
//!
//! Both kinds of query that Infill is given, a plan's own and a list view's, are listed the same way: our own select list,
//! ordered by `Id`, page after page above the last id seen. So no locator is ever held that could expire, and a listing goes on
//! anywhere at any time. What a plain listing cannot honour (`LIMIT`, `GROUP BY`) is refused, never dropped.

use infill_crm::Error;
use infill_model::Class;
use serde::{Deserialize, Serialize};

use crate::id::Id;

/// What records a query selects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The object, as the query spells it.
    object: String,
    /// What stands between `FROM` and the condition: the object, an alias, a scope.
    from: String,
    /// What stands after `WHERE`.
    condition: Option<String>,
    /// What stands after `WITH`.
    with: Option<String>,
}

impl Statement {
    /// The records of an object that meet a condition written by this crate.
    #[must_use]
    pub fn new(object: &str, condition: Option<String>) -> Self {
        Self { object: object.to_owned(), from: object.to_owned(), condition, with: None }
    }

    /// Takes a query apart.
    ///
    /// # Errors
    /// `configuration` when it is no query, or one that a listing cannot honour; the message says what to change.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let words = words(query)?;
        let mut rest = words.iter().skip_while(|word| !word.is("from"));
        if !words.first().is_some_and(|word| word.is("select")) || rest.next().is_none() {
            return Err(wrong("it must be of the form SELECT … FROM … WHERE …"));
        }
        let object = rest.next().ok_or_else(|| wrong("it names no object after FROM"))?;
        let clauses: Vec<&Word<'_>> = rest.filter(|word| word.opens_clause(&words)).collect();
        if let Some(refused) = clauses.iter().find_map(|word| word.refusal()) {
            return Err(wrong(refused));
        }
        let end_of = |nth: usize| clauses.get(nth).map_or(query.len(), |word| word.start);
        let text = |start: usize, end: usize| query.get(start..end).unwrap_or_default().trim().to_owned();
        let from = text(object.start, end_of(0));
        if from.contains(',') {
            return Err(wrong("it selects from several objects; name one after FROM"));
        }
        let clause = |name: &str| {
            let nth = clauses.iter().position(|word| word.is(name))?;
            let word = clauses.get(nth)?;
            Some(text(word.start + word.text.len(), end_of(nth + 1)))
        };
        Ok(Self {
            object: object.text.to_owned(),
            from,
            condition: clause("where").filter(|condition| !condition.is_empty()),
            with: clause("with"),
        })
    }

    /// The object it selects from.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The query for a page of ids above `last`.
    #[must_use]
    pub fn page(&self, last: Option<Id>, most: u32) -> String {
        self.select(&[], last, Some(most.into()))
    }

    /// The query for the ids and some fields of the records above `last`.
    #[must_use]
    pub fn select(&self, fields: &[&str], last: Option<Id>, most: Option<u64>) -> String {
        let fields: String = fields.iter().map(|field| format!(", {field}")).collect();
        let above = last.map(|last| format!("Id > '{last}'"));
        let limit = most.map(|most| format!(" LIMIT {most}")).unwrap_or_default();
        format!("SELECT Id{fields} FROM {} ORDER BY Id{limit}", self.restricted(above.as_deref()))
    }

    /// The query for how many records there are.
    #[must_use]
    pub fn count(&self) -> String {
        format!("SELECT COUNT() FROM {}", self.restricted(None))
    }

    fn restricted(&self, above: Option<&str>) -> String {
        let mut text = self.from.clone();
        match (&self.condition, above) {
            (Some(condition), Some(above)) => text.push_str(&format!(" WHERE ({condition}) AND {above}")),
            (Some(one), None) => text.push_str(&format!(" WHERE {one}")),
            (None, Some(one)) => text.push_str(&format!(" WHERE {one}")),
            (None, None) => {}
        }
        if let Some(with) = &self.with {
            text.push_str(&format!(" WITH {with}"));
        }
        text
    }
}

fn wrong(why: &str) -> Error {
    Error::new(Class::Configuration, "query_not_usable", format!("the query cannot be listed: {why}"))
}

/// A word of a query that stands in no brackets and no quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word<'a> {
    start: usize,
    text: &'a str,
}

/// Clauses after `FROM`: the first word, the word that must follow, and why a listing cannot honour it.
const CLAUSES: [(&str, Option<&str>, Option<&str>); 12] = [
    ("where", None, None),
    ("with", None, None),
    ("order", Some("by"), None),
    ("group", Some("by"), Some("GROUP BY makes groups, and only records can be enriched")),
    ("having", None, Some("HAVING is about groups, and only records can be enriched")),
    ("limit", None, Some("leave out LIMIT and set the plan's max_count, which says which records it takes")),
    ("offset", None, Some("leave out OFFSET; the listing pages by itself")),
    ("for", Some("view"), Some("leave out FOR VIEW")),
    ("for", Some("reference"), Some("leave out FOR REFERENCE")),
    ("for", Some("update"), Some("leave out FOR UPDATE; nothing is locked over several calls")),
    ("all", Some("rows"), Some("leave out ALL ROWS; deleted records cannot be enriched")),
    ("update", None, Some("leave out UPDATE TRACKING and UPDATE VIEWSTAT")),
];

impl Word<'_> {
    fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }

    fn clause(
        &self,
        next: Option<&Word<'_>>,
    ) -> Option<&'static (&'static str, Option<&'static str>, Option<&'static str>)> {
        CLAUSES.iter().find(|(first, second, _)| {
            self.is(first) && second.is_none_or(|second| next.is_some_and(|next| next.is(second)))
        })
    }

    fn opens_clause(&self, all: &[Word<'_>]) -> bool {
        let next = all.partition_point(|word| word.start <= self.start);
        self.clause(all.get(next)).is_some()
    }

    /// Why a clause that begins with this word cannot be honoured.
    fn refusal(&self) -> Option<&'static str> {
        CLAUSES.iter().filter(|(first, ..)| self.is(first)).find_map(|(_, _, why)| *why)
    }
}

/// The words outside of brackets and quotes.
fn words(query: &str) -> Result<Vec<Word<'_>>, Error> {
    let mut words = Vec::new();
    let mut depth = 0_usize;
    let mut open: Option<usize> = None;
    let mut chars = query.char_indices();
    while let Some((at, c)) = chars.next() {
        let is_of_word = c.is_alphanumeric() || matches!(c, '_' | '.' | ':');
        if let (Some(start), false) = (open, is_of_word) {
            words.extend(query.get(start..at).map(|text| Word { start, text }));
            open = None;
        }
        match c {
            '\'' => skip_literal(&mut chars)?,
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or_else(|| wrong("a bracket closes that none opened"))?,
            _ if is_of_word && depth == 0 && open.is_none() => open = Some(at),
            _ => {}
        }
    }
    if depth > 0 {
        return Err(wrong("a bracket is not closed"));
    }
    words.extend(open.and_then(|start| query.get(start..).map(|text| Word { start, text })));
    Ok(words)
}

fn skip_literal(chars: &mut std::str::CharIndices<'_>) -> Result<(), Error> {
    while let Some((_, c)) = chars.next() {
        match c {
            '\'' => return Ok(()),
            '\\' => {
                chars.next();
            }
            _ => {}
        }
    }
    Err(wrong("a quote is not closed"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::soql;

    fn page(query: &str) -> String {
        Statement::parse(query).unwrap().page(Id::parse("003ak00000jvIfp"), 2_000)
    }

    #[test]
    fn a_query_is_listed_by_its_own_condition() {
        for (query, listed) in [
            (
                "SELECT Name, (SELECT Id FROM Cases WHERE IsClosed = false LIMIT 1) FROM Contact",
                "SELECT Id FROM Contact WHERE Id > '003ak00000jvIfpAAE' ORDER BY Id LIMIT 2000",
            ),
            (
                "select Id from Contact c where c.Name = 'a) FROM x LIMIT 1' or Email = null ORDER BY Name DESC",
                "SELECT Id FROM Contact c WHERE (c.Name = 'a) FROM x LIMIT 1' or Email = null) \
                 AND Id > '003ak00000jvIfpAAE' ORDER BY Id LIMIT 2000",
            ),
            (
                "SELECT name FROM Lead USING SCOPE mine WHERE x = 'it\\'s' WITH SECURITY_ENFORCED ORDER BY Name",
                "SELECT Id FROM Lead USING SCOPE mine WHERE (x = 'it\\'s') AND Id > '003ak00000jvIfpAAE' \
                 WITH SECURITY_ENFORCED ORDER BY Id LIMIT 2000",
            ),
            (
                "SELECT Id FROM Order WHERE Id IN (SELECT OrderId FROM OrderItem LIMIT 5)",
                "SELECT Id FROM Order WHERE (Id IN (SELECT OrderId FROM OrderItem LIMIT 5)) \
                 AND Id > '003ak00000jvIfpAAE' ORDER BY Id LIMIT 2000",
            ),
        ] {
            assert_eq!(page(query), listed);
        }
        let all = Statement::parse("SELECT Id FROM Account").unwrap();
        assert_eq!(
            all.select(&["Name", "Phone"], None, None),
            "SELECT Id, Name, Phone FROM Account ORDER BY Id"
        );
        assert_eq!(all.page(None, 5), "SELECT Id FROM Account ORDER BY Id LIMIT 5");
        assert_eq!(all.count(), "SELECT COUNT() FROM Account");
        assert_eq!(all.object(), "Account");
    }

    #[test]
    fn what_a_listing_cannot_honour_is_refused_with_the_way_out() {
        for (query, said) in [
            ("UPDATE Contact", "of the form SELECT"),
            ("SELECT Id", "of the form SELECT"),
            ("SELECT Id FROM", "no object after FROM"),
            ("SELECT Id FROM Contact LIMIT 10", "max_count"),
            ("SELECT Id FROM Contact OFFSET 10", "leave out OFFSET"),
            ("SELECT COUNT(Id) FROM Contact GROUP BY Name", "only records"),
            ("SELECT Id FROM Contact FOR UPDATE", "leave out FOR"),
            ("SELECT Id FROM Contact WHERE Name = 'x' ALL ROWS", "leave out ALL ROWS"),
            ("SELECT Id FROM Account a, a.Contacts c", "several objects"),
            ("SELECT Id FROM Contact WHERE (Name = 'x'", "not closed"),
            ("SELECT Id FROM Contact WHERE Name = 'x", "quote is not closed"),
            ("SELECT Id FROM Contact WHERE Name = 'x')", "none opened"),
        ] {
            let error = Statement::parse(query).unwrap_err();
            assert_eq!(error.class, Class::Configuration);
            assert!(error.message.contains(said), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_value_never_ends_its_condition(value in any::<String>()) {
            let condition = format!("Name = {}", soql::text(&value));
            let query = format!("SELECT Id FROM Contact WHERE {condition} ORDER BY Name");
            prop_assert_eq!(Statement::parse(&query).unwrap().condition, Some(condition));
        }

        #[test]
        fn no_query_panics(query in "(?i)(select|from|where|limit|order|by|for|all|['()\\\\, .a-zé]){0,12}") {
            drop(Statement::parse(&query));
        }
    }
}
