//! How a command ends, and what its errors mean to whoever started it.

use std::process::ExitCode;

use infill_model::Class;

/// How a command ended. The numbers are documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well; for a run: every row settled well.
    Well,
    /// Some rows did not settle well.
    SomeRowsUnwell,
    /// Usage or configuration: nothing was started.
    Usage,
    /// The run, or the command, could not go on.
    CouldNotGoOn,
    /// The run waits for somebody to approve it.
    Waits,
}

impl Exit {
    const fn number(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::SomeRowsUnwell => 1,
            Self::Usage => 2,
            Self::CouldNotGoOn => 3,
            Self::Waits => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// Ends the process as it stands, without finishing anything.
#[expect(
    clippy::exit,
    reason = "a person or a supervisor asked twice, and every handler survives being cut off"
)]
pub(crate) fn at_once(exit: Exit) -> ! {
    std::process::exit(exit.number().into())
}

/// Something a person must change in what was typed or configured; says what and how.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A file with faults.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub(crate) struct Faulty {
    /// The file, as the person named it.
    pub(crate) file: String,
    /// Each fault with its place: `plan.yaml:12:5: …`.
    pub(crate) lines: Vec<String>,
}

impl Faulty {
    fn text(&self) -> String {
        let n = self.lines.len();
        let faults = if n == 1 { "1 fault".to_owned() } else { format!("{n} faults") };
        format!("{} has {faults}\n  {}", self.file, self.lines.join("\n  "))
    }
}

/// The exit code an error stands for: what a person must mend before anything can start is usage or configuration.
pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
    if error.downcast_ref::<Usage>().is_some() || error.downcast_ref::<Faulty>().is_some() {
        return Exit::Usage;
    }
    let must_be_mended = error.chain().any(|cause| {
        if let Some(store) = cause.downcast_ref::<infill_store::Error>() {
            store.is_final() || matches!(store, infill_store::Error::Unreachable { .. })
        } else if let Some(broker) = cause.downcast_ref::<infill_broker::Error>() {
            broker.is_final() || matches!(broker, infill_broker::Error::Unreachable { .. })
        } else if let Some(crm) = cause.downcast_ref::<infill_crm::Error>() {
            matches!(crm.class, Class::Configuration | Class::Unauthorized)
        } else {
            false
        }
    });
    if must_be_mended { Exit::Usage } else { Exit::CouldNotGoOn }
}

/// Whether the reader of our output went away, as `head` does: no error to speak of.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn what_a_person_must_mend_is_usage_and_the_rest_could_not_go_on() {
        let crm = |class| infill_crm::Error::new(class, "code", "message");
        let unreachable =
            || infill_store::Error::Unreachable { address: "db".into(), source: "refused".into() };
        let cases: Vec<(anyhow::Error, Exit)> = vec![
            (Usage("no".into()).into(), Exit::Usage),
            (anyhow::anyhow!("boom").context(Usage("no".into())), Exit::Usage),
            (Faulty { file: "f".into(), lines: vec!["f:1:1: no".into()] }.into(), Exit::Usage),
            (crm(Class::Unauthorized).into(), Exit::Usage),
            (crm(Class::Configuration).into(), Exit::Usage),
            (crm(Class::Transient).into(), Exit::CouldNotGoOn),
            (unreachable().into(), Exit::Usage),
            (Err::<(), _>(unreachable()).context("open the store").unwrap_err(), Exit::Usage),
            (infill_store::Error::Version { found: 2, known: 1 }.into(), Exit::Usage),
            (infill_broker::Error::Timeout { operation: "publish", seconds: 5 }.into(), Exit::CouldNotGoOn),
            (anyhow::anyhow!("boom"), Exit::CouldNotGoOn),
        ];
        for (error, exit) in cases {
            assert_eq!(of_error(&error), exit, "{error:#}");
        }
    }

    #[test]
    fn a_closed_pipe_is_told_from_other_errors() {
        let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&Err::<(), _>(closed()).context("print").unwrap_err()));
        assert!(!is_closed_pipe(&anyhow::anyhow!("boom")));
    }

    #[test]
    fn faults_stand_one_a_line() {
        let faulty = Faulty { file: "plan.yaml".into(), lines: vec!["a".into(), "b".into()] };
        assert_eq!(faulty.to_string(), "plan.yaml has 2 faults\n  a\n  b");
    }
}
