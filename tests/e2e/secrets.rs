//! Nothing secret is printed, logged, or kept in clear.

use infill_model::Outcome;
use infill_sim::hubspot::{SIM_CLIENT_SECRET, StaticToken};

use crate::both_engines;
use crate::login::with_oauth;
use crate::plans::{EVERYBODY, note};
use crate::world::World;

/// What a command may show of a run, in every form.
const LISTINGS: [&[&str]; 9] = [
    &["show", "latest"],
    &["show", "latest", "--format", "json"],
    &["rows", "latest", "--format", "json"],
    &["rows", "latest", "--format", "csv"],
    &["runs", "--format", "json"],
    &["dead-letters", "list", "--format", "json"],
    &["connections", "list", "--format", "json"],
    &["connections", "test", "main", "--format", "json"],
    &["lists", "main"],
];

/// Everything that was printed by listings, and everything that was left behind.
async fn all_there_is(world: &World) -> String {
    let mut all = world.left_behind().await;
    for args in LISTINGS {
        let printed = world.infill(args).await;
        all.push_str(&printed.out);
        all.push_str(&printed.err);
    }
    assert!(
        all.contains("100050") && all.contains("TRACE"),
        "what was looked through is not what it should be"
    );
    all
}

#[track_caller]
pub(crate) fn check_absent(secret: &str, from: &str) {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    for form in [secret, &hex] {
        if let Some((before, _)) = from.split_once(form) {
            let line = before.lines().next_back().unwrap_or_default();
            panic!("\"{secret}\" was found after: {line}");
        }
    }
}

both_engines! {
    async fn a_token_is_in_no_output_log_letter_or_store(setting: Setting) {
        const TOKEN: &str = "pat-na1-5ca1ab1e-0000-4bad-f00d-c0ffee000001";
        let mut setting = setting.contacts(205);
        setting.portal.tokens = vec![StaticToken::with_all_scopes(TOKEN, 1_000_001)];
        let mut world = setting.start().await;
        world.set_env("SIM_TOKEN", TOKEN);
        world.set_env("INFILL_LOG", "trace");
        world.restart_crew().await;
        world.set_faults(
            "bad-row,record=100050;lost-504,op=batch-update,count=1;503,op=batch-read,count=1;reset,count=2;\
             malformed,op=properties,after=1,count=1",
        );
        let plan = note(EVERYBODY, "");
        let mut printed = String::new();
        // The first answers break, so the first attempts at the command line may end early.
        for _ in 0..3 {
            let path = world.plan(&plan);
            let attempt = world.infill(&["run", path.to_str().unwrap(), "--all"]).await;
            printed.push_str(&attempt.out);
            printed.push_str(&attempt.err);
        }
        assert_eq!(world.latest().await.progress.counts.total(), 205, "{printed}");
        world.set_faults("401");
        let path = world.plan(&plan);
        let refused = world.infill(&["run", path.to_str().unwrap(), "--all"]).await;
        assert_eq!(refused.code, 2, "{}", refused.err);
        printed.push_str(&refused.err);
        world.set_faults("");
        check_absent(TOKEN, &printed);
        check_absent(TOKEN, &all_there_is(&world).await);
    }

    async fn an_oauth_login_is_kept_encrypted_and_printed_nowhere(setting: Setting) {
        let mut setting = with_oauth(setting.contacts(105));
        setting.portal.oauth.rotates_refresh_tokens = true;
        setting.env.push(("INFILL_LOG".to_owned(), "trace".to_owned()));
        let world = setting.start().await;
        let ended = world
            .run_changed(&note(EVERYBODY, ""), |portal| portal.expire_tokens(), "bad-row,record=100050")
            .await;
        assert_eq!(ended.count(Outcome::Verified), 104, "{}", ended.printed.err);
        world.control.revoke_refresh_tokens();
        world.control.expire_tokens();
        let path = world.plan(&note(EVERYBODY, ""));
        let refused = world.infill(&["run", path.to_str().unwrap(), "--all"]).await;
        assert_eq!(refused.code, 2, "{}", refused.err);
        let all = [all_there_is(&world).await, ended.printed.out, ended.printed.err, refused.err].concat();
        for secret in [SIM_CLIENT_SECRET, "sim-refresh-", "sim-access-", crate::login::VAULT_KEY] {
            check_absent(secret, &all);
        }
    }
}
