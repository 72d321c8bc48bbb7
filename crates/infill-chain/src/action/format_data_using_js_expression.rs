//! `format_data_using_js_expression`: text made of references by JavaScript.
//!
//! A bare reference is resolved without the script engine. The output is typed string whatever the script returns,
//! as the public page says: lists and objects as JSON.

use infill_model::error::{Fault, FaultCode};
use infill_model::value::{Value, to_text};
use serde_json::Map;

use super::{Kind, Place, Produced, Step};
use crate::failure::Failure;
use crate::reference::{Bound, Problem, Reference, RowView};
use crate::script::{Script, ScriptProblem, Scripts};

const CODE: &str = "data_formatter";
const OUTPUT: &str = "formatted_data";

pub(super) struct FormatDataUsingJsExpression;

impl Kind for FormatDataUsingJsExpression {
    fn name(&self) -> &'static str {
        "format_data_using_js_expression"
    }

    fn inputs(&self) -> Vec<&'static str> {
        vec![CODE]
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[OUTPUT]
    }

    fn compile(&self, place: &mut Place<'_>) -> Option<Box<dyn Step>> {
        let path = place.path_of(CODE);
        let Value::String(code) = place.input(CODE) else {
            let message = format!("`{CODE}` is text: JavaScript, or one reference");
            place.faults.push(Fault::new(FaultCode::InvalidValue, path, message));
            return None;
        };
        if let Some(reference) = Reference::read_whole(&code) {
            return match place.scope.bind(&reference) {
                Ok(bound) => Some(Box::new(Pull { bound })),
                Err(Problem { code, message }) => {
                    place.faults.push(Fault::new(code, path, message));
                    None
                }
            };
        }
        match Script::compile(&code, place.scope) {
            Ok(script) => {
                place.scripts.push(script);
                Some(Box::new(Format { script: place.scripts.len() - 1 }))
            }
            Err(problems) => {
                place.faults.extend(problems.into_iter().map(|problem| fault(problem, &path)));
                None
            }
        }
    }
}

fn fault(ScriptProblem { problem, place }: ScriptProblem, path: &str) -> Fault {
    let Problem { code, message } = problem;
    match place {
        Some(place) => Fault {
            code,
            path: path.to_owned(),
            line: Some(place.line),
            column: Some(place.column),
            message: format!("{place} of the script: {message}"),
        },
        None => Fault::new(code, path, message),
    }
}

fn produced(text: String) -> Produced {
    Produced::Outputs(Map::from_iter([(OUTPUT.to_owned(), Value::String(text))]))
}

/// One bare reference.
#[derive(Debug)]
struct Pull {
    bound: Bound,
}

impl Step for Pull {
    fn run(&self, row: RowView<'_>, _scripts: &mut Scripts) -> Result<Produced, Failure> {
        Ok(produced(to_text(&self.bound.resolve(row))))
    }
}

/// JavaScript: the index of its script.
#[derive(Debug)]
struct Format {
    script: usize,
}

impl Step for Format {
    fn run(&self, row: RowView<'_>, scripts: &mut Scripts) -> Result<Produced, Failure> {
        scripts.run(self.script, row).map(produced)
    }
}
