//! HubSpot refuses rows or whole batches, leaves records out, or does nothing: the good rows are delivered all the same.

use infill_model::{Class, Outcome, RunState, Stage};
use infill_sim::hubspot::ApiVersion;
use infill_store::store::LetterStatus;

use crate::both_engines;
use crate::plans::{EVERYBODY, NOTE, note, same_note};
use crate::world::{Ended, Setting, World};

/// Checks that exactly these records were refused by HubSpot for their value, and all others delivered.
async fn check_refused(world: &World, ended: &Ended, n_rows: u64, guilty: &[u64]) {
    let n_guilty = u64::try_from(guilty.len()).unwrap();
    assert_eq!(ended.run.state, RunState::Completed, "{}", ended.printed.err);
    assert_eq!(ended.records(Outcome::Failed), guilty);
    assert_eq!(ended.count(Outcome::Verified), n_rows - n_guilty);
    assert_eq!(ended.printed.code, 1, "{}", ended.printed.out);
    let hint = format!("infill dead-letters --run {}   ({n_guilty} open)", ended.run.id);
    assert!(ended.printed.out.contains(&hint), "{}", ended.printed.out);

    let letters = world.letters(&ended.run).await;
    let mut records: Vec<u64> =
        letters.iter().map(|letter| letter.letter.record.as_str().parse().unwrap()).collect();
    // Batches fail in any order.
    records.sort_unstable();
    assert_eq!(records, guilty);
    for letter in &letters {
        let cause = &letter.letter.cause;
        assert_eq!((cause.class, cause.code.as_str()), (Class::Rejected, "INVALID_OPTION"));
        assert_eq!(cause.property.as_deref(), Some(NOTE));
        assert!(cause.message.contains("was not one of the allowed options"), "{}", cause.message);
        assert_eq!(
            (letter.letter.stage, letter.status, letter.attempts),
            (Stage::Run, LetterStatus::Open, 1)
        );
    }
    let written = world.control.writes_per_record("contacts").unwrap();
    assert!(guilty.iter().all(|record| !written.contains_key(record)), "a refused row was written");
    assert!(written.values().all(|n_writes| *n_writes == 1), "a row was written twice");
}

both_engines! {
    async fn one_bad_row_among_a_hundred_is_told_by_its_trace(setting: Setting) {
        let world = setting.contacts(105).faults("bad-row,record=100050").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        check_refused(&world, &ended, 105, &[100_050]).await;
        assert_eq!(world.batch_updates(), 2, "the canary and one batch, nothing halved");
    }

    async fn a_batch_refused_as_a_whole_is_halved_down_to_its_one_bad_row(setting: Setting) {
        let mut setting = setting.contacts(105).faults("bad-row,record=100050");
        setting.portal.switches.traced_partial = false;
        let world = setting.start().await;
        let ended = world.run(&same_note(EVERYBODY)).await;
        check_refused(&world, &ended, 105, &[100_050]).await;
        // The canary, the batch, and two halves on each of its seven levels.
        assert!((9..=16).contains(&world.batch_updates()), "{} calls", world.batch_updates());
    }

    async fn a_batch_refused_as_a_whole_is_halved_down_to_its_several_bad_rows(setting: Setting) {
        let mut setting = setting.contacts(205).faults("bad-row,record=100010|100050|100051|100105|100200");
        setting.portal.switches.traced_partial = false;
        let world = setting.start().await;
        let ended = world.run(&same_note(EVERYBODY)).await;
        check_refused(&world, &ended, 205, &[100_010, 100_050, 100_051, 100_105, 100_200]).await;
    }

    async fn a_whole_refusal_that_names_a_value_costs_one_more_call(setting: Setting) {
        let mut setting = setting.contacts(105).faults("bad-row,record=100050");
        setting.portal.switches.traced_partial = false;
        let world = setting.start().await;
        let plan =
            note(EVERYBODY, "").replace("{{input.lastname}};", "{{input.lastname}} + {{input.email}};");
        let plan = plan.replace("[firstname, lastname]", "[firstname, lastname, email]");
        let ended = world.run(&plan).await;
        check_refused(&world, &ended, 105, &[100_050]).await;
        assert_eq!(
            world.batch_updates(),
            3,
            "the canary, the refused batch, the batch without the guilty row"
        );
    }

    async fn an_archived_record_is_gone_by_every_version_of_the_api(setting: Setting) {
        let pair = setting.pair;
        for (version, spoken) in
            [(ApiVersion::V3, "v3"), (ApiVersion::V2026_03, "2026-03"), (ApiVersion::V2026_09, "2026-09")]
        {
            let mut setting =
                Setting::new(pair).contacts(105).connection(&format!("api_version = \"{spoken}\"\n"));
            setting.portal.api_version = version;
            let world = setting.start().await;
            let archive = |portal: &infill_sim::hubspot::Control| {
                portal.archive("contacts", 100_050).unwrap();
                portal.archive("contacts", 100_060).unwrap();
            };
            let ended = world.run_changed(&note(EVERYBODY, ""), archive, "").await;
            assert_eq!(ended.run.state, RunState::Completed, "{spoken}: {}", ended.printed.err);
            assert_eq!(ended.records(Outcome::Gone), [100_050, 100_060], "{spoken}");
            assert_eq!((ended.count(Outcome::Verified), ended.printed.code), (103, 1), "{spoken}");
            assert_eq!(ended.result(100_050).survivor, None);
            assert!(world.letters(&ended.run).await.is_empty(), "{spoken}: gone is no failure");
        }
    }

    async fn a_merged_id_left_out_of_a_200_is_gone_with_its_survivor(setting: Setting) {
        let world = setting.contacts(105).start().await;
        let merge =
            |portal: &infill_sim::hubspot::Control| portal.merge("contacts", 100_090, 100_050).unwrap();
        let ended = world.run_changed(&note(EVERYBODY, ""), merge, "").await;
        assert_eq!(ended.run.state, RunState::Completed, "{}", ended.printed.err);
        assert_eq!(ended.records(Outcome::Gone), [100_050]);
        assert_eq!(ended.result(100_050).survivor.as_ref().map(|id| id.as_str()), Some("100090"));
        assert_eq!((ended.count(Outcome::Verified), ended.printed.code), (104, 1));
        let written = world.control.writes_per_record("contacts").unwrap();
        assert_eq!(
            (written.get(&100_090), written.get(&100_050)),
            (Some(&1), None),
            "the survivor got its own value only"
        );
    }

    async fn a_record_that_was_gone_before_the_pull_is_gone_and_nothing_is_sent_for_it(setting: Setting) {
        let world = setting.contacts(20).start().await;
        // Still a member, as of a list that was evaluated before the record was deleted.
        world.control.archive("contacts", 100_010).unwrap();
        world.control.add_members("42", &[100_010]).unwrap();
        let ended = world.run(&note(EVERYBODY, "")).await;
        assert_eq!(ended.records(Outcome::Gone), [100_010]);
        assert_eq!((ended.count(Outcome::Verified), ended.printed.code), (19, 1), "{}", ended.printed.out);
    }

    async fn a_record_said_to_be_missing_that_is_there_is_written_after_all(setting: Setting) {
        let world =
            setting.contacts(105).faults("missing,record=100050,op=batch-update,count=1").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        ended.all(Outcome::Verified, 105);
    }

    async fn a_2xx_with_nothing_done_is_read_back_and_written_again(setting: Setting) {
        let world = setting.contacts(105).faults("no-op,op=batch-update,count=2").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        ended.all(Outcome::Verified, 105);
        assert!(world.control.writes_per_record("contacts").unwrap().values().all(|n_writes| *n_writes == 1));
        // The canary three times, of which two did nothing, and the batch.
        assert_eq!(world.batch_updates(), 4);
    }

    async fn a_record_left_out_in_silence_is_read_back_and_written_again(setting: Setting) {
        let world = setting.contacts(105).faults("omit,record=100050,op=batch-update,count=1").start().await;
        let ended = world.run(&note(EVERYBODY, "")).await;
        ended.all(Outcome::Verified, 105);
        assert_eq!(world.batch_updates(), 3, "the canary, the batch, the one row again");
    }
}
