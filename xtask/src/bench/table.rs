//! The table of figures: what was promised, what was seen, and by how much it misses.

/// What a figure is held to.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    /// Nothing: for scale.
    None,
    AtMost(f64),
    AtLeast(f64),
}

struct Row {
    figure: String,
    of: String,
    seen: f64,
    bound: Bound,
}

/// Figures in the order they were measured.
pub(super) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self { rows: Vec::new() }
    }

    pub(super) fn row(&mut self, figure: &str, of: &str, seen: f64, bound: Bound) {
        self.rows.push(Row { figure: figure.to_owned(), of: of.to_owned(), seen, bound });
    }

    pub(super) fn print(&self) {
        println!("{:<34} {:<38} {:>12} {:>12}  ", "figure", "of", "seen", "to reach");
        for row in &self.rows {
            let (bound, verdict) = match row.bound {
                Bound::None => (String::new(), String::new()),
                Bound::AtMost(most) => (format!("<= {most:.2}"), verdict(row.seen <= most, row.seen - most)),
                Bound::AtLeast(least) => {
                    (format!(">= {least:.2}"), verdict(row.seen >= least, least - row.seen))
                }
            };
            println!("{:<34} {:<38} {:>12.3} {:>12}  {verdict}", row.figure, row.of, row.seen, bound);
        }
    }
}

fn verdict(is_reached: bool, missing: f64) -> String {
    if is_reached { "reached".into() } else { format!("missed by {missing:.3}") }
}
