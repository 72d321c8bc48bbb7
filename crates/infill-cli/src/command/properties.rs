//! `infill properties`: what an object's records hold, and what may be written.

use std::io::{self, Write};

use anyhow::Context;
use infill_model::nearest::did_you_mean;
use infill_model::property::PropertyDef;

use crate::args::{self, Format};
use crate::compose::Parts;
use crate::exit::Exit;
use crate::render;

/// Options shown in a table; JSON has them all.
const OPTIONS_SHOWN: usize = 4;

/// Lists properties.
pub(crate) async fn properties(parts: &Parts, args: &args::Properties) -> anyhow::Result<Exit> {
    let crm = parts.connections.connect(&args.connection).await?;
    let catalog = crm.catalog(&args.object).await?;
    let query = args.query.as_deref().unwrap_or_default();
    let found: Vec<&PropertyDef> =
        catalog.properties.iter().filter(|property| is_meant(property, query)).collect();
    let mut out = io::stdout().lock();
    match args.format {
        Format::Json => render::write_json(&mut out, &found)?,
        Format::Table if found.is_empty() => {
            let names = catalog.properties.iter().map(|property| property.name.as_str());
            let hint = did_you_mean(query, names);
            writeln!(out, "no property of {} has \"{query}\" in its name or label{hint}", args.object)
                .context("print the properties")?;
        }
        Format::Table => render::write_table(&mut out, &table(&found))?,
    }
    Ok(Exit::Well)
}

/// Whether name or label hold the query, whatever the case.
fn is_meant(property: &PropertyDef, query: &str) -> bool {
    let query = query.to_lowercase();
    [property.name.as_str(), &property.label].iter().any(|text| text.to_lowercase().contains(&query))
}

fn table(properties: &[&PropertyDef]) -> Vec<Vec<String>> {
    let mut table = vec![["name", "label", "type", "writable", "options"].map(str::to_owned).to_vec()];
    table.extend(properties.iter().map(|property| {
        let writable =
            property.read_only.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
        vec![
            property.name.to_string(),
            property.label.clone(),
            property.vendor_type.clone(),
            writable,
            options(property),
        ]
    }));
    table
}

/// The first few options, and how many there are.
fn options(property: &PropertyDef) -> String {
    let values: Vec<&str> = property.options.iter().map(|option| option.value.as_str()).collect();
    let first = values.iter().take(OPTIONS_SHOWN).copied().collect::<Vec<_>>().join(", ");
    match values.len().checked_sub(OPTIONS_SHOWN) {
        None | Some(0) if values.is_empty() && property.external_options => "kept elsewhere".to_owned(),
        None | Some(0) => first,
        Some(n_more) => format!("{first} and {n_more} more"),
    }
}

#[cfg(test)]
mod tests {
    use infill_model::property::{PropertyKind, PropertyOption};

    use super::*;

    fn property(name: &str, n_options: usize, read_only: Option<&str>) -> PropertyDef {
        let option = |idx: usize| PropertyOption { value: format!("o{idx}"), label: format!("Option {idx}") };
        PropertyDef {
            name: name.into(),
            label: "Phone Number".into(),
            kind: PropertyKind::Enumeration,
            vendor_type: "enumeration/select".into(),
            read_only: read_only.map(ToOwned::to_owned),
            options: (0..n_options).map(option).collect(),
            external_options: n_options == 0,
            options_by: None,
        }
    }

    #[test]
    fn a_query_looks_at_name_and_label_whatever_the_case() {
        let phone = property("hs_mobile", 0, None);
        for (query, is_found) in [("", true), ("MOBILE", true), ("phone n", true), ("fax", false)] {
            assert_eq!(is_meant(&phone, query), is_found, "{query}");
        }
    }

    #[test]
    fn the_table_says_why_not_and_how_many_options_there_are() {
        let properties = [
            property("a", 0, Some("HubSpot computes it")),
            property("b", 2, None),
            property("c", 4, None),
            property("d", 12, None),
        ];
        let table = table(&properties.iter().collect::<Vec<_>>());
        let cells: Vec<(&str, &str)> =
            table.iter().skip(1).map(|row| (row[3].as_str(), row[4].as_str())).collect();
        assert_eq!(
            cells,
            [
                ("no: HubSpot computes it", "kept elsewhere"),
                ("yes", "o0, o1"),
                ("yes", "o0, o1, o2, o3"),
                ("yes", "o0, o1, o2, o3 and 8 more"),
            ]
        );
    }
}
