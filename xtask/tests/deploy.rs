//! What `deploy/` and `docker-compose.yml` say fits together, as far as that shows without Docker.
#![expect(clippy::panic, reason = "the functions that tests share may fail a test too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("parse {path}: {error}"))
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().map(|items| items.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

#[test]
fn compose_runs_both_services_a_planner_two_workers_and_what_watches_them() {
    let compose = yaml("docker-compose.yml");
    let services = compose["services"].as_object().unwrap();
    for name in ["rabbitmq", "postgres", "planner", "worker", "prometheus", "grafana"] {
        assert!(services.contains_key(name), "no service {name}");
    }
    assert_eq!(services["worker"]["deploy"]["replicas"], 2);
    assert_eq!(strings(&services["planner"]["command"]), ["planner"]);
    assert_eq!(strings(&services["worker"]["command"]), ["worker"]);
}

#[test]
fn every_file_that_compose_mounts_is_there() {
    let compose = yaml("docker-compose.yml");
    let mounts: Vec<String> = compose["services"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|service| strings(&service["volumes"]))
        .filter(|volume| volume.starts_with("./"))
        .map(|volume| volume.split(':').next().unwrap().to_owned())
        .collect();
    assert!(mounts.len() >= 7, "{mounts:?}");
    for mount in mounts {
        assert!(repository().join(&mount).exists(), "{mount} is mounted and not there");
    }
    assert!(
        repository().join(compose["services"]["planner"]["build"]["dockerfile"].as_str().unwrap()).exists()
    );
}

#[test]
fn nothing_is_published_beyond_loopback() {
    let compose = yaml("docker-compose.yml");
    let ports =
        compose["services"].as_object().unwrap().values().flat_map(|service| strings(&service["ports"]));
    for port in ports {
        assert!(port.starts_with("127.0.0.1:"), "{port}");
    }
}

#[test]
fn compose_sets_every_variable_that_the_configuration_names() {
    let compose = yaml("docker-compose.yml");
    let set: BTreeSet<&String> =
        compose["services"]["worker"]["environment"].as_object().unwrap().keys().collect();
    let configuration = read("deploy/infill.toml");
    let named: Vec<&str> = configuration
        .lines()
        .filter_map(|line| line.split_once("_env = \""))
        .map(|(_, variable)| variable.trim_end_matches('"'))
        .collect();
    assert_eq!(named.len(), 3, "{named:?}");
    for variable in named {
        assert!(set.iter().any(|of| *of == variable), "compose does not set {variable}");
    }
}

#[test]
fn the_configuration_is_mounted_where_the_image_looks_for_it() {
    let compose = yaml("docker-compose.yml");
    let mounts = strings(&compose["services"]["worker"]["volumes"]);
    let [mount] = mounts.as_slice() else { panic!("{mounts:?}") };
    let path = mount.split(':').nth(1).unwrap();
    assert!(read("deploy/Dockerfile").contains(&format!("INFILL_CONFIG={path}")), "{path}");
}

#[test]
fn prometheus_scrapes_the_port_that_infill_listens_on() {
    let configuration = read("deploy/infill.toml");
    let port = configuration.lines().find_map(|line| line.strip_prefix("listen = \"0.0.0.0:")).unwrap();
    let port: u64 = port.trim_end_matches('"').parse().unwrap();
    let prometheus = yaml("deploy/prometheus/prometheus.yml");
    let jobs = prometheus["scrape_configs"].as_array().unwrap();
    for service in ["worker", "planner"] {
        let scraped = jobs.iter().any(|job| {
            let discovered = &job["dns_sd_configs"][0];
            strings(&discovered["names"]) == [service] && discovered["port"] == port
        });
        assert!(scraped, "{service} is not scraped at {port}");
    }
}

#[test]
fn every_alert_has_a_severity_a_summary_and_an_action() {
    let alerts = yaml("deploy/prometheus/alerts.yml");
    let groups = alerts["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(names.len(), rules.len(), "two alerts of one name");
    for rule in rules {
        let text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
        assert!(text(&rule["expr"]), "{rule}");
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("page" | "ticket")), "{rule}");
        assert!(text(&rule["annotations"]["summary"]) && text(&rule["annotations"]["action"]), "{rule}");
    }
}

#[test]
fn every_panel_of_the_board_asks_something_of_the_chosen_data_source() {
    let board: Value = serde_json::from_str(&read("deploy/grafana/boards/infill.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "two panels of one id");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
            let expression = target["expr"].as_str().unwrap();
            let depth =
                |open, close| expression.matches(open).count().abs_diff(expression.matches(close).count());
            assert_eq!(depth('(', ')') + depth('{', '}') + depth('[', ']'), 0, "{expression}");
        }
    }
}

#[test]
fn provisioning_parses_and_points_at_the_boards() {
    let provider = yaml("deploy/grafana/provisioning/dashboards/infill.yml");
    let path = provider["providers"][0]["options"]["path"].as_str().unwrap().to_owned();
    let compose = yaml("docker-compose.yml");
    let mounted = strings(&compose["services"]["grafana"]["volumes"]);
    assert!(mounted.contains(&format!("./deploy/grafana/boards:{path}:ro").as_str()), "{mounted:?}");
    let sources = yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    assert_eq!(sources["datasources"][0]["type"], "prometheus");
}
