//! Round trips, and what is refused by name.

use std::io;

use prost::Message;

use super::{
    proto::{self, EXTERNAL, Model, Node},
    *,
};
use crate::weights::{Activation, Head, Shape, Weights};

fn weights(activation: Activation) -> Weights {
    let shape = Shape {
        vocabulary: 11,
        hidden: 12,
        layers: 2,
        heads: 3,
        intermediate: 20,
        positions: 6,
        norm_epsilon: 1e-12,
        activation,
    };
    Weights::random(shape, 5)
}

fn written() -> Vec<u8> {
    write(&weights(Activation::Gelu), &Export::default()).unwrap()
}

fn nothing_beside(_: &str) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::NotFound.into())
}

fn read_alone(bytes: &[u8]) -> Result<Imported, OnnxError> {
    read(bytes, &mut nothing_beside)
}

#[test]
fn what_is_written_is_read_again() {
    for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
        for argmax_is_label in [false, true] {
            let weights = weights(activation);
            let metadata = vec![("key".to_owned(), "value".to_owned())];
            let export = Export { metadata: metadata.clone(), argmax_is_label };
            let bytes = write(&weights, &export).unwrap();
            assert_eq!(write(&weights, &export).unwrap(), bytes, "the same weights give the same bytes");
            let imported = read_alone(&bytes).unwrap();
            assert_eq!(imported.weights, weights);
            assert!(imported.metadata.starts_with(&metadata));
        }
    }
}

#[test]
fn a_model_without_tags_has_one_output_and_is_read_with_zeros() {
    let mut weights = weights(Activation::Gelu);
    weights.head.as_mut().unwrap().tag = Head::zeros(12).tag;
    let bytes = write(&weights, &Export::default()).unwrap();
    assert_eq!(Model::decode(bytes.as_slice()).unwrap().graph.unwrap().output.len(), 1);
    assert_eq!(read_alone(&bytes).unwrap().weights, weights);
}

#[test]
fn a_bare_encoder_is_not_written() {
    let mut weights = weights(Activation::Gelu);
    weights.head = None;
    assert!(matches!(write(&weights, &Export::default()), Err(OnnxError::NoHead)));
}

#[test]
fn a_calibration_becomes_part_of_the_last_layer() {
    let mut head = weights(Activation::Gelu).head.unwrap();
    let before = head.risk.clone();
    let shift: Vec<f32> = (0..11).map(|risk| risk as f32 / 8.0).collect();
    head.risk.rescale_outputs(0.5, &shift);
    for (after, before) in head.risk.weight.iter().zip(&before.weight) {
        assert_eq!(*after, before * 0.5);
    }
    assert_eq!(head.risk.bias[3], before.bias[3] * 0.5 + 0.375);
}

/// What is said of the file after a change to its graph.
fn read_changed(change: impl FnOnce(&mut proto::Graph)) -> Result<Imported, OnnxError> {
    let mut model = Model::decode(written().as_slice()).unwrap();
    change(model.graph.as_mut().unwrap());
    read_alone(&model.encode_to_vec())
}

#[track_caller]
fn refuse(change: impl FnOnce(&mut proto::Graph), expected: &str) {
    let error = read_changed(change).map(drop).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

fn node<'g>(graph: &'g mut proto::Graph, name: &str) -> &'g mut Node {
    graph.node.iter_mut().find(|node| node.name == name).unwrap()
}

fn tensor<'g>(graph: &'g mut proto::Graph, name: &str) -> &'g mut proto::Tensor {
    graph.initializer.iter_mut().find(|tensor| tensor.name == name).unwrap()
}

const QUERY: &str = "encoder.layer.1.attention.self.query";

#[test]
fn what_is_not_a_bert_is_refused_by_node_and_operator() {
    let operator = |name: &'static str, operator: &'static str| {
        move |graph: &mut proto::Graph| node(graph, name).op_type = operator.to_owned()
    };
    refuse(operator("classifier/relu", "Tanh"), "node classifier/relu (operator Tanh) is not understood");
    refuse(operator("encoder.layer.0/intermediate/erf", "Sin"), "operator");
    refuse(operator("encoder.layer.1/residual", "Sub"), "node encoder.layer.1/residual (operator Sub)");
    refuse(operator("encoder.layer.1.attention/softmax", "Sigmoid"), "operator Sigmoid");
    refuse(
        |graph| node(graph, "encoder.layer.0.output.LayerNorm/norm").domain = "com.microsoft".to_owned(),
        "operator com.microsoft.LayerNormalization",
    );
}

#[test]
fn settings_that_change_the_result_are_refused() {
    let order = |name: &'static str, perm: [i64; 4]| {
        move |graph: &mut proto::Graph| node(graph, name).attribute[0].ints = perm.to_vec()
    };
    let heads = "as [batch, head, position, width]";
    refuse(order("encoder.layer.1.attention/query/transpose", [0, 1, 2, 3]), heads);
    refuse(order("encoder.layer.1.attention/key/transpose", [0, 2, 1, 3]), heads);
    refuse(order("encoder.layer.1.attention/value/transpose", [0, 3, 1, 2]), heads);
    refuse(order("encoder.layer.1.attention/transpose", [0, 1, 2, 3]), "[batch, position, hidden]");
    refuse(order("encoder.layer.1.attention/transpose", [0, 9, 1, -1]), "[batch, position, hidden]");
    refuse(
        |graph| tensor(graph, "attention.scale").raw_data = 0.25f32.to_le_bytes().to_vec(),
        "scores scaled by 1/√4, not by 0.25",
    );
    refuse(
        |graph| node(graph, "encoder.layer.0.attention/masked").input[1] = "attention.scale".to_owned(),
        "attention_mask's padding",
    );
    refuse(
        |graph| node(graph, "classifier/cls").attribute[0].i = Some(0),
        "node classifier/cls (operator Gather)",
    );
    refuse(|graph| tensor(graph, "cls").raw_data = 3i64.to_le_bytes().to_vec(), "[CLS]");
    refuse(
        |graph| node(graph, "encoder.layer.1.output.LayerNorm/norm").attribute[1].f = Some(0.5),
        "epsilon of the other",
    );
    refuse(
        |graph| node(graph, "encoder.layer.1/residual").input[1] = "embeddings.LayerNorm/norm".to_owned(),
        "post-norm, as in BERT",
    );
    refuse(
        |graph| node(graph, &format!("{QUERY}/matmul")).input[0] = "embeddings.LayerNorm/norm".to_owned(),
        "of the same input",
    );
    refuse(|graph| node(graph, "embeddings/words").input[1] = "attention_mask".to_owned(), "embeddings");
}

#[test]
fn damaged_tensors_are_refused_by_name() {
    let weight = format!("{QUERY}.weight");
    refuse(|graph| tensor(graph, &weight).dims = vec![12, 11], "query.weight holds 144 numbers");
    refuse(|graph| tensor(graph, &weight).dims = vec![i64::MAX, i64::MAX], "claims the dimensions");
    refuse(|graph| tensor(graph, &weight).dims = vec![-12, -12], "claims the dimensions");
    refuse(|graph| tensor(graph, &weight).data_type = 8, "query.weight has the number format 8");
    refuse(|graph| tensor(graph, &weight).data_type = 7, "query.weight holds 72 numbers");
    refuse(
        |graph| tensor(graph, &weight).raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes()),
        "query.weight holds NaN",
    );
    refuse(
        |graph| {
            let risk = tensor(graph, "classifier.risk.weight");
            risk.dims = vec![2, 6];
            risk.raw_data.truncate(48);
            let bias = tensor(graph, "classifier.risk.bias");
            bias.dims = vec![2];
            bias.raw_data.truncate(8);
        },
        "has 6 inputs and 2 outputs, but 6 and 11 are expected",
    );
}

#[test]
fn half_precision_is_read() {
    let imported = read_changed(|graph| {
        for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.data_type == 1) {
            let (numbers, _) = tensor.raw_data.as_chunks::<4>();
            tensor.raw_data = numbers
                .iter()
                .flat_map(|bytes| half::f16::from_f32(f32::from_le_bytes(*bytes)).to_le_bytes())
                .collect();
            tensor.data_type = 10;
        }
    });
    let expected = weights(Activation::Gelu);
    for (half, whole) in imported.unwrap().weights.tensors().iter().zip(expected.tensors()) {
        for (half, whole) in half.values.iter().zip(whole.values) {
            assert!((half - whole).abs() <= whole.abs() / 1024.0 + 1e-7);
        }
    }
}

#[test]
fn weights_beside_the_file_are_read_and_nothing_outside_the_folder() {
    let name = format!("{QUERY}.weight");
    let bytes =
        tensor(Model::decode(written().as_slice()).unwrap().graph.as_mut().unwrap(), &name).raw_data.clone();
    let external = |location: &str, offset: &str| {
        let mut model = Model::decode(written().as_slice()).unwrap();
        let tensor = tensor(model.graph.as_mut().unwrap(), &name);
        tensor.raw_data.clear();
        tensor.data_location = EXTERNAL;
        let entry = |key: &str, value: &str| proto::Entry { key: key.to_owned(), value: value.to_owned() };
        tensor.external_data =
            vec![entry("location", location), entry("offset", offset), entry("length", "576")];
        model.encode_to_vec()
    };
    let mut file = vec![0u8; 64];
    file.extend(&bytes);
    let mut beside = |name: &str| if name == "a.data" { Ok(file.clone()) } else { nothing_beside(name) };
    let imported = read(&external("a.data", "64"), &mut beside).unwrap();
    assert_eq!(imported.weights, weights(Activation::Gelu));
    for (location, offset, expected) in [
        ("a.data", "65", "reaches beyond the end of a.data"),
        ("a.data", "18446744073709551615", "reaches beyond the end of a.data"),
        ("a.data", "-1", "offset \"-1\""),
        ("b.data", "0", "b.data, which could not be read"),
        ("../a.data", "0", "only a file in the model's own folder"),
        ("/etc/passwd", "0", "only a file in the model's own folder"),
        ("", "0", "only a file in the model's own folder"),
    ] {
        let error = read(&external(location, offset), &mut beside).unwrap_err().to_string();
        assert!(error.contains(&name) && error.contains(expected), "{error}");
    }
}

#[test]
fn cycles_and_missing_values_are_refused() {
    refuse(|graph| graph.node.reverse(), "which nothing before it makes");
    refuse(
        |graph| node(graph, "embeddings/words").input[1] = "logits".to_owned(),
        "node embeddings/words reads logits",
    );
    refuse(|graph| graph.initializer.clear(), "which nothing before it makes");
    refuse(|graph| graph.input.clear(), "which nothing before it makes");
    refuse(|graph| graph.output.clear(), "no output named logits");
    refuse(|graph| graph.node.clear(), "logits");
    refuse(
        |graph| {
            let copy = graph.node[3].clone();
            graph.node.push(copy);
        },
        "is not understood: expected nothing else to make",
    );
}

#[test]
fn truncated_files_are_refused() {
    let bytes = written();
    for cut in (0..bytes.len()).step_by(97) {
        assert!(read_alone(&bytes[..cut]).is_err(), "{cut}");
    }
    assert!(read_alone(b"PK\x03\x04 not a model").unwrap_err().to_string().contains("no ONNX file"));
}

/// Chains that would overflow a stack or take for ever if they were followed without a limit.
#[test]
fn long_and_branching_side_branches_end() {
    let chain = |operator: &'static str, width: usize| {
        move |graph: &mut proto::Graph| {
            let mut last = "first".to_owned();
            let mut nodes = Vec::new();
            for index in 0..50_000 {
                let output = format!("chain.{index}");
                let axis = proto::Attribute { name: "axis".to_owned(), i: Some(0), ..Default::default() };
                nodes.push(Node {
                    input: vec![last; width],
                    output: vec![output.clone()],
                    op_type: operator.to_owned(),
                    attribute: vec![axis],
                    ..Node::default()
                });
                last = output;
            }
            for target in ["encoder.layer.1.attention/query/reshape", "embeddings/words"] {
                node(graph, target).input[1] = last.clone();
            }
            graph.node.splice(0..0, nodes);
        }
    };
    for (operator, width) in [
        ("Concat", 2),
        ("Unsqueeze", 1),
        ("Mul", 2),
        ("Add", 2),
        ("Slice", 5),
        ("Gather", 2),
        ("Identity", 1),
        ("Transpose", 1),
    ] {
        assert!(read_changed(chain(operator, width)).is_err(), "{operator}");
    }
}

#[test]
fn bytes_changed_at_random_never_panic() {
    let bytes = written();
    let mut state = 1u64;
    for _ in 0..300 {
        let mut changed = bytes.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (state >> 33) as usize % changed.len();
            changed[place] ^= (state >> 24) as u8;
        }
        let _ = read_alone(&changed);
    }
}
