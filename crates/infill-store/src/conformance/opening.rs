//! Opening a store: by several programs at once, by an older one, where it cannot be.

use std::path::Path;
use std::sync::Arc;

use infill_testkit::{ChaosProxy, Schema, services};
use tempfile::TempDir;

use super::values::{at, at_once, new_run, run_id};
use super::{Ticking, World};
use crate::store::RunFilter;
use crate::{Error, Postgres, Sqlite, Store, migrations};

pub(super) async fn programs_that_start_at_once_share_the_store(world: &World) {
    world.store.create_run(&new_run(1)).await.unwrap();
    let ready = at_once(4, async |_| {
        let store = world.open(None).await.unwrap();
        store.ready().await.unwrap();
        store.run(run_id(1)).await.unwrap().is_some()
    });
    assert_eq!(ready.await, [true; 4]);
}

pub(super) async fn a_store_of_a_newer_program_is_refused(world: &World) {
    world.store.ready().await.unwrap();
    world
        .tamper(
            "INSERT INTO infill_schema_history (version, name, applied_on, checksum) \
             VALUES (99990101000000, 'later', '2099-01-01T00:00:00Z', '1')",
        )
        .await;
    let newest = migrations::known(&migrations::runner(migrations::SQLITE).unwrap());
    for refused in [world.store.ready().await, world.open(None).await.map(drop)] {
        let Err(Error::Version { found, known }) = refused else { panic!("{refused:?}") };
        assert_eq!((found, known), (99_990_101_000_000, newest));
    }
}

async fn open(path: &Path) -> Result<Sqlite, Error> {
    Sqlite::open(path, None, Arc::new(Ticking::default())).await
}

#[tokio::test]
async fn programs_that_make_the_same_file_at_once_all_open_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("new/infill.db");
    for opened in at_once(4, async |_| open(&path).await).await {
        opened.unwrap().create_run(&new_run(1)).await.unwrap();
    }
}

#[tokio::test]
async fn programs_that_make_the_same_schema_at_once_all_open_it() {
    let schema = Schema::create(services::database_url().unwrap_or_else(|e| panic!("{e}"))).await.unwrap();
    schema.remove().await.unwrap();
    let opened = at_once(4, async |_| {
        Postgres::connect(schema.url().into(), Some(schema.name().to_owned()), None).await
    })
    .await;
    schema.remove().await.unwrap();
    for opened in opened {
        opened.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_not_a_store_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but somebody's notes, longer than a header of SQLite is").unwrap();
    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    for path in [text, foreign] {
        let before = std::fs::read(&path).unwrap();
        let refused = open(&path).await.unwrap_err();
        assert!(refused.is_final(), "{refused}");
        assert!(refused.to_string().contains("another"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    let refused = open(&folder.path().join("notes.txt/infill.db")).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_readable_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("infill.db");
    open(&path).await.unwrap().create_run(&new_run(1)).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{entry:?}");
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_the_program_is_gone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("infill.db");
    let store = open(&path).await.unwrap();
    store.create_run(&new_run(1)).await.unwrap();
    // As after kill -9: nothing is closed, the log is as it stands.
    let copy = TempDir::new().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let survivor = open(&copy.path().join("infill.db")).await.unwrap();
    assert!(survivor.run(run_id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_database_that_went_away_is_used_again_when_it_is_back() {
    let url = services::database_url().unwrap_or_else(|e| panic!("{e}"));
    let config: tokio_postgres::Config = url.parse().unwrap();
    let tokio_postgres::config::Host::Tcp(host) = &config.get_hosts()[0] else { panic!("not TCP: {url}") };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let upstream = tokio::net::lookup_host((host.as_str(), port)).await.unwrap().next().unwrap();
    let proxy = ChaosProxy::start(upstream).await.unwrap();
    let schema = Schema::create(&url).await.unwrap();
    let through = url.replacen(&format!("{host}:{port}"), &proxy.addr().to_string(), 1);
    assert_ne!(through, url);
    let store = Postgres::connect(through.into(), Some(schema.name().to_owned()), None).await.unwrap();
    store.create_run(&new_run(1)).await.unwrap();
    at_once(4, async |_| store.runs(&RunFilter::default()).await.unwrap()).await;

    proxy.refuse();
    proxy.cut();
    let lost = store.add_calls(run_id(1), 1).await.unwrap_err();
    assert!(matches!(lost, Error::Unreachable { .. }), "{lost:?}");
    assert!(store.ready().await.is_err());
    proxy.restore();
    store.ready().await.unwrap();
    for answer in at_once(4, async |_| store.add_calls(run_id(1), 1).await).await {
        answer.unwrap();
    }
    let calls = store.progress(run_id(1)).await.unwrap().calls;
    schema.remove().await.unwrap();
    assert_eq!(calls, 4);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_says_what_to_do() {
    let url = services::database_url().unwrap_or_else(|e| panic!("{e}"));
    let (server, _) = url.rsplit_once('/').unwrap();
    let missing =
        Postgres::connect(format!("{server}/no_such_database").into(), None, None).await.unwrap_err();
    assert!(
        matches!(missing, Error::Refused { .. }) && missing.to_string().contains("createdb"),
        "{missing}"
    );
    let nobody =
        Postgres::connect("postgres://me:hunter2@127.0.0.1:1/x".into(), None, None).await.unwrap_err();
    assert!(matches!(nobody, Error::Unreachable { .. }), "{nobody:?}");
    assert!(!format!("{nobody:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_connection_that_must_be_encrypted_never_falls_back_to_plain_text() {
    let url = services::database_url().unwrap_or_else(|e| panic!("{e}"));
    let separator = if url.contains('?') { '&' } else { '?' };
    // No server for tests has a certificate that the public roots vouch for.
    let refused = Postgres::connect(format!("{url}{separator}sslmode=require").into(), None, None).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn many_programs_write_to_one_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("infill.db");
    open(&path).await.unwrap().create_run(&new_run(1)).await.unwrap();
    at_once(4, async |_| {
        let store = open(&path).await.unwrap();
        for _ in 0..10 {
            store.add_calls(run_id(1), 1).await.unwrap();
            store.park_run(run_id(1), None).await.unwrap();
        }
    })
    .await;
    let store = open(&path).await.unwrap();
    assert_eq!(store.progress(run_id(1)).await.unwrap().calls, 40);
    assert!(store.stale_work(None, at(0), 1).await.is_ok());
}
