//! Logins that expire, rotate, or are revoked while a run is under way.

use infill_model::{Outcome, RunState};
use infill_sim::hubspot::{Operation, SIM_CLIENT_ID, SIM_CLIENT_SECRET, SIM_REFRESH_TOKEN};

use crate::both_engines;
use crate::plans::{EVERYBODY, note};
use crate::world::{Pair, Setting, World};

/// 32 bytes as base64; it opens nothing but a test's own store.
pub(crate) const VAULT_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A connection that logs in with OAuth.
pub(crate) fn with_oauth(setting: Setting) -> Setting {
    let mut setting = setting.connection(&format!(
        "[connections.main.oauth]\nclient_id = \"{SIM_CLIENT_ID}\"\nclient_secret_env = \"SIM_CLIENT_SECRET\"\n\
         refresh_token_env = \"SIM_REFRESH_TOKEN\"\n"
    ));
    let secrets = [
        ("SIM_CLIENT_SECRET", SIM_CLIENT_SECRET),
        ("SIM_REFRESH_TOKEN", SIM_REFRESH_TOKEN),
        ("INFILL_SECRET_KEY", VAULT_KEY),
    ];
    setting.env.extend(secrets.map(|(name, secret)| (name.to_owned(), secret.to_owned())));
    setting
}

/// Waits until many batches are on their way: their writes are committed and their answers slow.
async fn writes_under_way(world: &World) {
    world.wait_for("writes are under way", async || (world.control.ledger().len() > 100).then_some(())).await;
}

fn grants(world: &World) -> u64 {
    world.control.report().calls(Operation::OauthToken).received
}

both_engines! {
    async fn a_token_that_expires_on_the_way_is_renewed_once_for_all_workers(setting: Setting) {
        let world = with_oauth(setting.contacts(1_005)).faults("delay,op=batch-update,ms=300").start().await;
        let expiring = async {
            writes_under_way(&world).await;
            world.control.expire_tokens();
        };
        let plan = note(EVERYBODY, "");
        let (ended, ()) = tokio::join!(world.run(&plan), expiring);
        ended.all(Outcome::Verified, 1_005);
        world.check_no_second_value();
        assert!(world.control.report().unauthorized >= 1, "no call met the end of its token");
        assert_eq!(grants(&world), 2, "one for the start and one for the expired token");
    }

    async fn refresh_tokens_that_rotate_are_kept_for_the_next_process(setting: Setting) {
        let mut setting = with_oauth(setting.contacts(1_005));
        setting.portal.oauth.rotates_refresh_tokens = true;
        let world = setting.faults("delay,op=batch-update,ms=300").start().await;
        let expiring = async {
            writes_under_way(&world).await;
            world.control.expire_tokens();
        };
        let plan = note(EVERYBODY, "");
        let (first, ()) = tokio::join!(world.run(&plan), expiring);
        first.all(Outcome::Verified, 1_005);
        assert_eq!(grants(&world), 2);
        // The configuration's refresh token is worth nothing by now.
        world.control.expire_tokens();
        world.run(&plan).await.all(Outcome::Unchanged, 1_005);
        assert_eq!(grants(&world), 3);
    }

    async fn a_revoked_login_pauses_the_connection_once_and_a_mended_one_goes_on(setting: Setting) {
        let mut world =
            with_oauth(setting.contacts(1_005)).faults("delay,op=batch-update,ms=300").start().await;
        let path = world.plan(&note(EVERYBODY, ""));
        let revoking = async {
            writes_under_way(&world).await;
            world.control.revoke_refresh_tokens();
            world.control.expire_tokens();
        };
        let args = ["run", path.to_str().unwrap(), "--all"];
        let (printed, ()) = tokio::join!(world.infill(&args), revoking);
        assert_eq!(printed.code, 3, "{}", printed.err);
        let run = world.latest().await;
        assert_eq!(run.state, RunState::Running);
        assert!(printed.err.contains("connection main is paused"), "{}", printed.err);
        assert!(
            printed.err.contains(&format!("mend the login, then `infill run --resume {}`", run.id)),
            "{}",
            printed.err
        );
        assert!(world.letters(&run).await.is_empty(), "a lost login is no row's fault");
        assert_eq!(run.progress.counts.failed, 0);
        let n_refused = world.control.report().unauthorized;
        assert!(n_refused <= 16, "{n_refused} calls were sent with a revoked login");

        // A person installs the app again and configures what it was given.
        world.control.install_app("fresh-refresh-token");
        world.set_env("SIM_REFRESH_TOKEN", "fresh-refresh-token");
        world.set_faults("");
        world.restart_crew().await;
        let printed = world.infill(&["run", "--resume", "latest"]).await;
        assert_eq!(printed.code, 0, "{}\n{}", printed.err, world.logs());
        let run = world.latest().await;
        assert_eq!((run.state, run.progress.counts.verified), (RunState::Completed, 1_005));
        world.check_no_second_value();
        assert!(world.letters(&run).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_on_the_way_pauses_and_the_test_of_the_connection_ends_the_pause() {
    let world = Setting::new(Pair::Embedded).contacts(305).start().await;
    let path = world.plan(&note(EVERYBODY, ""));
    let path = path.to_str().unwrap();
    world.set_faults("401,op=batch-update,after=1");
    let printed = world.infill(&["run", path, "--all"]).await;
    assert_eq!(printed.code, 3, "{}", printed.err);
    assert!(printed.err.contains("connection main is paused"), "{}", printed.err);

    let listed = world.infill(&["connections", "list"]).await;
    assert!(listed.out.contains("its login is refused: "), "{}\n{}", listed.out, listed.err);
    let audit = world.infill(&["audit", "--by", "infill"]).await;
    assert!(audit.out.contains("connection-paused"), "{}", audit.out);
    let paused = world.infill(&["lists", "main"]).await;
    assert_eq!(paused.code, 2, "{}", paused.err);
    assert!(paused.err.contains("`infill connections test main` resumes it"), "{}", paused.err);
    world.set_faults("401");
    let unmended = world.infill(&["connections", "test", "main"]).await;
    assert_eq!(unmended.code, 2, "{}", unmended.err);

    world.set_faults("");
    let tested = world.infill(&["connections", "test", "main"]).await;
    assert_eq!(tested.code, 0, "{}", tested.err);
    let listed = world.infill(&["connections", "list"]).await;
    assert!(!listed.out.contains("refused"), "{}", listed.out);
    let resumed = world.infill(&["run", "--resume", "latest"]).await;
    assert_eq!(resumed.code, 0, "{}", resumed.err);
    assert_eq!(world.latest().await.progress.counts.verified, 305);
}
