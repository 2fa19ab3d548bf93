//! From the bytes of a `.tflite` file to a [`Graph`] in which nothing is left to be distrusted.
//!
//! Every index is within its table, every shape has a product that fits, every constant has as many bytes as
//! its shape says, and every tensor is written exactly once and before it is read, which rules out cycles.

mod flex;
mod tensor;

pub(crate) use flex::Options;
pub(crate) use tensor::elements;

use std::borrow::Cow;

use flatbuffers::{ForwardsUOffset, Vector};
use tract_tflite::tflite::{self, BuiltinOperator};

use crate::LoadError;
use crate::graph::{Graph, Operator};

/// Version of the schema this reader knows.
const SCHEMA: u32 = 3;
/// Most operators and most tensors a model may have: planning looks at pairs of them.
const MOST: usize = 1 << 15;

pub(crate) fn flatbuffer(reason: impl ToString) -> LoadError {
    LoadError::Flatbuffer {
        reason: reason.to_string(),
    }
}

/// Checks the file and reads its main subgraph.
pub(crate) fn read(bytes: &[u8]) -> Result<Graph<'_>, LoadError> {
    // The schema's own look at the identifier panics on fewer bytes than it takes.
    if bytes.get(4..8) != Some(b"TFL3") {
        return Err(flatbuffer(
            "the identifier TFL3 is missing at its beginning",
        ));
    }
    let model = tflite::root_as_model(bytes).map_err(flatbuffer)?;
    if model.version() != SCHEMA {
        return Err(flatbuffer(format!(
            "schema version {}, this reader knows {SCHEMA}",
            model.version()
        )));
    }
    let subgraph = model
        .subgraphs()
        .filter(|list| !list.is_empty())
        .ok_or_else(|| flatbuffer("no subgraph"))?
        .get(0);
    let buffers = model.buffers();
    let tensors = subgraph.tensors().ok_or_else(|| flatbuffer("no tensors"))?;
    let count = tensors.len();
    if count > MOST {
        return Err(flatbuffer(format!("{count} tensors, the most is {MOST}")));
    }
    let tensors = tensors
        .iter()
        .enumerate()
        .map(|(index, table)| tensor::read(index, table, buffers))
        .collect::<Result<Vec<_>, _>>()?;
    let ends = |list: Option<Vector<'_, i32>>, what: &str| {
        list.into_iter()
            .flatten()
            .map(|index| {
                usize::try_from(index)
                    .ok()
                    .filter(|&index| index < count)
                    .ok_or_else(|| {
                        flatbuffer(format!(
                            "{what} {index} of the graph is none of its {count} tensors"
                        ))
                    })
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let mut graph = Graph {
        inputs: ends(subgraph.inputs(), "input")?,
        outputs: ends(subgraph.outputs(), "output")?,
        tensors,
        operators: Vec::new(),
    };
    if graph.outputs.is_empty() {
        return Err(flatbuffer("the graph has no output"));
    }
    let codes = model.operator_codes();
    let operators = subgraph.operators();
    if operators.is_some_and(|list| list.len() > MOST) {
        return Err(flatbuffer(format!("more than {MOST} operators")));
    }
    for (index, table) in operators.into_iter().flatten().enumerate() {
        let operator = operator(&graph, index, table, codes)?;
        graph.operators.push(operator);
    }
    order(&graph)?;
    Ok(graph)
}

fn operator<'a>(
    graph: &Graph<'a>,
    index: usize,
    table: tflite::Operator<'a>,
    codes: Option<Vector<'a, ForwardsUOffset<tflite::OperatorCode<'a>>>>,
) -> Result<Operator<'a>, LoadError> {
    let broken = |operator: &str, reason: String| LoadError::Operator {
        index,
        operator: operator.into(),
        output: String::new(),
        reason,
    };
    let code = codes
        .filter(|codes| (table.opcode_index() as usize) < codes.len())
        .map(|codes| codes.get(table.opcode_index() as usize))
        .ok_or_else(|| {
            broken(
                "?",
                format!(
                    "operator code {} is not in the file's list",
                    table.opcode_index()
                ),
            )
        })?;
    // Files older than 2020 have the type in eight bits, newer ones in both places.
    let builtin = BuiltinOperator(
        code.builtin_code()
            .0
            .max(i32::from(code.deprecated_builtin_code())),
    );
    let name: Cow<'a, str> = match (builtin, builtin.variant_name()) {
        (BuiltinOperator::CUSTOM, _) => {
            format!("CUSTOM {}", code.custom_code().unwrap_or("?")).into()
        }
        (_, Some(name)) => name.into(),
        (other, None) => format!("operator type {}", other.0).into(),
    };
    if code.version() < 1 {
        return Err(broken(&name, format!("version {}", code.version())));
    }
    let count = graph.tensors.len();
    let tensor = |index: i32, what: &str| {
        usize::try_from(index)
            .ok()
            .filter(|&index| index < count)
            .ok_or_else(|| {
                broken(
                    &name,
                    format!("{what} {index} is none of the {count} tensors"),
                )
            })
    };
    let inputs = table
        .inputs()
        .into_iter()
        .flatten()
        .map(|index| match index {
            -1 => Ok(None),
            index => tensor(index, "input").map(Some),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let outputs = table
        .outputs()
        .into_iter()
        .flatten()
        .map(|index| tensor(index, "output"))
        .collect::<Result<Vec<_>, _>>()?;
    if outputs.is_empty() {
        return Err(broken(&name, "it writes no tensor".into()));
    }
    Ok(Operator {
        index,
        code: builtin,
        version: code.version(),
        name,
        inputs,
        outputs,
        table,
    })
}

/// Checks that each tensor has one origin, and has it before it is needed.
fn order(graph: &Graph) -> Result<(), LoadError> {
    let mut known: Vec<bool> = graph
        .tensors
        .iter()
        .map(|tensor| tensor.data.is_some() || tensor.special.is_some())
        .collect();
    for &input in &graph.inputs {
        if std::mem::replace(&mut known[input], true) {
            return Err(graph.tensor_error(
                input,
                "an input of the graph that is a constant or listed twice",
            ));
        }
    }
    for operator in &graph.operators {
        for &input in operator.inputs.iter().flatten() {
            if !known[input] {
                return Err(graph.tensor_error(
                    input,
                    format!(
                        "read by operator {} {} before any operator writes it",
                        operator.index, operator.name
                    ),
                ));
            }
        }
        for &output in &operator.outputs {
            if std::mem::replace(&mut known[output], true) {
                return Err(graph.tensor_error(
                    output,
                    format!(
                        "written by operator {} {} although it already has a value",
                        operator.index, operator.name
                    ),
                ));
            }
        }
    }
    match graph.outputs.iter().find(|&&output| !known[output]) {
        Some(&output) => {
            Err(graph.tensor_error(output, "an output of the graph that no operator writes"))
        }
        None => Ok(()),
    }
}
