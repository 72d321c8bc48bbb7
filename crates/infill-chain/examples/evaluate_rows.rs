//! How fast a chain goes: one JavaScript formatter, one filter, one template, over many rows.
//!
//! `cargo run --release -p infill-chain --example evaluate_rows -- 200000`

#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the real clock")]

use std::time::Instant;

use infill_chain::{Chain, Decision};
use infill_model::plan::Plan;
use infill_model::value::Properties;
use serde_json::json;

const DEFAULT_N_ROWS: u32 = 200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let n_rows: u32 = std::env::args().nth(1).map_or(Ok(DEFAULT_N_ROWS), |n| n.parse())?;
    let plan: Plan = serde_json::from_value(json!({
        "name": "measurement",
        "connection": "none",
        "source": { "object": "contacts", "list": "1" },
        "inputs": ["firstname", "jobtitle", "phone"],
        "chain": [
            { "id": "has_phone", "action": "filter", "inputs": { "path_conditions": [
                { "variable": "{{input.phone}}", "operator": "is not empty" },
            ] } },
            { "id": "phone", "action": "format_data_using_js_expression", "inputs": {
                "data_formatter": "const digits = {{input.phone}}.replace(/\\D/g, \"\");\nreturn digits.length === 10 ? \"+1\" + digits : \"+\" + digits;",
            } },
        ],
        "writeback": { "properties": [
            { "name": "phone", "value": "{{phone.formatted_data}}" },
            { "name": "note", "value": "{{input.firstname}} is {{input.jobtitle}}" },
        ] },
    }))?;
    let at = Instant::now();
    let chain = Chain::compile(&plan).map_err(|faults| format!("{faults:?}"))?;
    println!("compile the chain     {:>10.1?}", at.elapsed());
    let at = Instant::now();
    let mut evaluator = chain.evaluator()?;
    println!("start an evaluator    {:>10.1?}", at.elapsed());

    let rows: Vec<Properties> = (0..1_000)
        .map(|n| {
            Properties::from([
                ("firstname".into(), json!(format!("Zoë {n}"))),
                ("jobtitle".into(), json!("Senator")),
                ("phone".into(), json!(format!("202-224-{n:04}"))),
            ])
        })
        .collect();
    let mut n_written = 0_u32;
    let at = Instant::now();
    for inputs in rows.iter().cycle().zip(0..n_rows).map(|(inputs, _)| inputs) {
        if let Decision::Write(_) = evaluator.evaluate(inputs).decision {
            n_written += 1;
        }
    }
    let seconds = at.elapsed().as_secs_f64();
    println!("evaluate {n_rows} rows  {seconds:>8.3} s, {n_written} to write");
    println!("rows per second       {:>10.0}", f64::from(n_rows) / seconds);
    println!("seconds per 10,000    {:>10.4}", seconds * 10_000.0 / f64::from(n_rows));
    Ok(())
}
