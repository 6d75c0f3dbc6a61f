//! Writes a model as ONNX, operator set 17: the first with LayerNormalization, and run by every ONNX Runtime since 1.12.

use prost::Message;

use super::{
    LOGITS, OnnxError, RAW_LOGITS, TAG_LOGITS,
    proto::{
        Attribute, Dimension, Entry, Graph, Model, Node, OperatorSet, Tensor, TensorShape, TensorType, Type,
        ValueInfo, attribute_type, data_type,
    },
    tensor::transpose,
};
use crate::weights::{Activation, Head, Layer, Linear, Norm, Shape, Weights};
use logrisk_base::{Risk, Tag};

/// The format of files with operator set 17.
const IR_VERSION: i64 = 8;
const OPERATOR_SET: i64 = 17;

/// Protobuf's limit is 2 GiB; the graph around the numbers takes a few hundred KiB.
const LARGEST: usize = (2 << 30) - (16 << 20);

/// What is added to the scores of padding: e⁻¹⁰⁰⁰⁰ is 0, and half precision can still hold it.
const MASKED: f32 = -10_000.0;

/// How far the label's logit is put above the highest one: far more than f32's rounding at any logit, and less than the
/// 1e-4 to which exported logits are exact.
const MARGIN: f32 = 5e-5;

/// How a model is written.
#[derive(Debug, Clone, Default)]
pub struct Export {
    /// Key and value pairs that are carried along.
    pub metadata: Vec<(String, String)>,
    /// For readers that take the highest logit as the label: raises, where another one is highest, the logit of the
    /// risk nearest to the expected one just above it.
    pub argmax_is_label: bool,
}

/// A model as an ONNX file: `input_ids` and `attention_mask` (int64, `[batch, length]`) to `logits` (f32, `[batch, 11]`) and, if
/// the model knows tags, `tag_logits` (`[batch, 5]`). The same weights give the same bytes.
///
/// # Errors
/// [`OnnxError::NoHead`] for a bare encoder, [`OnnxError::TooLarge`] above 2 GiB.
pub fn write(weights: &Weights, export: &Export) -> Result<Vec<u8>, OnnxError> {
    let head = weights.head.as_ref().ok_or(OnnxError::NoHead)?;
    let bytes = weights.tensors().iter().map(|tensor| 4 * tensor.values.len()).sum();
    if bytes > LARGEST {
        return Err(OnnxError::TooLarge(bytes));
    }
    let knows_tags = head.tag.weight.iter().chain(&head.tag.bias).any(|value| *value != 0.0);
    let mut output = vec![value_info(LOGITS, data_type::FLOAT, &[Err("batch"), Ok(Risk::COUNT)])];
    if knows_tags {
        output.push(value_info(TAG_LOGITS, data_type::FLOAT, &[Err("batch"), Ok(Tag::COUNT)]));
    }
    let mut builder = Builder::default();
    builder.model(weights, head, knows_tags, export.argmax_is_label);
    let ids = |name: &str| value_info(name, data_type::INT64, &[Err("batch"), Err("length")]);
    let mut metadata_props: Vec<Entry> =
        export.metadata.iter().map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect();
    if export.argmax_is_label {
        metadata_props.push(Entry { key: RAW_LOGITS.to_owned(), value: RAW_LOGITS.to_owned() });
    }
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "logrisk".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(Graph {
            node: builder.nodes,
            name: "logrisk".to_owned(),
            initializer: builder.initializers,
            input: vec![ids("input_ids"), ids("attention_mask")],
            output,
        }),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPERATOR_SET }],
        metadata_props,
    };
    Ok(model.encode_to_vec())
}

/// Adds node after node; each method returns the name of what its last node makes.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    initializers: Vec<Tensor>,
}

impl Builder {
    fn model(&mut self, weights: &Weights, head: &Head, knows_tags: bool, argmax_is_label: bool) {
        let shape = &weights.shape;
        let mut x = self.embeddings(weights);
        let mask = self.mask();
        self.integers("heads.shape", &[0, 0, shape.heads as i64, (shape.hidden / shape.heads.max(1)) as i64]);
        self.integers("hidden.shape", &[0, 0, shape.hidden as i64]);
        let scale = 1.0 / ((shape.hidden / shape.heads.max(1)) as f32).sqrt();
        self.floats("attention.scale", &[], &[scale]);
        for (index, layer) in weights.layers.iter().enumerate() {
            x = self.layer(&format!("encoder.layer.{index}"), layer, shape, &x, &mask);
        }
        self.initializers.push(integer_tensor("cls", &[], &[0]));
        let cls = self.node_with("Gather", "classifier/cls", &[&x, "cls"], vec![integer("axis", 1)]);
        let dense = self.gemm("classifier.dense", &head.dense, &cls, None);
        let inner = self.node("Relu", "classifier/relu", &[&dense]);
        if argmax_is_label {
            self.gemm("classifier.risk", &head.risk, &inner, Some(RAW_LOGITS));
            self.raise_label();
        } else {
            self.gemm("classifier.risk", &head.risk, &inner, Some(LOGITS));
        }
        if knows_tags {
            self.gemm("classifier.tag", &head.tag, &inner, Some(TAG_LOGITS));
        }
    }

    fn embeddings(&mut self, weights: &Weights) -> String {
        let (shape, embeddings) = (&weights.shape, &weights.embeddings);
        let word = self.floats(
            "embeddings.word_embeddings.weight",
            &[shape.vocabulary, shape.hidden],
            &embeddings.word,
        );
        let position = self.floats(
            "embeddings.position_embeddings.weight",
            &[shape.positions, shape.hidden],
            &embeddings.position,
        );
        let words = self.node("Gather", "embeddings/words", &[&word, "input_ids"]);
        // The first rows of the table, as many as the input is long. A longer input cannot be added to them.
        let ends = vec![integer("start", 1), integer("end", 2)];
        let length = self.node_with("Shape", "embeddings/length", &["input_ids"], ends);
        let (start, axis) = (self.integers("first", &[0]), self.integers("first_axis", &[0]));
        let positions = self.node("Slice", "embeddings/positions", &[&position, &start, &length, &axis]);
        let sum = self.node("Add", "embeddings/sum", &[&words, &positions]);
        self.norm("embeddings.LayerNorm", &embeddings.norm, shape, &sum)
    }

    /// 0 where there is a token, [`MASKED`] at padding, `[batch, 1, 1, length]`.
    fn mask(&mut self) -> String {
        let axes = self.integers("mask.axes", &[1, 2]);
        let wide = self.node("Unsqueeze", "mask/unsqueeze", &["attention_mask", &axes]);
        let float = vec![integer("to", i64::from(data_type::FLOAT))];
        let wide = self.node_with("Cast", "mask/cast", &[&wide], float);
        let one = self.floats("one", &[], &[1.0]);
        let masked = self.floats("mask.value", &[], &[MASKED]);
        let padding = self.node("Sub", "mask/padding", &[&one, &wide]);
        self.node("Mul", "mask/added", &[&padding, &masked])
    }

    fn layer(&mut self, name: &str, layer: &Layer, shape: &Shape, x: &str, mask: &str) -> String {
        let attention = format!("{name}.attention");
        let mut split = |part: &str, linear: &Linear, order: [i64; 4]| {
            let y = self.linear(&format!("{attention}.self.{part}"), linear, x);
            let y = self.node("Reshape", &format!("{attention}/{part}/reshape"), &[&y, "heads.shape"]);
            self.transpose(&format!("{attention}/{part}/transpose"), &y, order)
        };
        let query = split("query", &layer.query, [0, 2, 1, 3]);
        let key = split("key", &layer.key, [0, 2, 3, 1]);
        let value = split("value", &layer.value, [0, 2, 1, 3]);
        let scores = self.node("MatMul", &format!("{attention}/scores"), &[&query, &key]);
        let scores = self.node("Mul", &format!("{attention}/scaled"), &[&scores, "attention.scale"]);
        let scores = self.node("Add", &format!("{attention}/masked"), &[&scores, mask]);
        let last = vec![integer("axis", -1)];
        let shares = self.node_with("Softmax", &format!("{attention}/softmax"), &[&scores], last);
        let context = self.node("MatMul", &format!("{attention}/context"), &[&shares, &value]);
        let context = self.transpose(&format!("{attention}/transpose"), &context, [0, 2, 1, 3]);
        let context = self.node("Reshape", &format!("{attention}/reshape"), &[&context, "hidden.shape"]);
        let y = self.linear(&format!("{attention}.output.dense"), &layer.attention_output, &context);
        let y = self.node("Add", &format!("{attention}/residual"), &[&y, x]);
        let x = self.norm(&format!("{attention}.output.LayerNorm"), &layer.attention_norm, shape, &y);

        let inner = self.linear(&format!("{name}.intermediate.dense"), &layer.intermediate, &x);
        let inner = self.activation(&format!("{name}/intermediate"), shape.activation, &inner);
        let y = self.linear(&format!("{name}.output.dense"), &layer.output, &inner);
        let y = self.node("Add", &format!("{name}/residual"), &[&y, &x]);
        self.norm(&format!("{name}.output.LayerNorm"), &layer.output_norm, shape, &y)
    }

    fn activation(&mut self, name: &str, activation: Activation, x: &str) -> String {
        let half = self.floats("half", &[], &[0.5]);
        let one = self.floats("one", &[], &[1.0]);
        let inner = match activation {
            Activation::Relu => return self.node("Relu", &format!("{name}/relu"), &[x]),
            Activation::Gelu => {
                let root = self.floats("root_of_two", &[], &[std::f32::consts::SQRT_2]);
                let inner = self.node("Div", &format!("{name}/div"), &[x, &root]);
                self.node("Erf", &format!("{name}/erf"), &[&inner])
            }
            Activation::GeluTanh => {
                let three = self.floats("three", &[], &[3.0]);
                let (cubic, outer) = (
                    self.floats("gelu.cubic", &[], &[0.044_715]),
                    self.floats("gelu.outer", &[], &[0.797_884_6]),
                );
                let cube = self.node("Pow", &format!("{name}/pow"), &[x, &three]);
                let cube = self.node("Mul", &format!("{name}/cubic"), &[&cube, &cubic]);
                let inner = self.node("Add", &format!("{name}/add"), &[x, &cube]);
                let inner = self.node("Mul", &format!("{name}/outer"), &[&inner, &outer]);
                self.node("Tanh", &format!("{name}/tanh"), &[&inner])
            }
        };
        let inner = self.node("Add", &format!("{name}/plus_one"), &[&inner, &one]);
        let y = self.node("Mul", &format!("{name}/times_input"), &[x, &inner]);
        self.node("Mul", &format!("{name}/halved"), &[&y, &half])
    }

    /// See [`Export::argmax_is_label`].
    fn raise_label(&mut self) {
        let risks: Vec<f32> = Risk::all().map(|risk| f32::from(risk.get())).collect();
        let column = self.floats("risks", &[Risk::COUNT, 1], &risks);
        let row = self.floats("risks.row", &[1, Risk::COUNT], &risks);
        let (half, margin) = (self.floats("half", &[], &[0.5]), self.floats("margin", &[], &[MARGIN]));
        let shares = self.node_with("Softmax", "label/softmax", &[RAW_LOGITS], vec![integer("axis", -1)]);
        let expected = self.node("MatMul", "label/expected", &[&shares, &column]);
        let expected = self.node("Add", "label/plus_half", &[&expected, &half]);
        let label = self.node("Floor", "label/floor", &[&expected]);
        let is_label = self.node("Equal", "label/equal", &[&label, &row]);
        let last = vec![integers("axes", &[-1]), integer("keepdims", 1)];
        let highest = self.node_with("ReduceMax", "label/highest", &[RAW_LOGITS], last);
        let raised = self.node("Add", "label/raised", &[&highest, &margin]);
        self.push("Where", "label/where", &[&is_label, &raised, RAW_LOGITS], LOGITS, Vec::new());
    }

    fn linear(&mut self, name: &str, linear: &Linear, x: &str) -> String {
        let transposed = transpose(&linear.weight, linear.inputs);
        let weight = self.floats(&format!("{name}.weight"), &[linear.inputs, linear.outputs], &transposed);
        let bias = self.floats(&format!("{name}.bias"), &[linear.outputs], &linear.bias);
        let y = self.node("MatMul", &format!("{name}/matmul"), &[x, &weight]);
        self.node("Add", &format!("{name}/add"), &[&y, &bias])
    }

    fn gemm(&mut self, name: &str, linear: &Linear, x: &str, output: Option<&str>) -> String {
        let weight = self.floats(&format!("{name}.weight"), &[linear.outputs, linear.inputs], &linear.weight);
        let bias = self.floats(&format!("{name}.bias"), &[linear.outputs], &linear.bias);
        let name = format!("{name}/gemm");
        let output = output.unwrap_or(&name);
        self.push("Gemm", &name, &[x, &weight, &bias], output, vec![integer("transB", 1)])
    }

    fn norm(&mut self, name: &str, norm: &Norm, shape: &Shape, x: &str) -> String {
        let gain = self.floats(&format!("{name}.weight"), &[shape.hidden], &norm.gain);
        let bias = self.floats(&format!("{name}.bias"), &[shape.hidden], &norm.bias);
        let epsilon = Attribute {
            name: "epsilon".to_owned(),
            f: Some(shape.norm_epsilon),
            r#type: attribute_type::FLOAT,
            ..Attribute::default()
        };
        let attributes = vec![integer("axis", -1), epsilon];
        self.node_with("LayerNormalization", &format!("{name}/norm"), &[x, &gain, &bias], attributes)
    }

    fn transpose(&mut self, name: &str, x: &str, order: [i64; 4]) -> String {
        self.node_with("Transpose", name, &[x], vec![integers("perm", &order)])
    }

    fn node(&mut self, operator: &str, name: &str, inputs: &[&str]) -> String {
        self.node_with(operator, name, inputs, Vec::new())
    }

    fn node_with(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attribute: Vec<Attribute>,
    ) -> String {
        self.push(operator, name, inputs, name, attribute)
    }

    fn push(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<Attribute>,
    ) -> String {
        self.nodes.push(Node {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![output.to_owned()],
            name: name.to_owned(),
            op_type: operator.to_owned(),
            attribute,
            domain: String::new(),
        });
        output.to_owned()
    }

    /// A tensor under that name, once.
    fn floats(&mut self, name: &str, dimensions: &[usize], values: &[f32]) -> String {
        if !self.initializers.iter().any(|tensor| tensor.name == name) {
            self.initializers.push(Tensor {
                dims: dimensions.iter().map(|size| *size as i64).collect(),
                data_type: data_type::FLOAT,
                name: name.to_owned(),
                raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                ..Tensor::default()
            });
        }
        name.to_owned()
    }

    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.initializers.push(integer_tensor(name, &[values.len()], values));
        name.to_owned()
    }
}

fn integer_tensor(name: &str, dimensions: &[usize], values: &[i64]) -> Tensor {
    Tensor {
        dims: dimensions.iter().map(|size| *size as i64).collect(),
        data_type: data_type::INT64,
        name: name.to_owned(),
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Tensor::default()
    }
}

fn integer(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: Some(value), r#type: attribute_type::INT, ..Attribute::default() }
}

fn integers(name: &str, values: &[i64]) -> Attribute {
    let ints = values.to_vec();
    Attribute { name: name.to_owned(), ints, r#type: attribute_type::INTS, ..Attribute::default() }
}

/// Dimensions are numbers or names.
fn value_info(name: &str, elem_type: i32, dimensions: &[Result<usize, &str>]) -> ValueInfo {
    let dim = dimensions
        .iter()
        .map(|size| match size {
            Ok(size) => Dimension { dim_value: Some(*size as i64), dim_param: None },
            Err(name) => Dimension { dim_value: None, dim_param: Some((*name).to_owned()) },
        })
        .collect();
    let tensor_type = Some(TensorType { elem_type, shape: Some(TensorShape { dim }) });
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type }) }
}
