//! The Liquid filters `size`, `slice` and `truncate`, counting characters.
//!
//! The library's own count bytes, so that an accent in a name is worth two: `{{ "Zoë" | truncate: 3 }}` would cut
//! a name that fits.

use std::fmt;

use liquid_core::model::{ValueCow, ValueView};
use liquid_core::parser::{FilterArguments, ParameterReflection};
use liquid_core::{Error, Expression, Filter, FilterReflection, ParseFilter, Result, Runtime, Value};

/// Characters that `truncate` leaves when it is not told.
const TRUNCATE_DEFAULT: usize = 50;

/// What `truncate` ends with when it is not told.
const ELLIPSIS: &str = "...";

/// One of the filters.
#[derive(Clone, Copy)]
pub(super) struct Counting {
    name: &'static str,
    description: &'static str,
    parameters: &'static [ParameterReflection],
    evaluate: fn(&dyn ValueView, &[ValueCow<'_>]) -> Result<Value>,
}

/// All of them.
pub(super) const COUNTING: [Counting; 3] = [
    Counting { name: "size", description: "Counts characters or items.", parameters: &[], evaluate: size },
    Counting {
        name: "slice",
        description: "Takes characters or items from an offset on.",
        parameters: &[
            ParameterReflection {
                name: "offset",
                description: "from 0; from the end when negative",
                is_optional: false,
            },
            ParameterReflection { name: "length", description: "1 when left out", is_optional: true },
        ],
        evaluate: slice,
    },
    Counting {
        name: "truncate",
        description: "Cuts text to a length, the ending included.",
        parameters: &[
            ParameterReflection { name: "length", description: "50 when left out", is_optional: true },
            ParameterReflection {
                name: "ellipsis",
                description: "what cut text ends with",
                is_optional: true,
            },
        ],
        evaluate: truncate,
    },
];

fn size(input: &dyn ValueView, _: &[ValueCow<'_>]) -> Result<Value> {
    Ok(Value::scalar(match (input.as_array(), input.as_object()) {
        (Some(items), _) => items.size(),
        (None, Some(fields)) => fields.size(),
        (None, None) => i64::try_from(input.to_kstr().chars().count()).unwrap_or(i64::MAX),
    }))
}

fn slice(input: &dyn ValueView, arguments: &[ValueCow<'_>]) -> Result<Value> {
    let offset = arguments.first().map(integer).transpose()?.unwrap_or(0);
    let length = arguments.get(1).map(integer).transpose()?.unwrap_or(1);
    let length = usize::try_from(length).unwrap_or(0);
    // An offset before the beginning is the beginning.
    let start = |n: usize| match usize::try_from(offset) {
        Ok(offset) => offset,
        Err(_) => n.saturating_sub(usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    if let Some(items) = input.as_array() {
        let items: Vec<&dyn ValueView> = items.values().collect();
        let taken = items.iter().skip(start(items.len())).take(length);
        return Ok(Value::array(taken.map(|item| item.to_value())));
    }
    let text = input.to_kstr();
    let taken: String = text.chars().skip(start(text.chars().count())).take(length).collect();
    Ok(Value::scalar(taken))
}

fn truncate(input: &dyn ValueView, arguments: &[ValueCow<'_>]) -> Result<Value> {
    let length = arguments.first().map(integer).transpose()?;
    let length = length.map_or(TRUNCATE_DEFAULT, |length| usize::try_from(length).unwrap_or(0));
    let ellipsis =
        arguments.get(1).map_or_else(|| ELLIPSIS.into(), |ellipsis| ellipsis.to_kstr().into_owned());
    let text = input.to_kstr();
    if text.chars().count() <= length {
        return Ok(input.to_value());
    }
    let n_kept = length.saturating_sub(ellipsis.chars().count());
    let kept: String = text.chars().take(n_kept).collect();
    Ok(Value::scalar(format!("{kept}{ellipsis}")))
}

fn integer(value: &ValueCow<'_>) -> Result<i64> {
    value
        .as_scalar()
        .and_then(|scalar| scalar.to_integer())
        .ok_or_else(|| Error::with_msg("a length or an offset is a whole number"))
}

impl FilterReflection for Counting {
    fn name(&self) -> &'static str {
        self.name
    }

    fn description(&self) -> &'static str {
        self.description
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        self.parameters
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl ParseFilter for Counting {
    fn parse(&self, arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        let arguments: Vec<Expression> = arguments.positional.collect();
        let n_needed = self.parameters.iter().filter(|parameter| !parameter.is_optional).count();
        if arguments.len() < n_needed || arguments.len() > self.parameters.len() {
            let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name).collect();
            let takes = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            return Err(Error::with_msg(format!("`{}` takes {takes}", self.name)));
        }
        Ok(Box::new(CountingFilter { filter: *self, arguments }))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

struct CountingFilter {
    filter: Counting,
    arguments: Vec<Expression>,
}

impl fmt::Debug for CountingFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CountingFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.filter.name)?;
        for (at, argument) in self.arguments.iter().enumerate() {
            write!(f, "{} {argument}", if at == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl Filter for CountingFilter {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> Result<Value> {
        let arguments =
            self.arguments.iter().map(|argument| argument.evaluate(runtime)).collect::<Result<Vec<_>>>()?;
        (self.filter.evaluate)(input, &arguments)
    }
}
