//! `filter`: rows that do not meet the conditions go no further. It has no outputs.

use super::{Kind, Place, Produced, Step};
use crate::condition::{Conditions, read_nodes};
use crate::failure::Failure;
use crate::reference::RowView;
use crate::script::Scripts;

const CONDITIONS: &str = "path_conditions";

pub(super) struct Filter;

impl Kind for Filter {
    fn name(&self) -> &'static str {
        "filter"
    }

    fn inputs(&self) -> Vec<&'static str> {
        vec![CONDITIONS]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn compile(&self, place: &mut Place<'_>) -> Option<Box<dyn Step>> {
        let path = place.path_of(CONDITIONS);
        let n_before = place.faults.len();
        let nodes = read_nodes(&place.input(CONDITIONS), &path, place.faults);
        let reads_well = place.faults.len() == n_before;
        let conditions = Conditions::compile(&nodes, &path, place.scope, place.faults)?;
        reads_well.then(|| Box::new(FilterStep { conditions }) as Box<dyn Step>)
    }
}

#[derive(Debug)]
struct FilterStep {
    conditions: Conditions,
}

impl Step for FilterStep {
    fn run(&self, row: RowView<'_>, _scripts: &mut Scripts) -> Result<Produced, Failure> {
        Ok(if self.conditions.are_met(row)? {
            Produced::Outputs(serde_json::Map::new())
        } else {
            Produced::Stop(format!("condition not met: {}", self.conditions.shown()))
        })
    }
}
