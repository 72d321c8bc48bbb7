//! Reading SOQL: text in, [`Query`] out. What its names mean is the business of [`super::select`].
//!
//! Not read: subqueries, `GROUP BY`, `HAVING`, aggregate functions but `COUNT`, `TYPEOF`, aliases.

use std::sync::Arc;

use jiff::civil::Date;

use super::answer::Refusal;
use super::token::{Lexeme, Token, error_at, tokens, unexpected};

/// The vendor's cap on the length of a query.
const MAX_CHARS: usize = 100_000;
/// The vendor's cap on `OFFSET`.
const MAX_OFFSET: usize = 2_000;

/// A name as written: relationships, then a field; and where in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    pub(crate) path: Vec<Arc<str>>,
    pub(crate) at: usize,
}

/// What is selected.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Columns {
    /// `COUNT()`: no records, only their number.
    Count,
    /// `COUNT(Field)`: one record with the number.
    CountOf(Name),
    Fields(Vec<Name>),
    /// `FIELDS(ALL)` and its like.
    Group(Group),
}

/// What `FIELDS()` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    All,
    Standard,
    Custom,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value in a condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Text(String),
    Number(f64),
    Bool(bool),
    Date(Date),
    Time(i64),
    /// Whole days relative to today, the second not included: `TODAY` is 0 to 1.
    Days(i64, i64),
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Name, Compare, Literal),
    In(Name, Vec<Literal>),
    Like(Name, String),
    /// `INCLUDES`: each text may join values by `;` that must all be chosen.
    Includes(Name, Vec<String>),
}

/// One part of `ORDER BY`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) name: Name,
    pub(crate) is_descending: bool,
    pub(crate) nulls_last: bool,
}

/// A query as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) columns: Columns,
    pub(crate) object: String,
    pub(crate) object_at: usize,
    /// `USING SCOPE mine`: only records of the connected user.
    pub(crate) is_mine: bool,
    pub(crate) condition: Option<Condition>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

/// Reads a query.
pub(crate) fn parse(text: &str) -> Result<Query, Refusal> {
    if text.chars().count() > MAX_CHARS {
        let message = format!("SOQL statements cannot be longer than {MAX_CHARS} characters.");
        return Err(Refusal::new(400, "MALFORMED_QUERY", message));
    }
    let mut reader = Reader::over(text)?;
    let query = reader.query(text)?;
    match reader.next() {
        None => Ok(query),
        Some(token) => Err(unexpected(text, &token)),
    }
}

/// Reads a condition alone, as after `WHERE`.
pub(crate) fn parse_condition(text: &str) -> Result<Condition, Refusal> {
    let mut reader = Reader::over(text)?;
    let condition = reader.condition(text)?;
    match reader.next() {
        None => Ok(condition),
        Some(token) => Err(unexpected(text, &token)),
    }
}

struct Reader {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
}

impl Reader {
    fn over(text: &str) -> Result<Self, Refusal> {
        Ok(Self { tokens: tokens(text)?.into_iter().peekable() })
    }

    fn next(&mut self) -> Option<Token> {
        self.tokens.next()
    }

    fn is_word(&mut self, word: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token { kind: Lexeme::Word(text), .. }) if text.eq_ignore_ascii_case(word))
    }

    fn is_symbol(&mut self, symbol: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token { kind: Lexeme::Symbol(text), .. }) if *text == symbol)
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.is_word(word) && self.next().is_some()
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        self.is_symbol(symbol) && self.next().is_some()
    }

    fn fail(&mut self, text: &str) -> Refusal {
        match self.next() {
            Some(token) => unexpected(text, &token),
            None => error_at(text, text.chars().count(), "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        }
    }

    fn need_word(&mut self, text: &str, word: &str) -> Result<(), Refusal> {
        if self.take_word(word) { Ok(()) } else { Err(self.fail(text)) }
    }

    fn need_symbol(&mut self, text: &str, symbol: &str) -> Result<(), Refusal> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.fail(text)) }
    }

    fn name(&mut self, text: &str) -> Result<Name, Refusal> {
        if let Some(Token { kind: Lexeme::Word(_), .. }) = self.tokens.peek()
            && let Some(Token { kind: Lexeme::Word(word), at }) = self.next()
        {
            return Ok(Name { path: word.split('.').map(Arc::from).collect(), at });
        }
        Err(self.fail(text))
    }

    fn whole(&mut self, text: &str) -> Result<usize, Refusal> {
        if let Some(Token { kind: Lexeme::Number(number), .. }) = self.tokens.peek()
            && let Ok(whole) = number.to_string().parse()
        {
            self.next();
            return Ok(whole);
        }
        Err(self.fail(text))
    }

    fn query(&mut self, text: &str) -> Result<Query, Refusal> {
        self.need_word(text, "SELECT")?;
        let columns = self.columns(text)?;
        self.need_word(text, "FROM")?;
        let from = self.name(text)?;
        let mut query = Query {
            text: text.to_owned(),
            columns,
            object: from.path.join("."),
            object_at: from.at,
            is_mine: false,
            condition: None,
            order: Vec::new(),
            limit: None,
            offset: 0,
        };
        if self.take_word("USING") {
            self.need_word(text, "SCOPE")?;
            query.is_mine = self.name(text)?.path.join(".").eq_ignore_ascii_case("mine");
        }
        if self.take_word("WHERE") {
            query.condition = Some(self.condition(text)?);
        }
        if self.take_word("ORDER") {
            self.need_word(text, "BY")?;
            query.order.push(self.order(text)?);
            while self.take_symbol(",") {
                query.order.push(self.order(text)?);
            }
        }
        if self.take_word("LIMIT") {
            query.limit = Some(self.whole(text)?);
        }
        if self.take_word("OFFSET") {
            query.offset = self.whole(text)?;
            if query.offset > MAX_OFFSET {
                let message = format!("Maximum SOQL offset allowed is {MAX_OFFSET}");
                return Err(Refusal::new(400, "NUMBER_OUTSIDE_VALID_RANGE", message));
            }
        }
        if matches!(query.columns, Columns::Group(Group::All | Group::Custom))
            && query.limit.is_none_or(|n| n > 200)
        {
            let message = "The SOQL FIELDS function must have a LIMIT of at most 200";
            return Err(Refusal::new(400, "MALFORMED_QUERY", message));
        }
        Ok(query)
    }

    fn columns(&mut self, text: &str) -> Result<Columns, Refusal> {
        let first = self.name(text)?;
        if self.take_symbol("(") {
            let function = first.path.join(".");
            if function.eq_ignore_ascii_case("count") && self.take_symbol(")") {
                return Ok(Columns::Count);
            }
            let argument = self.name(text)?;
            self.need_symbol(text, ")")?;
            let word = argument.path.join(".").to_uppercase();
            return match (function.to_uppercase().as_str(), word.as_str()) {
                ("COUNT", _) => Ok(Columns::CountOf(argument)),
                ("FIELDS", "ALL") => Ok(Columns::Group(Group::All)),
                ("FIELDS", "STANDARD") => Ok(Columns::Group(Group::Standard)),
                ("FIELDS", "CUSTOM") => Ok(Columns::Group(Group::Custom)),
                _ => Err(error_at(
                    text,
                    first.at,
                    "MALFORMED_QUERY",
                    &format!("unexpected token: '{function}'"),
                )),
            };
        }
        let mut names = vec![first];
        while self.take_symbol(",") {
            names.push(self.name(text)?);
        }
        Ok(Columns::Fields(names))
    }

    fn order(&mut self, text: &str) -> Result<Order, Refusal> {
        let name = self.name(text)?;
        let is_descending = self.take_word("DESC");
        if !is_descending {
            self.take_word("ASC");
        }
        let mut nulls_last = false;
        if self.take_word("NULLS") {
            nulls_last = self.take_word("LAST");
            if !nulls_last {
                self.need_word(text, "FIRST")?;
            }
        }
        Ok(Order { name, is_descending, nulls_last })
    }

    /// `a AND b` or `a OR b`; the vendor refuses a mixture without parentheses.
    fn condition(&mut self, text: &str) -> Result<Condition, Refusal> {
        let first = self.term(text)?;
        let (is_all, word) = match (self.is_word("AND"), self.is_word("OR")) {
            (true, _) => (true, "AND"),
            (false, true) => (false, "OR"),
            (false, false) => return Ok(first),
        };
        let mut terms = vec![first];
        while self.take_word(word) {
            terms.push(self.term(text)?);
        }
        if self.is_word("AND") || self.is_word("OR") {
            return Err(self.fail(text));
        }
        Ok(if is_all { Condition::All(terms) } else { Condition::Any(terms) })
    }

    fn term(&mut self, text: &str) -> Result<Condition, Refusal> {
        if self.take_word("NOT") {
            return Ok(Condition::Not(Box::new(self.term(text)?)));
        }
        if self.take_symbol("(") {
            let inner = self.condition(text)?;
            self.need_symbol(text, ")")?;
            return Ok(inner);
        }
        let name = self.name(text)?;
        if self.take_word("LIKE") {
            let Literal::Text(pattern) = self.literal(text)? else { return Err(self.fail(text)) };
            return Ok(Condition::Like(name, pattern));
        }
        if self.take_word("IN") {
            return Ok(Condition::In(name, self.list(text)?));
        }
        if self.take_word("NOT") {
            self.need_word(text, "IN")?;
            let values = self.list(text)?;
            return Ok(Condition::Not(Box::new(Condition::In(name, values))));
        }
        let is_excluded = self.is_word("EXCLUDES");
        if self.take_word("INCLUDES") || self.take_word("EXCLUDES") {
            let texts = self
                .list(text)?
                .into_iter()
                .filter_map(|literal| if let Literal::Text(text) = literal { Some(text) } else { None });
            let includes = Condition::Includes(name, texts.collect());
            return Ok(if is_excluded { Condition::Not(Box::new(includes)) } else { includes });
        }
        let compare = self.compare(text)?;
        Ok(Condition::Compare(name, compare, self.literal(text)?))
    }

    fn compare(&mut self, text: &str) -> Result<Compare, Refusal> {
        const ALL: [(&str, Compare); 7] = [
            ("=", Compare::Equal),
            ("!=", Compare::NotEqual),
            ("<>", Compare::NotEqual),
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("<", Compare::Less),
            (">", Compare::Greater),
        ];
        let found = ALL.into_iter().find(|(symbol, _)| self.is_symbol(symbol));
        match found {
            Some((symbol, compare)) => {
                self.take_symbol(symbol);
                Ok(compare)
            }
            None => Err(self.fail(text)),
        }
    }

    fn list(&mut self, text: &str) -> Result<Vec<Literal>, Refusal> {
        self.need_symbol(text, "(")?;
        let mut values = vec![self.literal(text)?];
        while self.take_symbol(",") {
            values.push(self.literal(text)?);
        }
        self.need_symbol(text, ")")?;
        Ok(values)
    }

    fn literal(&mut self, text: &str) -> Result<Literal, Refusal> {
        let literal = match self.tokens.peek().map(|token| &token.kind) {
            Some(Lexeme::Text(text)) => Literal::Text(text.clone()),
            Some(Lexeme::Number(number)) => Literal::Number(*number),
            Some(Lexeme::Date(date)) => Literal::Date(*date),
            Some(Lexeme::Time(ms)) => Literal::Time(*ms),
            Some(Lexeme::Word(word)) => match keyword(word) {
                Some(literal) => literal,
                None => return Err(self.fail(text)),
            },
            Some(Lexeme::Symbol(_)) | None => return Err(self.fail(text)),
        };
        self.next();
        Ok(literal)
    }
}

fn keyword(word: &str) -> Option<Literal> {
    let upper = word.to_uppercase();
    let (function, days) = upper.split_once(':').unwrap_or((&upper, ""));
    let days = days.parse::<i64>().ok();
    match (function, days) {
        ("NULL", None) => Some(Literal::Null),
        ("TRUE", None) => Some(Literal::Bool(true)),
        ("FALSE", None) => Some(Literal::Bool(false)),
        ("TODAY", None) => Some(Literal::Days(0, 1)),
        ("YESTERDAY", None) => Some(Literal::Days(-1, 0)),
        ("TOMORROW", None) => Some(Literal::Days(1, 2)),
        ("LAST_N_DAYS", Some(days)) => Some(Literal::Days(-days, 1)),
        ("NEXT_N_DAYS", Some(days)) => Some(Literal::Days(1, days + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text).unwrap_err().message
    }

    #[test]
    fn a_query_is_read_part_by_part() {
        let text = "select Id, Account.Name from Contact where (Email like '%@x.example' or DoNotCall = true) \
                    and CreatedDate >= 2026-01-31T00:00:00Z order by Name desc nulls last, Id limit 10 offset 5";
        let query = parse(text).unwrap();
        let Columns::Fields(names) = &query.columns else { panic!() };
        assert_eq!(names[1].path.join("."), "Account.Name");
        let Some(Condition::All(terms)) = &query.condition else { panic!() };
        assert!(matches!(&terms[0], Condition::Any(inner) if inner.len() == 2));
        assert!(matches!(&terms[1], Condition::Compare(_, Compare::GreaterOrEqual, Literal::Time(_))));
        assert!(query.order[0].is_descending && query.order[0].nulls_last && !query.order[1].is_descending);
        assert_eq!((query.limit, query.offset), (Some(10), 5));
    }

    #[test]
    fn escapes_are_undone_and_others_refused() {
        let query = parse(r"SELECT Id FROM Account WHERE Name = 'O\'Neill \\ \u00e9\n'").unwrap();
        let Some(Condition::Compare(_, _, Literal::Text(text))) = query.condition else { panic!() };
        assert_eq!(text, "O'Neill \\ é\n");
        assert!(message(r"SELECT Id FROM Account WHERE Name = 'a\x'").contains("Illegal character sequence"));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        let mixed = message("SELECT Id FROM Account WHERE A = 1 AND B = 2 OR C = 3");
        assert!(
            mixed.starts_with('\n')
                && mixed.contains("Column:46")
                && mixed.ends_with("unexpected token: 'OR'"),
            "{mixed}"
        );
        assert!(message("SELECT Id FROM").ends_with("unexpected token: '<EOF>'"));
        assert!(
            message("SELECT Id, (SELECT Id FROM Contacts) FROM Account").ends_with("unexpected token: '('")
        );
        assert!(message("SELECT FIELDS(ALL) FROM Account").contains("LIMIT of at most 200"));
        assert!(message("SELECT Id FROM Account OFFSET 2001").contains("2000"));
        assert!(message("SELECT Id FROM Account WHERE A = 1 GROUP BY B").contains("GROUP"));
        assert!(
            message(&format!("SELECT Id FROM Account WHERE Name = '{}'", "x".repeat(MAX_CHARS)))
                .contains("100000")
        );
    }

    #[test]
    fn days_are_relative_to_today() {
        let days = |word: &str| {
            let query = parse(&format!("SELECT Id FROM Account WHERE CreatedDate = {word}")).unwrap();
            let Some(Condition::Compare(_, _, literal)) = query.condition else { panic!() };
            literal
        };
        assert_eq!(days("TODAY"), Literal::Days(0, 1));
        assert_eq!(days("last_n_days:7"), Literal::Days(-7, 1));
    }
}
