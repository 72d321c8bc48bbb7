//! How old something is, as people write it: `90d`, `12w`, `36h`.

use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// An age; a day has 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age(pub(crate) Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let span = text.parse::<Span>().ok();
        let age = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        age.and_then(|age| Duration::try_from(age).ok())
            .filter(|age| !age.is_zero())
            .map(Self)
            .ok_or_else(|| "not an age; give weeks, days or hours (12w, 90d, 36h)".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_in_weeks_days_or_hours() {
        let hours = |text: &str| text.parse::<Age>().map(|age| age.0.as_secs() / 3600);
        assert_eq!((hours("90d"), hours("2w"), hours("36h")), (Ok(2160), Ok(336), Ok(36)));
        for text in ["", "90", "0d", "-3d", "1mo", "1y", "soon"] {
            assert!(hours(text).is_err(), "{text}");
        }
    }
}
