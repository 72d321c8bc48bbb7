//! What can be typed about previews and approvals.

use clap::{Args as ClapArgs, ValueEnum};

use super::RunRef;

/// `infill preview`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Preview {
    /// The run: an id, its first or last characters, or `latest`
    #[arg(value_name = "RUN")]
    pub(crate) run: RunRef,
    /// Every row as well: what it holds, and what it will hold
    #[arg(long)]
    pub(crate) rows: bool,
    /// How it is printed; csv and html have every row
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: PreviewFormat,
}

/// How a preview is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PreviewFormat {
    /// For a person
    #[default]
    Table,
    /// For a program
    Json,
    /// For a spreadsheet: a line for each value that changes, and one for each row that does not
    Csv,
    /// A page that stands alone, to send to whoever decides
    Html,
}

/// `infill apply`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Apply {
    /// The dry run
    #[arg(value_name = "RUN")]
    pub(crate) run: RunRef,
    /// What the preview's digest must be, or its first 12 characters at least
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<String>,
    /// Leave it to the workers
    #[arg(long)]
    pub(crate) detach: bool,
}

/// `infill approve`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Approve {
    /// The run that waits
    #[arg(value_name = "RUN")]
    pub(crate) run: RunRef,
    /// What the preview's digest must be, or its first 12 characters at least
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<String>,
}

/// `infill reject`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Reject {
    /// The run that waits, or the dry run
    #[arg(value_name = "RUN")]
    pub(crate) run: RunRef,
    /// Why, for those who read the audit
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
}
