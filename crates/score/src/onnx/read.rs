//! Reads ONNX: from the logits back through the layers to the embeddings.

use logrisk_base::{Risk, Tag};
use prost::Message;

use super::{
    LOGITS, OnnxError, RAW_LOGITS, TAG_LOGITS,
    graph::{Graph, int, operator},
    proto::Model,
    tensor::{Beside, fetch_external},
};
use crate::weights::{Activation, Embeddings, Head, Layer, Linear, Shape, Weights};

/// In all layers: 2 GiB of f32, the most that an ONNX file can hold.
const MOST_PARAMETERS: usize = (2 << 30) / 4;

/// A model read from ONNX.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// All parameters. A model that knows no tags has a tag head of zeros.
    pub weights: Weights,
    /// Key and value pairs that came along; what [`super::Export`] was given.
    pub metadata: Vec<(String, String)>,
}

/// Reads a classifier of the BERT family with the head `[CLS] → n → ReLU → 11`, as PyTorch's two exporters, Optimum and
/// [`super::write`] write it. `beside` reads files in the model's folder, for exporters that keep weights there.
///
/// # Errors
/// [`OnnxError`], naming the node and its operator, or the tensor, that is not understood.
pub fn read(bytes: &[u8], beside: Beside<'_>) -> Result<Imported, OnnxError> {
    let mut model = Model::decode(bytes).map_err(OnnxError::Decode)?;
    let metadata: Vec<_> = model.metadata_props.into_iter().map(|entry| (entry.key, entry.value)).collect();
    let opset = model.opset_import.iter().find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    let opset = opset.ok_or(OnnxError::Missing("version of its operators"))?.version;
    let graph = model.graph.as_mut().ok_or(OnnxError::Missing("graph"))?;
    fetch_external(&mut graph.initializer, beside)?;
    let graph = Graph::new(graph, opset)?;
    let raised = metadata.iter().any(|(key, _)| key == RAW_LOGITS);
    let weights = read_weights(&graph, raised)?;
    check_finite(&weights)?;
    Ok(Imported { weights, metadata })
}

fn read_weights(graph: &Graph<'_>, raised: bool) -> Result<Weights, OnnxError> {
    let outputs = &graph.graph.output;
    let output =
        |name: &str| outputs.iter().map(|output| output.name.as_str()).find(|output| *output == name);
    let raw = if raised { graph.value(RAW_LOGITS) } else { None };
    // A lone output may be called anything.
    let logits = match (raw.or_else(|| output(LOGITS)), outputs.as_slice()) {
        (Some(logits), _) => logits,
        (None, [single]) => &single.name,
        (None, _) => return Err(OnnxError::Missing("output named logits")),
    };
    let (risk, inner) = graph.linear(logits, "the risk head's last layer")?;
    let expected = "a head of [CLS] → linear → Relu → linear";
    let relu = graph.expect(inner, &["Relu"], expected)?;
    let dense = relu.input.first().ok_or(OnnxError::Missing("input of the head's Relu"))?;
    let (dense, cls) = graph.linear(dense, "the head's first layer")?;
    let hidden = dense.inputs;
    if hidden == 0 {
        return Err(OnnxError::Shape("the head's first layer reads nothing".to_owned()));
    }
    fits(&risk, dense.outputs, Risk::COUNT, "the risk head's last layer")?;
    let tag = match output(TAG_LOGITS) {
        Some(tags) => {
            let (tag, from) = graph.linear(tags, "the tag head")?;
            fits(&tag, dense.outputs, Tag::COUNT, "the tag head")?;
            if graph.origin(from) != graph.origin(inner) {
                return Err(graph.refuse(from, "the same Relu under both heads"));
            }
            tag
        }
        None => Linear::zeros(dense.outputs, Tag::COUNT),
    };

    let mut x = graph.cls(cls)?;
    let mut layers = Vec::new();
    let mut common = Common::default();
    loop {
        let name = format!("the norm behind layer {} from the end", layers.len() + 1);
        let (norm, epsilon, sum) = graph.norm(x, hidden, &name)?;
        common.epsilon.get_or_insert(epsilon);
        if common.epsilon != Some(epsilon) {
            return Err(graph.refuse(x, "the epsilon of the other norms"));
        }
        let Some((linear, residual)) = graph.residual(sum) else {
            layers.reverse();
            let tables = graph.embeddings(sum, hidden)?;
            let shape = common.shape(hidden, &layers, &tables.word, &tables.position)?;
            let embeddings = Embeddings { word: tables.word, position: tables.position, norm };
            return Ok(Weights { shape, embeddings, layers, head: Some(Head { dense, risk, tag }) });
        };
        let (layer, input) = read_layer(graph, hidden, linear, residual, norm, &mut common)?;
        layers.push(layer);
        // Of one stored tensor any number of layers can be made.
        let parameters =
            layers.len().saturating_mul(4 * hidden * hidden + 2 * hidden * common.intermediate.unwrap_or(0));
        if parameters > MOST_PARAMETERS {
            return Err(OnnxError::Shape(format!("its layers have more than {MOST_PARAMETERS} parameters")));
        }
        x = input;
    }
}

/// What all layers have in common.
#[derive(Default)]
struct Common {
    epsilon: Option<f32>,
    activation: Option<Activation>,
    /// Of one head.
    width: Option<usize>,
    intermediate: Option<usize>,
}

impl Common {
    fn shape(
        &self,
        hidden: usize,
        layers: &[Layer],
        word: &[f32],
        position: &[f32],
    ) -> Result<Shape, OnnxError> {
        let (Some(epsilon), Some(activation), Some(width), Some(intermediate)) =
            (self.epsilon, self.activation, self.width, self.intermediate)
        else {
            return Err(OnnxError::Shape("the model has no encoder layer".to_owned()));
        };
        let heads = hidden.checked_div(width).filter(|heads| heads * width == hidden);
        let heads = heads.ok_or_else(|| {
            OnnxError::Shape(format!("its width of {hidden} is no multiple of its heads' {width}"))
        })?;
        Ok(Shape {
            vocabulary: word.len() / hidden,
            hidden,
            layers: layers.len(),
            heads,
            intermediate,
            positions: position.len() / hidden,
            norm_epsilon: epsilon,
            activation,
        })
    }
}

/// Reads a layer from the two terms under its last norm; also says what the layer reads.
fn read_layer<'a>(
    graph: &Graph<'a>,
    hidden: usize,
    feed_forward: &'a str,
    residual: &'a str,
    output_norm: crate::weights::Norm,
    common: &mut Common,
) -> Result<(Layer, &'a str), OnnxError> {
    let (output, inner) = graph.linear(feed_forward, "the feed-forward's second layer")?;
    let (activation, inner) = graph.activation(inner)?;
    let (intermediate, middle) = graph.linear(inner, "the feed-forward's first layer")?;
    let middle = graph.origin(middle);
    if middle != graph.origin(residual) {
        return Err(
            graph.refuse(residual, "the residual to be what the feed-forward reads (post-norm, as in BERT)")
        );
    }
    let (attention_norm, epsilon, sum) = graph.norm(middle, hidden, "the norm behind attention")?;
    let Some((projected, residual)) = graph.residual(sum) else {
        return Err(graph.refuse(sum, "the sum of attention and its input"));
    };
    let (attention_output, context) = graph.linear(projected, "attention's output layer")?;
    let attention = graph.attention(context)?;
    let input = attention.input;
    if input != graph.origin(residual) {
        return Err(graph.refuse(residual, "the residual to be what attention reads (post-norm, as in BERT)"));
    }
    let inner_width = intermediate.outputs;
    fits(&output, inner_width, hidden, "the feed-forward's second layer")?;
    fits(&intermediate, hidden, inner_width, "the feed-forward's first layer")?;
    for linear in [&attention.query, &attention.key, &attention.value, &attention_output] {
        fits(linear, hidden, hidden, "attention")?;
    }
    let same = *common.activation.get_or_insert(activation) == activation
        && *common.width.get_or_insert(attention.width) == attention.width
        && *common.intermediate.get_or_insert(inner_width) == inner_width
        && common.epsilon == Some(epsilon);
    if !same {
        return Err(graph.refuse(sum, "the activation, widths and epsilon of the other layers"));
    }
    let layer = Layer {
        query: attention.query,
        key: attention.key,
        value: attention.value,
        attention_output,
        attention_norm,
        intermediate,
        output,
        output_norm,
    };
    Ok((layer, input))
}

fn fits(linear: &Linear, inputs: usize, outputs: usize, place: &str) -> Result<(), OnnxError> {
    if (linear.inputs, linear.outputs) == (inputs, outputs) {
        return Ok(());
    }
    Err(OnnxError::Shape(format!(
        "{place} has {} inputs and {} outputs, but {inputs} and {outputs} are expected",
        linear.inputs, linear.outputs
    )))
}

fn check_finite(weights: &Weights) -> Result<(), OnnxError> {
    for tensor in weights.tensors() {
        if let Some(value) = tensor.values.iter().find(|value| !value.is_finite()) {
            let why = format!("holds {value}: the training diverged or the file is damaged");
            return Err(OnnxError::Tensor { name: tensor.name, why });
        }
    }
    Ok(())
}

impl<'a> Graph<'a> {
    /// The graph's own copy of a value's name, if any node makes it.
    fn value(&self, name: &str) -> Option<&'a str> {
        let node = self.maker(name)?;
        node.output.iter().map(String::as_str).find(|output| *output == name)
    }

    /// The two terms of a residual sum, the linear layer's first; `None` for any other sum, such as that of embeddings.
    fn residual(&self, sum: &'a str) -> Option<(&'a str, &'a str)> {
        let node = self.maker(self.origin(sum)).filter(|node| operator(node) == "Add")?;
        let [a, b] = node.input.as_slice() else { return None };
        match (self.is_linear(a), self.is_linear(b)) {
            (true, false) => Some((a, b)),
            (false, true) => Some((b, a)),
            _ => None,
        }
    }

    /// The encoder's output, of which the head reads the first position.
    fn cls(&self, value: &'a str) -> Result<&'a str, OnnxError> {
        let expected = "[CLS], the first position: Gather 0 on dimension 1";
        let mut node = self.expect(value, &["Gather", "Squeeze", "Reshape", "Slice"], expected)?;
        if let ("Squeeze" | "Reshape", Some(input)) = (operator(node), node.input.first()) {
            node = self.expect(input, &["Gather", "Slice"], expected)?;
        }
        let list = |position: usize| {
            node.input.get(position).and_then(|input| self.integers(input, 0)).unwrap_or_default()
        };
        match (operator(node), node.input.first()) {
            ("Gather", Some(input)) if int(node, "axis") == Some(1) && list(1) == [Some(0)] => {
                Ok(self.origin(input))
            }
            ("Slice", Some(input)) if [1, 2, 3].map(list) == [[Some(0)], [Some(1)], [Some(1)]] => {
                Ok(self.origin(input))
            }
            _ => Err(self.refuse(value, expected)),
        }
    }
}
