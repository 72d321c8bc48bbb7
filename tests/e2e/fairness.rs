//! A small list that is started while a large one runs ends before it.

use infill_model::RunState;

use crate::both_engines;
use crate::plans::{EVERYBODY, note};
use crate::world::{Pair, Setting};

const N_LARGE: u64 = 5_000;

/// What list 44 holds: the first hundred contacts.
const N_SMALL: u64 = 100;

const SMALL: &str = r#"
name: Membership
connection: main
source: { object: contacts, list: "44" }
writeback:
  properties: [{ name: hs_content_membership_notes, value: Checked }]
"#;

both_engines! {
    async fn a_small_list_is_not_stuck_behind_a_large_one(setting: Setting) {
        let few = |name: &str, n: u32| (format!("INFILL_WORKER_{name}"), n.to_string());
        let setting = Setting {
            workers: 1,
            env: vec![few("CONCURRENCY", 4), few("BATCHES_IN_FLIGHT", 2)],
            ..setting.contacts(5_000).faults("delay,ms=150,op=batch-update|batch-read")
        };
        let mut world = setting.start().await;
        let large = world.record(&note(EVERYBODY, ""), &["--all"]).await;
        if world.pair == Pair::Embedded {
            world.spawn("worker");
        }
        world.until("the large list is being written", |run| run.progress.batches_ran > 1).await;
        let small = world.record(SMALL, &["--all"]).await;
        world.until_final(small).await;
        let at_the_end_of_the_small = world.find(large).await;
        let progress = at_the_end_of_the_small.progress;
        assert_eq!(at_the_end_of_the_small.state, RunState::Running);
        assert!(progress.batches_settled + progress.batches_in_flight < progress.batches, "{progress:?}");
        assert!(progress.batches_in_flight <= 2, "{progress:?}");
        world.until_whole(small, N_SMALL).await;
        world.until_whole(large, N_LARGE).await;
    }
}
