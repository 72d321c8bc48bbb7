//! Where a benchmark works: the services it was given, and whether somebody wants it to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use infill_broker::rabbitmq::{Config, RabbitMq};
use infill_testkit::schema::drop_schema;
use tokio::runtime::Handle;

/// How long taking away may last. A busy machine deletes two dozen queues in seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The services, shared with everybody who makes something there.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) amqp_url: String,
    pub(crate) database_url: String,
    interrupted: Arc<AtomicBool>,
    /// What to take things away with: a benchmark measures on a thread without a runtime.
    runtime: Handle,
}

impl Site {
    /// On these services.
    pub(crate) fn new(amqp_url: &str, database_url: &str, runtime: Handle) -> Self {
        let interrupted = Arc::default();
        Self { amqp_url: amqp_url.to_owned(), database_url: database_url.to_owned(), interrupted, runtime }
    }

    /// Ends what is measured; it takes away what it made.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Takes away the schema and the queues of this name. What cannot be taken away is told and left.
    pub(super) fn forget(&self, name: &str) {
        let config = Config { prefix: name.to_owned(), ..Config::new(self.amqp_url.clone().into(), "bench") };
        let told = |what: &str, error: String| eprintln!("warning: {what} {name} are left behind: {error}");
        self.runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, drop_schema(&self.database_url, name)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => told("the tables of", error.to_string()),
                Err(_) => told("the tables of", "no answer".to_owned()),
            }
            match tokio::time::timeout(PATIENCE, RabbitMq::delete_topology(config)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => told("the queues of", error.to_string()),
                Err(_) => told("the queues of", "no answer".to_owned()),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use infill_broker::Broker as _;
    use infill_testkit::schema::Schema;
    use infill_testkit::services;

    use super::*;

    #[tokio::test]
    async fn what_was_made_under_a_name_is_taken_away() {
        let (amqp_url, database_url) = (services::amqp_url().unwrap(), services::database_url().unwrap());
        let schema = Schema::create(&database_url).await.unwrap();
        let name = schema.name().to_owned();
        let config = Config { prefix: name.clone(), ..Config::new(amqp_url.clone().into(), "bench") };
        RabbitMq::connect(config.clone()).await.unwrap().close().await;
        assert_eq!(RabbitMq::lacks(config.clone()).await.unwrap(), Vec::<String>::new());

        let site = Site::new(&amqp_url, &database_url, Handle::current());
        let again = site.clone();
        tokio::task::spawn_blocking(move || again.forget(&name)).await.unwrap();
        assert!(!RabbitMq::lacks(config).await.unwrap().is_empty());
        assert!(schema.remove().await.is_err(), "the schema is still there");
    }
}
