//! What goes wrong, in no vendor's words.

/// A trouble of a vendor's account. Those of calls leave the canary alone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble<'a> {
    /// The value of this record is refused for good.
    BadRow(&'a str),
    /// So many writes are answered by a gateway's error, and nothing is committed.
    Unavailable(u64),
    /// So many writes meet a reset connection, and nothing is committed.
    Unreached(u64),
    /// A write is committed, and its answer lost.
    Lost(Loss),
    /// The first read-back after the canary's meets a gateway's error.
    UnreadOnce,
    /// The first write of this record is answered well, and nothing is committed.
    NothingDone(&'a str),
    /// Another text is stored for this record than the one that was sent.
    Differs(&'a str, &'a str),
    /// So many writes are refused because there were too many calls at once.
    Throttled(u64),
    /// A call is carried out, and not answered while the test lasts.
    Unanswered(Call),
    /// Writes, the canary's too, are committed at once and answered late.
    SlowWrites,
    /// Logins are answered late.
    SlowLogins,
    /// Somebody deletes the target property.
    TargetGone,
}

/// A call by what it is for, once a run of a few rows is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// The ids of the slice are listed.
    Listing,
    /// The first write after the canary.
    Writing,
    /// The first read-back after the canary's.
    ReadingBack,
}

/// How an answer is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// The connection is reset.
    Reset,
    /// A gateway gives up waiting.
    Timeout,
    /// The answer ends in the middle.
    CutOff,
}

impl Loss {
    /// The word that all simulators have for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Reset => "lost-reset",
            Self::Timeout => "lost-504",
            Self::CutOff => "malformed",
        }
    }
}

/// Milliseconds of a late answer: enough for others to come up meanwhile.
pub(crate) const LATE_MS: u32 = 400;
/// Milliseconds of an answer that never comes: longer than any test.
pub(crate) const NEVER_MS: u32 = 600_000;
