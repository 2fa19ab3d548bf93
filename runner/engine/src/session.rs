//! A program as a planned tract model, and one inference of it without an allocation.
//!
//! tract orders the steps and passes the values along. The values are [`Planned`]: made once, each the address
//! of a region of the arena, so that what tract clones from step to step is a counted reference. Lifetimes are
//! taken from tract's own order.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tract_core::internal::{
    Node, OutletId, SimplePlan, SimpleState, SpecialOps as _, TValue, TVec, Tensor, TractResult,
    TypedFact, TypedModel, TypedOp, format_err,
};
use tract_core::ops::konst::Const;

use crate::arena::{Claim, Cut, Region, plan};
use crate::graph::Graph;
use crate::lower::Program;
use crate::operator::{KernelOp, Planned};
use crate::step::{Fault, Io, MOST};
use crate::tensor::{AlignedBytes, bytes};
use crate::{Limits, LoadError, RunError};

type TypedNode = Node<TypedFact, Box<dyn TypedOp>>;

/// What a node writes and where.
#[derive(Debug, Clone)]
struct Place {
    /// The values handed to tract, one an output.
    values: TVec<TValue>,
    /// Outputs and scratch, to be taken out of the arena.
    cut: Cut,
}

/// Where the caller finds the bytes of an output.
#[derive(Debug)]
enum Found {
    Arena(Region),
    Constant(Arc<Tensor>),
}

/// A planned model with its memory.
pub(crate) struct Session {
    state: SimpleState<TypedFact, Box<dyn TypedOp>>,
    arena: AlignedBytes,
    /// By node of the tract model.
    places: Vec<Option<Place>>,
    inputs: TVec<TValue>,
    input_regions: Vec<Region>,
    outputs: Vec<Found>,
    /// By node, the tensor it writes and the operator it belongs to.
    origins: Vec<Option<Origin>>,
}

/// Which operator of the file a node comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Index in the file.
    pub(crate) operator: usize,
    /// First tensor written.
    pub(crate) tensor: usize,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("arena", &self.arena.bytes().len())
            .field("nodes", &self.places.len())
            .finish_non_exhaustive()
    }
}

fn refused(error: impl fmt::Display) -> LoadError {
    LoadError::Plan {
        reason: format!("{error:#}"),
    }
}

/// The tract model of a program.
struct Built {
    model: TypedModel,
    origins: Vec<Option<Origin>>,
}

/// Wires a tract model: sources, constants, then the steps.
fn build(graph: &Graph<'_>, program: &mut Program) -> TractResult<Built> {
    let mut model = TypedModel::default();
    let mut outlets: HashMap<usize, OutletId> = HashMap::new();
    let mut origins = Vec::new();
    let fact = |tensor: usize, program: &Program| {
        let dtype = graph.tensors[tensor].dtype.unwrap_or(crate::DType::U8);
        TypedFact::dt_shape(dtype.datum(), program.shapes[tensor].as_slice())
    };
    for &input in &graph.inputs {
        let name = format!("{input}:{}", graph.tensors[input].name);
        let outlet = model.add_source(name, fact(input, program))?;
        outlets.insert(input, outlet);
    }
    let read: Vec<usize> = program
        .steps
        .iter()
        .flat_map(|(_, step)| step.inputs.iter().copied())
        .chain(graph.outputs.iter().map(|&output| program.home[output]))
        .collect();
    for tensor in read {
        if outlets.contains_key(&tensor) {
            continue;
        }
        if let Some(bytes) = program.constants[tensor].take() {
            let fact = fact(tensor, program);
            let shape = program.shapes[tensor].as_slice();
            let mut value =
                Tensor::zero_aligned_dt(fact.datum_type, shape, AlignedBytes::ALIGNMENT)?;
            value.as_bytes_mut().copy_from_slice(&bytes);
            let name = format!("{tensor}:{}", graph.tensors[tensor].name);
            let outlet = model.add_const(name, value)?;
            outlets.insert(tensor, outlet);
        }
    }
    for (position, (operator, step)) in program.steps.iter().enumerate() {
        let spec = &graph.operators[*operator];
        let begun = step.in_place.then(|| step.outputs.first()).flatten();
        let inputs = begun
            .into_iter()
            .chain(&step.inputs)
            .map(|tensor| outlets.get(tensor).copied())
            .collect::<Option<TVec<_>>>()
            .ok_or_else(|| format_err!("step {position} reads a value that no step writes"))?;
        let op = KernelOp {
            name: spec.name.as_ref().into(),
            step: step.clone(),
            facts: step
                .outputs
                .iter()
                .map(|&output| fact(output, program))
                .collect(),
        };
        let name = format!("{position}:{}:{}", spec.index, spec.name);
        let outputs = model.wire_node(name, op, &inputs)?;
        origins.resize(outputs[0].node, None);
        origins.push(Some(Origin {
            operator: *operator,
            tensor: step.outputs[0],
        }));
        for (&tensor, &outlet) in step.outputs.iter().zip(&outputs) {
            outlets.insert(tensor, outlet);
        }
    }
    let outputs = graph
        .outputs
        .iter()
        .map(|&output| outlets.get(&program.home[output]).copied())
        .collect::<Option<TVec<_>>>()
        .ok_or_else(|| format_err!("an output that no step writes"))?;
    model.select_output_outlets(&outputs)?;
    origins.resize(model.nodes.len(), None);
    Ok(Built { model, origins })
}

/// Claims on the arena, in tract's order: one an outlet, except that a step that goes on with a value shares
/// its claim; and one for each scratch.
#[derive(Default)]
struct Ledger {
    claims: Vec<Claim>,
    outlets: HashMap<OutletId, usize>,
    scratch: HashMap<usize, usize>,
}

impl Ledger {
    fn of(model: &TypedModel, order: &[usize]) -> TractResult<Self> {
        let mut ledger = Self::default();
        let end = order.len();
        for (position, &id) in order.iter().enumerate() {
            let node = &model.nodes[id];
            for input in &node.inputs {
                if let Some(&claim) = ledger.outlets.get(input) {
                    ledger.claims[claim].last = position;
                }
            }
            let step = node.op_as::<KernelOp>().map(|op| &op.step);
            for (slot, output) in node.outputs.iter().enumerate() {
                let outlet = OutletId::new(id, slot);
                if let (true, 0, Some(&claim)) = (
                    step.is_some_and(|step| step.in_place),
                    slot,
                    node.inputs
                        .first()
                        .and_then(|begun| ledger.outlets.get(begun)),
                ) {
                    ledger.outlets.insert(outlet, claim);
                    continue;
                }
                let elements: usize = output
                    .fact
                    .shape
                    .as_concrete()
                    .map_or(0, |shape| shape.iter().product());
                ledger.outlets.insert(outlet, ledger.claims.len());
                ledger.claims.push(Claim {
                    bytes: elements * output.fact.datum_type.size_of(),
                    first: position,
                    last: position,
                });
            }
            if let Some(step) = step.filter(|step| step.scratch > 0) {
                ledger.scratch.insert(id, ledger.claims.len());
                ledger.claims.push(Claim {
                    bytes: step.scratch,
                    first: position,
                    last: position,
                });
            }
        }
        // Inputs keep what the caller wrote from run to run; outputs keep what the caller reads after it.
        for outlet in &model.inputs {
            if let Some(&claim) = ledger.outlets.get(outlet) {
                (ledger.claims[claim].first, ledger.claims[claim].last) = (0, end);
            }
        }
        for outlet in &model.outputs {
            if let Some(&claim) = ledger.outlets.get(outlet) {
                ledger.claims[claim].last = end;
            }
        }
        Ok(ledger)
    }
}

impl Session {
    /// Plans a program and takes its memory.
    pub(crate) fn new(
        graph: &Graph<'_>,
        mut program: Program,
        limits: &Limits,
    ) -> Result<Self, LoadError> {
        let Built { mut model, origins } = build(graph, &mut program).map_err(refused)?;
        drop(program);
        // An input that nothing reads still wants its memory, but tract's order leaves it out.
        let inputs = model.inputs.clone();
        let outputs = model.outputs.clone();
        model.inputs = inputs.clone();
        let plan_ = SimplePlan::new(model).map_err(refused)?;
        let model = plan_.model();
        let mut order = plan_.order_without_consts().to_vec();
        for input in &inputs {
            if !order.contains(&input.node) {
                order.push(input.node);
            }
        }
        let ledger = Ledger::of(model, &order).map_err(refused)?;
        let memory = |needed: usize| LoadError::Memory {
            needed: needed as u64,
            allowed: limits.memory_bytes,
            what: "its activations",
        };
        let (regions, bytes) = plan(&ledger.claims).ok_or_else(|| memory(usize::MAX))?;
        if bytes as u64 > limits.memory_bytes {
            return Err(memory(bytes));
        }
        let arena = AlignedBytes::zeroed(bytes).ok_or_else(|| memory(bytes))?;
        let region = |outlet: &OutletId| ledger.outlets.get(outlet).map(|&claim| regions[claim]);
        let value = |outlet: OutletId| {
            let fact = &model.nodes[outlet.node].outputs[outlet.slot].fact;
            let shape = fact.shape.as_concrete().unwrap_or_default();
            region(&outlet).map(|region| {
                TValue::from(Tensor::from_storage(
                    fact.datum_type,
                    shape,
                    Planned(region),
                ))
            })
        };
        let place = |node: &TypedNode| {
            let values = (0..node.outputs.len())
                .map(|slot| value(OutletId::new(node.id, slot)))
                .collect::<Option<TVec<_>>>()?;
            let mut written = (0..node.outputs.len())
                .filter_map(|slot| region(&OutletId::new(node.id, slot)))
                .collect::<Vec<_>>();
            written.resize(written.len().max(1), Region::default());
            if let Some(&claim) = ledger.scratch.get(&node.id) {
                written.push(regions[claim]);
            }
            Some(Place {
                values,
                cut: Cut::new(&written)?,
            })
        };
        let mut places: Vec<Option<Place>> = vec![None; model.nodes.len()];
        for &id in &order {
            let node = &model.nodes[id];
            if node.op_is::<KernelOp>() {
                let place =
                    place(node).ok_or_else(|| refused("two values of one step share memory"))?;
                places[id] = Some(place);
            }
        }
        let found = outputs
            .iter()
            .map(|outlet| {
                let constant = model.nodes[outlet.node].op_as::<Const>();
                match (region(outlet), constant) {
                    (Some(region), _) => Ok(Found::Arena(region)),
                    (None, Some(constant)) => Ok(Found::Constant(constant.val().clone())),
                    (None, None) => Err(refused("an output without a place")),
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        let input_values = inputs
            .iter()
            .map(|&outlet| value(outlet))
            .collect::<Option<TVec<_>>>()
            .ok_or_else(|| refused("an input without a place"))?;
        let input_regions = inputs.iter().filter_map(region).collect();
        let state = SimpleState::new(&plan_).map_err(refused)?;
        Ok(Self {
            state,
            arena,
            places,
            inputs: input_values,
            input_regions,
            outputs: found,
            origins,
        })
    }

    /// Bytes of the arena.
    pub(crate) fn arena_bytes(&self) -> usize {
        self.arena.bytes().len()
    }

    /// Bytes of input `index`.
    pub(crate) fn input_mut(&mut self, index: usize) -> &mut [u8] {
        let region = self.input_regions[index];
        &mut self.arena.bytes_mut()[region.offset..region.end()]
    }

    /// Bytes of output `index`.
    pub(crate) fn output(&self, index: usize) -> &[u8] {
        match &self.outputs[index] {
            Found::Arena(region) => &self.arena.bytes()[region.offset..region.end()],
            Found::Constant(tensor) => tensor.as_bytes(),
        }
    }

    /// One inference. `after` hears of every step, with where it comes from and the bytes it wrote.
    pub(crate) fn run(&mut self, mut after: impl FnMut(Origin, &[u8])) -> Result<(), RunError> {
        let Self {
            state,
            arena,
            places,
            inputs,
            origins,
            ..
        } = self;
        let memory = arena.bytes_mut();
        let outcome = state.run_plan_with_eval(inputs.clone(), |_, _, node, values| {
            let Some(op) = node.op_as::<KernelOp>() else {
                return Ok::<_, RunError>(values);
            };
            let place = places[node.id]
                .as_ref()
                .ok_or_else(|| failed(node, Fault::Value("it was not planned")))?;
            execute(op, place, &values, memory).map_err(|fault| failed(node, fault))?;
            if let (Some(origin), Some(value)) = (origins[node.id], place.values.first())
                && let Some(Planned(region)) = value.storage_as::<Planned>()
            {
                after(origin, &memory[region.offset..region.end()]);
            }
            Ok(place.values.clone())
        });
        match outcome {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(error
                    .downcast::<RunError>()
                    .unwrap_or_else(|error| RunError::Operator {
                        operator: "graph".into(),
                        output: String::new(),
                        reason: format!("{error:#}"),
                    }))
            }
        }
    }
}

fn failed(node: &TypedNode, fault: Fault) -> RunError {
    RunError::Operator {
        operator: node.op().name().into_owned(),
        output: node.name.clone(),
        reason: fault.to_string(),
    }
}

/// Hands a kernel its slices of the arena.
#[inline]
fn execute(
    op: &KernelOp,
    place: &Place,
    values: &[TValue],
    memory: &mut [u8],
) -> Result<(), Fault> {
    let (rest, written) = place
        .cut
        .apply(memory)
        .ok_or(Fault::Value("its memory is not as planned"))?;
    let mut io = Io::default();
    let begun = usize::from(op.step.in_place);
    for (slot, value) in io.inputs.iter_mut().zip(&values[begun..]) {
        *slot = match value.storage_as::<Planned>() {
            Some(&Planned(region)) => rest
                .get(region)
                .ok_or(Fault::Value("an input in memory that is being written"))?,
            None => bytes(value),
        };
    }
    let outputs = place.values.len();
    for (index, bytes) in written.into_iter().enumerate() {
        if index < outputs {
            io.outputs[index] = bytes;
        } else if index == outputs {
            io.scratch = bytes;
        }
    }
    debug_assert!(outputs <= MOST);
    (op.step.work)(&mut io)
}
