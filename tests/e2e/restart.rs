//! RabbitMQ and PostgreSQL that go away in the middle of a run: stopped, killed, and wiped clean.

use infill_model::RunId;
use infill_testkit::services::{self, PrivatePostgres, PrivateRabbit};

use crate::plans::{EVERYBODY, note};
use crate::world::{Pair, Setting, World};

/// A canary of 5 and six batches.
const N_ROWS: usize = 605;

/// Every write takes a while, so that a server goes away while some batches are in hand and others wait in the queue.
const SLOW_WRITES: &str = "delay,ms=400,op=batch-update,after=1";

fn variable(name: &str, value: u32) -> (String, String) {
    (format!("INFILL_{name}"), value.to_string())
}

/// A world on these servers, with a run whose second write is under way.
async fn in_the_middle(amqp_url: &str, database_url: &str) -> (World, RunId) {
    let setting = Setting {
        services: Some((amqp_url.to_owned(), database_url.to_owned())),
        env: vec![variable("WORKER_CONCURRENCY", 1), variable("PLANNER_REPUBLISH_AFTER_SECONDS", 2)],
        ..Setting::new(Pair::Distributed).contacts(N_ROWS).faults(SLOW_WRITES)
    };
    let world = setting.start().await;
    let run = world.record(&note(EVERYBODY, ""), &["--all"]).await;
    world.until_struck("a batch is written").await;
    (world, run)
}

/// A run on a RabbitMQ of its own.
async fn on_a_private_rabbitmq() -> (PrivateRabbit, World, RunId) {
    let rabbit = PrivateRabbit::start().await.expect("a RabbitMQ");
    let database_url = services::database_url().expect("the shared database");
    let (world, run) = in_the_middle(&rabbit.url(), &database_url).await;
    (rabbit, world, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_a_restart_of_rabbitmq() {
    let (mut rabbit, world, run) = on_a_private_rabbitmq().await;
    rabbit.stop().await.expect("it stops");
    rabbit.start_again().await.expect("it starts");
    world.until_whole(run, N_ROWS as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_a_power_cut_of_rabbitmq() {
    let (mut rabbit, world, run) = on_a_private_rabbitmq().await;
    rabbit.kill().await.expect("it is killed");
    rabbit.start_again().await.expect("it starts");
    world.until_whole(run, N_ROWS as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_ride_through_a_wipe_of_rabbitmq() {
    let (mut rabbit, world, run) = on_a_private_rabbitmq().await;
    rabbit.wipe().await.expect("it starts empty");
    world.until_whole(run, N_ROWS as u64).await;
    assert!(has_published_again(&world, 0), "{}", world.log(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rabbitmq_wiped_clean_loses_no_run() {
    let (mut rabbit, mut world, run) = on_a_private_rabbitmq().await;
    for process in 0..world.crew.len() {
        world.kill(process).await;
    }
    rabbit.wipe().await.expect("it starts empty");
    let planner = world.spawn("planner");
    world.spawn("worker");
    // Tells that nobody is alive who held a batch; else that shows when its lease lapses, two minutes later.
    world.watch();
    world.until_whole(run, N_ROWS as u64).await;
    assert!(has_published_again(&world, planner), "{}", world.log(planner));
}

/// Whether a planner published a batch that was under way.
fn has_published_again(world: &World, planner: usize) -> bool {
    world.log(planner).lines().any(|line| line.contains("work published") && line.contains("batch.no="))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_restarts_of_postgresql() {
    let amqp_url = services::amqp_url().expect("the shared broker");
    let mut postgres = PrivatePostgres::start().await.expect("a PostgreSQL");
    let (world, run) = in_the_middle(&amqp_url, &postgres.url()).await;
    postgres.stop().await.expect("it stops");
    postgres.start_again().await.expect("it starts");
    world.until_whole(run, N_ROWS as u64).await;

    let (world, run) = in_the_middle(&amqp_url, &postgres.url()).await;
    postgres.kill().await.expect("it is killed");
    postgres.start_again().await.expect("it recovers");
    world.until_whole(run, N_ROWS as u64).await;
    // A store that is away costs no attempt: those are for the CRM.
    assert!(!world.all_logs().contains("attempt=2"), "{}", world.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_a_run_waits_for_postgresql_to_come_back() {
    let mut postgres = PrivatePostgres::start().await.expect("a PostgreSQL");
    let amqp_url = services::amqp_url().expect("the shared broker");
    let (mut world, run) = in_the_middle(&amqp_url, &postgres.url()).await;
    let watcher = world.watch();
    world.until_logged(watcher, "run and verify").await;
    postgres.stop().await.expect("it stops");
    world.until_logged(watcher, "the store is out of reach").await;
    postgres.start_again().await.expect("it starts");
    world.until_whole(run, N_ROWS as u64).await;
    assert_eq!(world.exit_code(watcher).await, 0, "{}", world.log(watcher));
}
