//! A graph to be walked from its outputs to its inputs: who makes which value, and what is constant.
//!
//! Values are followed by name. A graph is checked to stand in order when it is loaded, so that every walk ends. Walks
//! that recurse carry a depth and share an allowance of steps, so that no file makes them deep or long.

use std::{cell::Cell, collections::HashMap};

use foldhash::fast::RandomState;

use super::{
    OnnxError, proto,
    tensor::{Constant, Numbers},
};

/// How deep a side branch (a shape, a scale, an index) is followed; PyTorch's deepest have some ten nodes.
const DEPTH: usize = 48;

/// Steps into side branches, all together; a layer takes some fifty.
const STEPS: usize = 1_000_000;

/// Elements of a shape that are followed; tensors here have at most five dimensions.
const LONGEST_SHAPE: usize = 16;

/// A loaded graph.
pub(super) struct Graph<'a> {
    pub(super) graph: &'a proto::Graph,
    /// The node that makes a value.
    makers: HashMap<&'a str, &'a proto::Node, RandomState>,
    initializers: HashMap<&'a str, &'a proto::Tensor, RandomState>,
    inputs: HashMap<&'a str, &'a proto::ValueInfo, RandomState>,
    /// The version of ONNX's own operators.
    pub(super) opset: i64,
    /// Steps that are left.
    steps: Cell<usize>,
}

impl<'a> Graph<'a> {
    /// # Errors
    /// [`OnnxError::Order`] where a node reads what nothing before it makes.
    pub(super) fn new(graph: &'a proto::Graph, opset: i64) -> Result<Self, OnnxError> {
        let initializers: HashMap<_, _, _> =
            graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        // Old files list initializers among the inputs too.
        let inputs: HashMap<_, _, _> = graph
            .input
            .iter()
            .map(|input| (input.name.as_str(), input))
            .filter(|(name, _)| !initializers.contains_key(name))
            .collect();
        let mut makers: HashMap<&str, &proto::Node, RandomState> = HashMap::default();
        for node in &graph.node {
            for value in node.input.iter().map(String::as_str).filter(|value| !value.is_empty()) {
                let known = makers.contains_key(value)
                    || initializers.contains_key(value)
                    || inputs.contains_key(value);
                if !known {
                    return Err(OnnxError::Order { node: name_of(node), value: value.to_owned() });
                }
            }
            for output in node.output.iter().map(String::as_str).filter(|output| !output.is_empty()) {
                let taken = inputs.contains_key(output) || initializers.contains_key(output);
                if taken || makers.insert(output, node).is_some() {
                    return Err(not_understood(node, &format!("nothing else to make {output}")));
                }
            }
        }
        Ok(Self { graph, makers, initializers, inputs, opset, steps: Cell::new(STEPS) })
    }

    /// The node that makes a value; `None` for inputs and initializers.
    pub(super) fn maker(&self, value: &str) -> Option<&'a proto::Node> {
        self.makers.get(value).copied()
    }

    /// The graph's input of that name.
    pub(super) fn input(&self, value: &str) -> Option<&'a proto::ValueInfo> {
        self.inputs.get(value).copied()
    }

    /// What a value is before nodes that change nothing: copies, casts, dropout, slices of everything.
    pub(super) fn origin(&self, value: &'a str) -> &'a str {
        let mut value = value;
        while let Some(node) = self.maker(value) {
            let transparent = match operator(node) {
                "Identity" | "Cast" | "Dropout" => true,
                "Slice" => self.keeps_everything(node),
                _ => false,
            };
            match node.input.first() {
                Some(input) if transparent => value = input,
                _ => break,
            }
        }
        value
    }

    /// Only where its bounds stand there plainly: this is asked on every walk.
    fn keeps_everything(&self, slice: &'a proto::Node) -> bool {
        let all = |position: usize, accept: fn(i64) -> bool| {
            let value = slice.input.get(position).map(String::as_str).filter(|value| !value.is_empty());
            match value {
                Some(value) => {
                    self.stored(value).is_some_and(|constant| match constant.map(|it| it.numbers) {
                        Ok(Numbers::Integers(list)) => list.into_iter().all(accept),
                        _ => false,
                    })
                }
                None => position == 4,
            }
        };
        all(1, |start| start == 0) && all(2, |end| end >= i64::from(i32::MAX)) && all(4, |step| step == 1)
    }

    /// An initializer or a Constant.
    fn stored(&self, value: &str) -> Option<Result<Constant, OnnxError>> {
        if let Some(tensor) = self.initializers.get(value) {
            return Some(Constant::read(tensor));
        }
        let node = self.maker(value).filter(|node| operator(node) == "Constant")?;
        constant_of(node).transpose()
    }

    /// The node behind a value, which must have one of these operators.
    ///
    /// # Errors
    /// [`OnnxError`], naming what is there instead.
    pub(super) fn expect(
        &self,
        value: &'a str,
        operators: &[&str],
        expected: &str,
    ) -> Result<&'a proto::Node, OnnxError> {
        match self.maker(self.origin(value)) {
            Some(node) if operators.contains(&operator(node)) => Ok(node),
            _ => Err(self.refuse(value, expected)),
        }
    }

    /// The error for a value that is not what was expected.
    pub(super) fn refuse(&self, value: &'a str, expected: &str) -> OnnxError {
        let value = self.origin(value);
        match self.maker(value) {
            Some(node) => not_understood(node, expected),
            None => OnnxError::Value { value: value.to_owned(), expected: expected.to_owned() },
        }
    }

    /// A value that is constant: an initializer, a Constant, or one of them copied, cast or transposed. `None` for what is
    /// computed from the inputs.
    ///
    /// # Errors
    /// [`OnnxError::Tensor`] for a constant that cannot be read.
    pub(super) fn constant(&self, value: &'a str) -> Result<Option<Constant>, OnnxError> {
        let mut value = value;
        let mut transposed = false;
        loop {
            value = self.origin(value);
            if let Some(constant) = self.stored(value) {
                let constant = constant?;
                return Ok(if transposed { constant.transposed() } else { Some(constant) });
            }
            let Some(node) = self.maker(value) else { return Ok(None) };
            match (operator(node), node.input.first()) {
                ("Transpose", Some(input)) if matches!(ints(node, "perm"), None | Some([1, 0])) => {
                    transposed = !transposed;
                    value = input;
                }
                _ => return Ok(None),
            }
        }
    }

    /// Whether a value is constant, without reading it.
    pub(super) fn is_constant(&self, value: &'a str) -> bool {
        let mut value = value;
        loop {
            value = self.origin(value);
            match self.maker(value) {
                None => return self.initializers.contains_key(value),
                Some(node) => match (operator(node), node.input.first()) {
                    ("Constant", _) => return true,
                    ("Transpose", Some(input)) => value = input,
                    _ => return false,
                },
            }
        }
    }

    /// Counts a step of a recursion; `None` where it goes too deep or on for too long.
    pub(super) fn descend(&self, depth: usize) -> Option<()> {
        self.steps.set(self.steps.get().checked_sub(1)?);
        (depth <= DEPTH).then_some(())
    }

    /// The one number that a value is, also where it is computed from the size of a dimension that is known.
    pub(super) fn number(&self, value: &'a str, depth: usize) -> Option<f32> {
        self.descend(depth)?;
        if let Ok(Some(constant)) = self.constant(value) {
            return constant.scalar();
        }
        if let Some(&[Some(number)]) = self.integers(value, depth + 1).as_deref() {
            return Some(number as f32);
        }
        let node = self.maker(self.origin(value))?;
        let part = |position: usize| self.number(node.input.get(position)?, depth + 1);
        match operator(node) {
            "Sqrt" => Some(part(0)?.sqrt()),
            "Div" => Some(part(0)? / part(1)?),
            "Mul" => Some(part(0)? * part(1)?),
            "Squeeze" | "Unsqueeze" | "Reshape" => part(0),
            _ => None,
        }
    }

    /// The numbers of a shape or of indices, as far as they are known before the model runs.
    pub(super) fn integers(&self, value: &'a str, depth: usize) -> Option<Vec<Option<i64>>> {
        self.descend(depth)?;
        if let Ok(Some(constant)) = self.constant(value) {
            let integers = constant.integers().filter(|list| list.len() <= LONGEST_SHAPE)?;
            return Some(integers.iter().copied().map(Some).collect());
        }
        let node = self.maker(self.origin(value))?;
        let part = |position: usize| self.integers(node.input.get(position)?, depth + 1);
        match operator(node) {
            "Shape" => {
                let sizes = self.sizes(node.input.first()?, depth + 1)?;
                let start = int(node, "start").unwrap_or(0);
                let end = int(node, "end").unwrap_or(i64::MAX);
                Some(sizes.get(clamp(start, sizes.len())..clamp(end, sizes.len()))?.to_vec())
            }
            "Slice" => {
                let list = part(0)?;
                let [start, end] = [1, 2].map(|position| match part(position).as_deref() {
                    Some(&[Some(bound)]) => Some(bound),
                    _ => None,
                });
                Some(list.get(clamp(start?, list.len())..clamp(end?, list.len()))?.to_vec())
            }
            "Gather" => {
                let (list, indices) = (part(0)?, part(1)?);
                let length = list.len() as i64;
                let pick = |index: i64| {
                    let index = if index < 0 { index + length } else { index };
                    list.get(usize::try_from(index).ok()?).copied()
                };
                indices.into_iter().map(|index| pick(index?)).collect()
            }
            "Concat" => {
                let mut all = Vec::new();
                for input in &node.input {
                    // One input of unknown content is one dimension: what exporters concatenate are sizes.
                    all.extend(self.integers(input, depth + 1).unwrap_or_else(|| vec![None]));
                    if all.len() > LONGEST_SHAPE {
                        return None;
                    }
                }
                Some(all)
            }
            "Squeeze" | "Unsqueeze" | "Reshape" => part(0),
            _ => None,
        }
    }

    /// The dimensions of a value, as far as they are known before the model runs.
    fn sizes(&self, value: &'a str, depth: usize) -> Option<Vec<Option<i64>>> {
        self.descend(depth)?;
        let value = self.origin(value);
        let Some(node) = self.maker(value) else {
            let shape = self.input(value)?.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
            return (shape.dim.len() <= LONGEST_SHAPE)
                .then(|| shape.dim.iter().map(|dimension| dimension.dim_value).collect());
        };
        let part = |position: usize| self.sizes(node.input.get(position)?, depth + 1);
        match operator(node) {
            "Reshape" => {
                let shape = self.integers(node.input.get(1)?, depth + 1)?;
                Some(shape.into_iter().map(|size| size.filter(|size| *size > 0)).collect())
            }
            "Transpose" => {
                let (sizes, order) = (part(0)?, ints(node, "perm")?);
                order.iter().map(|axis| sizes.get(usize::try_from(*axis).ok()?).copied()).collect()
            }
            _ => None,
        }
    }
}

/// An index as Python counts: from the end where it is negative, and never outside.
fn clamp(index: i64, length: usize) -> usize {
    let length = length as i64;
    let index = if index < 0 { index.saturating_add(length) } else { index };
    index.clamp(0, length) as usize
}

/// What a Constant node holds; `None` for what no weight or shape is, such as text.
fn constant_of(node: &proto::Node) -> Result<Option<Constant>, OnnxError> {
    let Some(attribute) = node.attribute.first() else { return Ok(None) };
    Ok(match attribute.name.as_str() {
        "value" => match &attribute.t {
            Some(tensor) if tensor.name.is_empty() => {
                let named = proto::Tensor { name: name_of(node), ..tensor.clone() };
                Some(Constant::read(&named)?)
            }
            Some(tensor) => Some(Constant::read(tensor)?),
            None => None,
        },
        "value_float" => attribute.f.map(|number| Constant::of_floats(Vec::new(), vec![number])),
        "value_floats" => Some(Constant::of_floats(vec![attribute.floats.len()], attribute.floats.clone())),
        "value_int" => attribute
            .i
            .map(|number| Constant { dimensions: Vec::new(), numbers: Numbers::Integers(vec![number]) }),
        "value_ints" => Some(Constant::of_integers(attribute.ints.clone())),
        _ => None,
    })
}

/// The operator, or nothing for those of other domains than ONNX's own: `com.microsoft`'s Gelu is not ours.
pub(super) fn operator(node: &proto::Node) -> &str {
    if matches!(node.domain.as_str(), "" | "ai.onnx") { &node.op_type } else { "" }
}

/// An integer attribute.
pub(super) fn int(node: &proto::Node, name: &str) -> Option<i64> {
    attribute(node, name)?.i
}

/// A list of integers.
pub(super) fn ints<'a>(node: &'a proto::Node, name: &str) -> Option<&'a [i64]> {
    Some(&attribute(node, name)?.ints)
}

/// A floating-point attribute.
pub(super) fn float(node: &proto::Node, name: &str) -> Option<f32> {
    attribute(node, name)?.f
}

/// An attribute by name.
pub(super) fn attribute<'a>(node: &'a proto::Node, name: &str) -> Option<&'a proto::Attribute> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// The error for a node that is not what was expected.
pub(super) fn not_understood(node: &proto::Node, expected: &str) -> OnnxError {
    let operator = match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    };
    OnnxError::Node { node: name_of(node), operator, expected: expected.to_owned() }
}

fn name_of(node: &proto::Node) -> String {
    if node.name.is_empty() { node.output.first().cloned().unwrap_or_default() } else { node.name.clone() }
}
