//! The one connection that writes. What waits for it is committed together: callers queue up anyway, and the start and the end of a
//! transaction, with its wakes and syncs, cost more than most of the work between them.

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior, ffi};
use tokio::sync::oneshot;

use super::connections::{Trouble, connect};
use crate::commit::Commit;

/// Pieces of work in one transaction at most, so that the first does not wait long for the last.
const GROUP: usize = 32;

/// A piece of work, whatever it answers.
trait Job: Send {
    fn commit(&self) -> Commit;
    /// Does it; says whether what it changed is to be kept.
    fn run(&mut self, transaction: &Transaction<'_>) -> bool;
    /// Answers, once it is known what became of the transaction.
    fn tell(self: Box<Self>, committed: Result<(), Trouble>);
}

/// A piece of work that answers `T`.
struct Task<T, W> {
    commit: Commit,
    work: Option<W>,
    outcome: Result<T, Trouble>,
    answer: oneshot::Sender<Result<T, Trouble>>,
}

impl<T, W> Job for Task<T, W>
where
    T: Send,
    W: FnOnce(&Transaction<'_>) -> Result<T, Trouble> + Send,
{
    fn commit(&self) -> Commit {
        self.commit
    }

    fn run(&mut self, transaction: &Transaction<'_>) -> bool {
        if let Some(work) = self.work.take() {
            self.outcome = work(transaction);
        }
        self.outcome.is_ok()
    }

    fn tell(self: Box<Self>, committed: Result<(), Trouble>) {
        // A failure of its own says more than that of the transaction. Nobody listens when the caller has given up waiting.
        drop(self.answer.send(self.outcome.and_then(|out| committed.map(|()| out))));
    }
}

/// The queue of one file. One thread at a time empties it, and none when it is empty.
#[derive(Clone)]
pub(super) struct Writer {
    path: Arc<Path>,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn Job>>,
    is_led: bool,
    /// Between two threads; the one that empties the queue holds it.
    idle: Option<Opened>,
}

/// A connection, and what its commits survive as it is set.
struct Opened {
    connection: Connection,
    commit: Commit,
}

impl Writer {
    pub(super) fn new(path: Arc<Path>) -> Self {
        Self { path, queue: Arc::default() }
    }

    /// Does `work` in a transaction and answers when it is committed; `None` when a panic took it away. An error undoes what this
    /// work changed and nothing else. A caller that gives up waiting leaves the work to finish by itself.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        commit: Commit,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Trouble> + Send + 'static,
    ) -> Option<Result<T, Trouble>> {
        let (answer, answered) = oneshot::channel();
        let outcome = Err(Trouble::Sqlite(rusqlite::Error::InvalidQuery));
        let job = Box::new(Task { commit, work: Some(work), outcome, answer });
        let is_led = {
            let mut queue = self.queue();
            queue.jobs.push_back(job);
            mem::replace(&mut queue.is_led, true)
        };
        if !is_led {
            self.start();
        }
        answered.await.ok()
    }

    fn start(&self) {
        let leader = Leader(self.clone());
        tokio::task::spawn_blocking(move || leader.lead());
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever empties the queue.
struct Leader(Writer);

impl Leader {
    fn lead(self) {
        let mut opened = self.0.queue().idle.take();
        while let Some(jobs) = self.next(&mut opened) {
            // A panic takes the group and its connection with it, and their callers see that no answer comes; the queue goes on.
            let written = catch_unwind(AssertUnwindSafe(|| write(opened.take(), &self.0.path, jobs)));
            opened = written.unwrap_or_default();
        }
    }

    /// The next jobs. When there are none the connection is put aside, under the same lock that lets another lead.
    fn next(&self, opened: &mut Option<Opened>) -> Option<Vec<Box<dyn Job>>> {
        let mut queue = self.0.queue();
        if queue.jobs.is_empty() {
            queue.idle = opened.take();
            queue.is_led = false;
            return None;
        }
        let n = queue.jobs.len().min(GROUP);
        Some(queue.jobs.drain(..n).collect())
    }
}

/// Writes the jobs in one transaction and answers them; gives the connection back.
fn write(opened: Option<Opened>, path: &Path, mut jobs: Vec<Box<dyn Job>>) -> Option<Opened> {
    let fresh = || connect(path).map(|connection| Opened { connection, commit: Commit::Ordered });
    let (committed, opened) = match opened.map_or_else(fresh, Ok) {
        Ok(mut opened) => (write_on(&mut opened, &mut jobs), Some(opened)),
        Err(e) => (Err(e), None),
    };
    for job in jobs {
        job.tell(committed.as_ref().copied().map_err(|e| Trouble::Sqlite(again(e))));
    }
    opened
}

fn write_on(opened: &mut Opened, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let Opened { connection, commit: set } = opened;
    let is_durable = jobs.iter().any(|job| job.commit() == Commit::Durable);
    let commit = if is_durable { Commit::Durable } else { Commit::Ordered };
    if *set != commit {
        // SQLite refuses to change this within a transaction.
        connection.execute_batch(match commit {
            Commit::Durable => "PRAGMA synchronous = FULL",
            Commit::Ordered => "PRAGMA synchronous = NORMAL",
        })?;
        *set = commit;
    }
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    if let [job] = jobs {
        return if job.run(&transaction) { transaction.commit() } else { transaction.rollback() };
    }
    for job in jobs {
        transaction.prepare_cached("SAVEPOINT job")?.execute([])?;
        if !job.run(&transaction) {
            transaction.prepare_cached("ROLLBACK TO job")?.execute([])?;
        }
        transaction.prepare_cached("RELEASE job")?.execute([])?;
    }
    transaction.commit()
}

/// The same error for another caller.
fn again(e: &rusqlite::Error) -> rusqlite::Error {
    if let rusqlite::Error::SqliteFailure(code, text) = e {
        return rusqlite::Error::SqliteFailure(*code, text.clone());
    }
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(e.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn writer(folder: &tempfile::TempDir) -> Writer {
        let path = folder.path().join("writer.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (n INTEGER UNIQUE)").unwrap();
        Writer::new(path.into())
    }

    fn insert(n: i64) -> impl FnOnce(&Transaction<'_>) -> Result<i64, Trouble> + Send + 'static {
        move |transaction| {
            transaction.prepare_cached("INSERT INTO t VALUES (?1)")?.execute([n])?;
            Ok(n)
        }
    }

    async fn numbers(writer: &Writer) -> Vec<i64> {
        let read = |transaction: &Transaction<'_>| {
            let mut statement = transaction.prepare("SELECT n FROM t ORDER BY n")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?)
        };
        writer.write(Commit::Ordered, read).await.unwrap().ok().unwrap()
    }

    /// Holds the queue up until the barrier is passed, so that what is put meanwhile forms one group.
    fn hold(writer: &Writer) -> (Arc<Barrier>, tokio::task::JoinHandle<()>) {
        let held = Arc::new(Barrier::new(2));
        let (on_writer, on_job) = (writer.clone(), Arc::clone(&held));
        let holding = tokio::spawn(async move {
            let wait = move |_: &Transaction<'_>| {
                on_job.wait();
                on_job.wait();
                Ok(())
            };
            on_writer.write(Commit::Ordered, wait).await;
        });
        held.wait();
        (held, holding)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn work_that_fails_in_a_group_undoes_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        writer.write(Commit::Ordered, insert(2)).await;
        let (held, holding) = hold(&writer);
        let puts: Vec<_> = (1..=3)
            .map(|n| {
                let writer = writer.clone();
                tokio::spawn(async move {
                    let twice = move |transaction: &Transaction<'_>| {
                        insert(n + 10)(transaction)?;
                        insert(n)(transaction)
                    };
                    writer.write(Commit::Durable, twice).await.unwrap().is_ok()
                })
            })
            .collect();
        while writer.queue().jobs.len() < 3 {
            tokio::task::yield_now().await;
        }
        held.wait();
        holding.await.unwrap();
        let mut kept = Vec::new();
        for put in puts {
            kept.push(put.await.unwrap());
        }
        assert_eq!(kept, [true, false, true]);
        assert_eq!(numbers(&writer).await, [1, 2, 3, 11, 13]);
    }

    #[tokio::test]
    async fn a_panic_takes_away_its_own_work_and_what_comes_after_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        let broken = |_: &Transaction<'_>| -> Result<(), Trouble> { panic!("broken") };
        assert!(writer.write(Commit::Ordered, broken).await.is_none());
        assert!(matches!(writer.write(Commit::Ordered, insert(1)).await, Some(Ok(1))));
        assert_eq!(numbers(&writer).await, [1]);
    }

    #[tokio::test]
    async fn many_callers_at_once_are_all_answered() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        let puts: Vec<_> = (0..200)
            .map(|n| {
                let writer = writer.clone();
                tokio::spawn(async move { writer.write(Commit::Ordered, insert(n)).await.unwrap().is_ok() })
            })
            .collect();
        for put in puts {
            assert!(put.await.unwrap());
        }
        assert_eq!(numbers(&writer).await, (0..200).collect::<Vec<_>>());
    }
}
