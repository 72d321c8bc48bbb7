//! Answers that get lost after the commit: no row is written twice with different values, and none is missing.

use infill_model::Outcome;
use infill_sim::hubspot::Operation;

use crate::both_engines;
use crate::plans::{EVERYBODY, note};
use crate::world::World;

/// Runs a plan whose every second write loses its answer in this way.
async fn check_lost(world: World) {
    let ended = world.run(&note(EVERYBODY, "")).await;
    ended.all(Outcome::Verified, 405);
    world.check_no_second_value();
    let report = world.control.report();
    let n_lost: u64 = report.faults.iter().map(|(_, n_strikes)| *n_strikes).sum();
    assert!(n_lost >= 2, "{:?}", report.faults);
    // What the read-back shows to be written is not sent again.
    assert_eq!((report.records_written, report.most_writes_of_one_property), (405, 1));
}

both_engines! {
    async fn a_connection_reset_after_the_commit_costs_no_second_write(setting: Setting) {
        check_lost(setting.contacts(405).faults("lost-reset,op=batch-update,every=2").start().await).await;
    }

    async fn a_gateway_timeout_after_the_commit_costs_no_second_write(setting: Setting) {
        check_lost(setting.contacts(405).faults("lost-504,op=batch-update,every=2").start().await).await;
    }

    async fn an_answer_cut_off_after_the_commit_costs_no_second_write(setting: Setting) {
        check_lost(setting.contacts(405).faults("malformed,op=batch-update,every=2").start().await).await;
    }

    async fn a_connection_reset_before_the_commit_is_tried_again(setting: Setting) {
        let world = setting.contacts(205).faults("reset,op=batch-update,every=2,count=2").start().await;
        world.run(&note(EVERYBODY, "")).await.all(Outcome::Verified, 205);
        assert_eq!(world.control.report().calls(Operation::BatchUpdate).reset, 2);
        world.check_no_second_value();
    }

    async fn a_lost_answer_whose_read_back_fails_too_is_found_written_by_the_next_attempt(setting: Setting) {
        let world = setting.contacts(105).start().await;
        let faults = "lost-504,op=batch-update,count=1;503,op=batch-read,count=1";
        let ended = world.run_changed(&note(EVERYBODY, ""), |_| {}, faults).await;
        ended.all(Outcome::Verified, 105);
        let report = world.control.report();
        assert_eq!((report.records_written, report.most_writes_of_one_property), (105, 1));
        assert_eq!(world.batch_updates(), 2, "the canary once, though its answer was lost, and the batch");
    }
}
