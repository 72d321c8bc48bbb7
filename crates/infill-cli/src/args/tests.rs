//! What can be typed, and what cannot.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn parsed(line: &str) -> Result<Command, clap::Error> {
    Args::try_parse_from(line.split(' ')).map(|args| args.command)
}

#[test]
fn the_definition_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn what_the_help_shows_can_be_typed() {
    for line in [
        "infill demo --keep",
        "infill demo --crm salesforce",
        "infill demo --crm pipedrive --keep",
        "infill check plan.yaml --format json",
        "infill run plan.yaml",
        "infill run plan.yaml --limit 200 --detach",
        "infill run plan.yaml --all --wait",
        "infill run --resume latest",
        "infill runs --unfinished --plan n --limit 3",
        "infill show 018bcfe5-6800-7707-8707-070707070707",
        "infill rows 0707 --outcome failed --outcome held --format csv",
        "infill rows latest --record 101",
        "infill why main-hubspot contacts 101 phone --format json",
        "infill purge latest --yes",
        "infill purge --older-than 90d",
        "infill cancel latest",
        "infill cancel latest --as ann",
        "infill pause latest",
        "infill pause --connection main-hubspot",
        "infill resume 0707",
        "infill resume --connection main-hubspot --as ann",
        "infill audit",
        "infill audit --run latest --by ann@desk --since 2d --limit 3 --format json",
        "infill forget note",
        "infill forget note --connection main-hubspot --yes",
        "infill dead-letters list --run latest --code INVALID_OPTION --status all --format json",
        "infill dead-letters show 17",
        "infill dead-letters retry 17 18",
        "infill dead-letters retry --run latest --code INVALID_OPTION --yes",
        "infill dead-letters",
        "infill dead-letters --cause 8c1d2f3a --property phone --plan n --connection main --since 2d --limit 3",
        "infill dead-letters list --cause 8c1d2f3a",
        "infill dead-letters retry --cause 8c1d2f3a --set lifecyclestage=lead --set phone=",
        "infill dead-letters retry --plan Greeting --with-plan greeting.yaml --detach",
        "infill dead-letters discard --all --why sold",
        "infill lists main-hubspot --format json",
        "infill properties main-hubspot contacts phone",
        "infill connections list",
        "infill connections test main-hubspot",
        "infill worker --concurrency 8 --listen 0.0.0.0:9464",
        "infill planner --listen 127.0.0.1:0",
        "infill sim hubspot --port 8080 --generate 1000 --limit unlimited --seed 7 --api-version v3",
        "infill sim hubspot --faults 503,op=batch-update,count=3",
        "infill schema --of config",
        "infill completions bash",
        "infill runs --config other.toml --log-format json --log debug",
    ] {
        assert!(parsed(line).is_ok(), "{line}: {}", parsed(line).unwrap_err());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (line, kind) in [
        ("infill run", ErrorKind::MissingRequiredArgument),
        ("infill run plan.yaml --resume latest", ErrorKind::ArgumentConflict),
        ("infill run plan.yaml --all --limit 3", ErrorKind::ArgumentConflict),
        ("infill run plan.yaml --wait --detach", ErrorKind::ArgumentConflict),
        ("infill run plan.yaml --limit 0", ErrorKind::ValueValidation),
        ("infill show abc", ErrorKind::ValueValidation),
        ("infill show xyzzy", ErrorKind::ValueValidation),
        ("infill rows latest --outcome faild", ErrorKind::InvalidValue),
        ("infill rows latest --format xml", ErrorKind::InvalidValue),
        ("infill purge --yes", ErrorKind::MissingRequiredArgument),
        ("infill purge latest --older-than 90d", ErrorKind::ArgumentConflict),
        ("infill purge --older-than 1y", ErrorKind::ValueValidation),
        ("infill dead-letters retry", ErrorKind::MissingRequiredArgument),
        ("infill dead-letters retry --yes", ErrorKind::MissingRequiredArgument),
        ("infill dead-letters discard 17 --all --why x", ErrorKind::ArgumentConflict),
        ("infill dead-letters discard 17", ErrorKind::MissingRequiredArgument),
        ("infill dead-letters retry 17 --code X", ErrorKind::ArgumentConflict),
        ("infill dead-letters retry 17 --set phone", ErrorKind::ValueValidation),
        ("infill sim hubspot --limit gold", ErrorKind::ValueValidation),
        ("infill sim hubspot --faults oops", ErrorKind::ValueValidation),
        ("infill sim hubspot --records a.csv --generate 3", ErrorKind::ArgumentConflict),
    ] {
        assert_eq!(parsed(line).unwrap_err().kind(), kind, "{line}");
    }
}

#[test]
fn exit_codes_are_in_the_help() {
    let help = Args::command().render_long_help().to_string();
    for code in ["0  all went well", "1  some rows", "2  usage or configuration", "3  the run could not"] {
        assert!(help.contains(code), "{help}");
    }
}

#[test]
fn a_run_is_meant_by_its_id_or_either_end_of_it() {
    let full = "018bcfe5-6800-7707-8707-070707070aaa";
    let run = full.parse().unwrap();
    for text in [full, "018b", "018bcfe5-68", "0AAA", "7070aaa"] {
        assert!(text.parse::<RunRef>().unwrap().means(run), "{text}");
    }
    for text in ["8bcf", "0aab", "latest"] {
        assert!(!text.parse::<RunRef>().unwrap().means(run), "{text}");
    }
}
