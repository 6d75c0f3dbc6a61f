//! Any bytes are an ONNX model or a named error.
#![no_main]

use logrisk_score::onnx;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let nothing_beside = &mut |_: &str| Err(std::io::ErrorKind::NotFound.into());
    if let Ok(imported) = onnx::read(bytes, nothing_beside) {
        let written = onnx::write(&imported.weights, &onnx::Export::default()).unwrap();
        assert_eq!(onnx::read(&written, nothing_beside).unwrap().weights, imported.weights);
    }
});
