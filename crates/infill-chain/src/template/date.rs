//! The Liquid filter `date`.
//!
//! Liquid's own does not read ISO 8601 with a `T`, nor milliseconds, which is what CRMs hand out, and lets text
//! that is no date pass as it is. This one reads both and refuses the rest. It knows no `now`: a template has no
//! clock.

use std::fmt;

use jiff::civil;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use liquid_core::model::ValueView;
use liquid_core::parser::{FilterArguments, ParameterReflection};
use liquid_core::{Error, Expression, Filter, FilterReflection, ParseFilter, Result, Runtime, Value};

/// From this many digits on, a whole number is milliseconds since 1970, below it seconds: in seconds it would
/// be the year 5138 and later.
const MILLISECOND_DIGITS: usize = 12;

/// The filter, as the parser knows it.
#[derive(Clone)]
pub(super) struct Date;

impl FilterReflection for Date {
    fn name(&self) -> &'static str {
        "date"
    }

    fn description(&self) -> &'static str {
        "Writes a date in another format, in UTC or in the offset the date itself has."
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[ParameterReflection { name: "format", description: "strftime", is_optional: false }]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl ParseFilter for Date {
    fn parse(&self, arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        let mut positional = arguments.positional;
        let (Some(format), None) = (positional.next(), positional.next()) else {
            return Err(Error::with_msg("`date` takes one argument, the format: date: \"%Y-%m-%d\""));
        };
        if let Expression::Literal(literal) = &format {
            // A wrong format is found when the plan is compiled, not on every row.
            write(&literal.to_kstr(), &Zoned::new(Timestamp::UNIX_EPOCH, TimeZone::UTC))?;
        }
        Ok(Box::new(DateFilter { format }))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

#[derive(Debug)]
struct DateFilter {
    format: Expression,
}

impl fmt::Display for DateFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "date: {}", self.format)
    }
}

impl Filter for DateFilter {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> Result<Value> {
        let text = input.to_kstr();
        let text = text.trim();
        if text.is_empty() {
            return Ok(Value::Nil);
        }
        let date = read(text).ok_or_else(|| {
            Error::with_msg(
                "`date` was given text that is no date; it reads ISO 8601 and epoch seconds or milliseconds",
            )
        })?;
        let format = self.format.evaluate(runtime)?;
        Ok(Value::scalar(write(&format.to_kstr(), &date)?))
    }
}

fn write(format: &str, date: &Zoned) -> Result<String> {
    strtime::format(format, date)
        .map_err(|_| Error::with_msg(format!("`date` does not know the format \"{format}\"")))
}

fn read(text: &str) -> Option<Zoned> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        let at = if digits.len() >= MILLISECOND_DIGITS {
            Timestamp::from_millisecond(number)
        } else {
            Timestamp::from_second(number)
        };
        return Some(Zoned::new(at.ok()?, TimeZone::UTC));
    }
    // With an offset, the date is written in that offset; without, it is taken as UTC.
    if let Ok(pieces) = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(text)
        && let Some(offset) = pieces.to_numeric_offset()
    {
        let at = pieces.date().to_datetime(pieces.time().unwrap_or(civil::Time::midnight()));
        return at.to_zoned(TimeZone::fixed(offset)).ok();
    }
    text.parse::<civil::DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_crms_are_read() {
        for (text, written) in [
            ("2024-02-29", "2024-02-29T00:00:00+0000"),
            ("2024-02-29T13:05:06", "2024-02-29T13:05:06+0000"),
            ("2024-02-29 13:05:06", "2024-02-29T13:05:06+0000"),
            ("2024-02-29T13:05:06.789Z", "2024-02-29T13:05:06+0000"),
            ("2024-02-29T13:05:06+02:00", "2024-02-29T13:05:06+0200"),
            ("2024-02-29T13:05:06.000+0000", "2024-02-29T13:05:06+0000"),
            ("1709211906", "2024-02-29T13:05:06+0000"),
            ("1709211906789", "2024-02-29T13:05:06+0000"),
        ] {
            let date = read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(write("%Y-%m-%dT%H:%M:%S%z", &date).unwrap(), written, "{text}");
        }
        for text in ["soon", "2024-02-30", "13/01/2024", "99999999999999999999"] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
