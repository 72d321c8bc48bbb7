//! Programs of two versions on one store.

use crate::both_engines;
use crate::plans::{EVERYBODY, note};
use crate::world::Setting;

both_engines! {
    async fn a_store_that_a_newer_program_has_migrated_is_refused(setting: Setting) {
        let world = Setting { workers: 0, ..setting.contacts(10) }.start().await;
        let newest = "(SELECT max(version) FROM infill_schema_history)";
        world.tamper(&format!("UPDATE infill_schema_history SET version = version + 1 WHERE version = {newest}")).await;
        let plan = world.plan(&note(EVERYBODY, ""));
        let plan = plan.to_str().expect("a path in UTF-8");
        for args in [&["run", plan, "--all"][..], &["worker"], &["planner"], &["runs"]] {
            let printed = world.infill(args).await;
            assert_eq!(printed.code, 2, "{args:?}: {}", printed.err);
            assert!(printed.err.contains("the store has schema"), "{args:?}: {}", printed.err);
            assert!(printed.err.contains("run the same Infill version everywhere"), "{args:?}: {}", printed.err);
        }
        assert!(world.control.ledger().is_empty());
    }
}
