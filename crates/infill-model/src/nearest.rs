//! "Did you mean": the known names nearest to a mistaken one.

/// At most three of `known`, nearest first, that are near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    const MOST: usize = 3;
    const NEAR_ENOUGH: f64 = 0.72;
    let lower = wanted.to_lowercase();
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= NEAR_ENOUGH)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.into_iter().take(MOST).map(|(_, name)| name).collect()
}

/// `; did you mean "a" or "b"?`, or nothing when no known name is near.
#[must_use]
pub fn did_you_mean<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = nearest(wanted, known).into_iter().map(|name| format!("\"{name}\"")).collect();
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first_and_strangers_stay_out() {
        let known = ["firstname", "lastname", "phone", "hs_object_id"];
        assert_eq!(nearest("firstnme", known).first(), Some(&"firstname"));
        assert_eq!(did_you_mean("phon", known), "; did you mean \"phone\"?");
        assert_eq!(did_you_mean("zzz", known), "");
    }
}
